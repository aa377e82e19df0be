package keeper

import (
	"context"
	"strconv"

	errorsmod "cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/tasks/types"
)

// Events are for watchers; they only wake and explain. State is the truth.
const (
	EventOfferPosted      = "nexara_offer_posted"
	EventOfferRemoved     = "nexara_offer_removed"
	EventJobSubmitted     = "nexara_job_submitted"
	EventJobToppedUp      = "nexara_job_topped_up"
	EventJobEnding        = "nexara_job_ending"
	EventJobEnded         = "nexara_job_ended"
	EventShardsMoved      = "nexara_shards_moved"
	EventLeaseAssigned    = "nexara_lease_assigned"
	EventLeaseMoved       = "nexara_lease_moved"
	EventPayout           = "nexara_payout"
	EventClearing         = "nexara_clearing"
	EventItemFailed       = "nexara_item_failed"
	EventJobPruned        = "nexara_job_pruned"
	EventClearingRejected = "nexara_clearing_rejected"
	EventClearingFallback = "nexara_clearing_fallback"
)

func emit(ctx context.Context, kind string, attributes ...sdk.Attribute) {
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent(kind, attributes...))
}

// emitFailure says of an item, or of a lease of a batch message, that it failed, and by which error: codespace and
// code as in a transaction's result, since texts are not part of the protocol.
func emitFailure(ctx context.Context, kind string, id uint64, err error) {
	codespace, code, _ := errorsmod.ABCIInfo(err, false)
	emit(ctx, EventItemFailed, word("kind", kind), num("id", id), word("cause", "error"),
		word("codespace", codespace), num("code", code))
}

func num[N ~int64 | ~uint64 | ~int | ~uint32](key string, n N) sdk.Attribute {
	if n < 0 {
		return sdk.Attribute{Key: key, Value: strconv.FormatInt(int64(n), 10)}
	}
	return sdk.Attribute{Key: key, Value: strconv.FormatUint(uint64(n), 10)}
}

func word(key, value string) sdk.Attribute { return sdk.Attribute{Key: key, Value: value} }

func emitLease(ctx context.Context, l types.Lease, kind string) {
	emit(ctx, kind, num("lease", l.Id), num("job", l.JobId), num("first", l.First), num("count", l.Count),
		num("nexcore", l.NexcoreId), word("state", leaseState(l).String()), word("reason", l.Reason))
}
