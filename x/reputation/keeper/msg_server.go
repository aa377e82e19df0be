package keeper

import (
	"context"

	"github.com/nexara/nexara/x/reputation/types"
)

type msgServer struct{ k *Keeper }

// NewMsgServer returns the message server: parameters alone, no message moves a score.
func NewMsgServer(k *Keeper) types.MsgServer { return msgServer{k} }

func (s msgServer) UpdateParams(ctx context.Context, msg *types.MsgUpdateParams) (*types.MsgUpdateParamsResponse, error) {
	if msg.Authority != s.k.authority {
		return nil, types.ErrUnauthorized.Wrapf("parameters are for %s to change", s.k.authority)
	}
	p, err := s.k.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.ValidateChange(msg.Params); err != nil {
		return nil, err
	}
	emit(ctx, types.EventParams)
	return &types.MsgUpdateParamsResponse{}, s.k.params.Set(ctx, msg.Params)
}
