package keeper

import (
	"context"
	"strconv"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/nexcore/types"
)

func emit(ctx context.Context, kind string, attributes ...sdk.Attribute) {
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent(kind, attributes...))
}

func emitNexCore(ctx context.Context, kind string, n types.NexCore, attributes ...sdk.Attribute) {
	emit(ctx, kind, append([]sdk.Attribute{
		num("nexcore", n.Id), word("operator", n.Operator), word("node", n.NodeAddress),
	}, attributes...)...)
}

func num[N ~int64 | ~uint64 | ~uint32](key string, n N) sdk.Attribute {
	if n < 0 {
		return sdk.Attribute{Key: key, Value: strconv.FormatInt(int64(n), 10)}
	}
	return sdk.Attribute{Key: key, Value: strconv.FormatUint(uint64(n), 10)}
}

func word(key, value string) sdk.Attribute { return sdk.Attribute{Key: key, Value: value} }
