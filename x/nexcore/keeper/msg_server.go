package keeper

import (
	"context"

	"github.com/nexara/nexara/x/nexcore/types"
)

// msgServer hands over; the rules are in types/rules.go, the moves and sums in the pure room bond.
type msgServer struct{ k *Keeper }

// NewMsgServer returns the registry's message server.
func NewMsgServer(k *Keeper) types.MsgServer { return msgServer{k} }

func (s msgServer) Register(ctx context.Context, msg *types.MsgRegister) (*types.MsgRegisterResponse, error) {
	id, err := s.k.Register(ctx, msg)
	if err != nil {
		return nil, err
	}
	return &types.MsgRegisterResponse{NexcoreId: id}, nil
}

func (s msgServer) Update(ctx context.Context, msg *types.MsgUpdate) (*types.MsgUpdateResponse, error) {
	return &types.MsgUpdateResponse{}, s.k.Update(ctx, msg)
}

func (s msgServer) Bond(ctx context.Context, msg *types.MsgBond) (*types.MsgBondResponse, error) {
	return &types.MsgBondResponse{}, s.k.Bond(ctx, msg)
}

func (s msgServer) Unbond(ctx context.Context, msg *types.MsgUnbond) (*types.MsgUnbondResponse, error) {
	complete, err := s.k.Unbond(ctx, msg)
	if err != nil {
		return nil, err
	}
	return &types.MsgUnbondResponse{CompleteTime: complete}, nil
}

func (s msgServer) Drain(ctx context.Context, msg *types.MsgDrain) (*types.MsgDrainResponse, error) {
	return &types.MsgDrainResponse{}, s.k.Drain(ctx, msg)
}

func (s msgServer) Deregister(ctx context.Context, msg *types.MsgDeregister) (*types.MsgDeregisterResponse, error) {
	return &types.MsgDeregisterResponse{}, s.k.Deregister(ctx, msg)
}

func (s msgServer) Unjail(ctx context.Context, msg *types.MsgUnjail) (*types.MsgUnjailResponse, error) {
	return &types.MsgUnjailResponse{}, s.k.Unjail(ctx, msg)
}

func (s msgServer) UpdateParams(ctx context.Context, msg *types.MsgUpdateParams) (*types.MsgUpdateParamsResponse, error) {
	if msg.Authority != s.k.authority {
		return nil, types.ErrUnauthorized.Wrapf("parameters are for %s to change", s.k.authority)
	}
	if err := msg.Params.Validate(); err != nil {
		return nil, err
	}
	emit(ctx, types.EventParams)
	return &types.MsgUpdateParamsResponse{}, s.k.params.Set(ctx, msg.Params)
}
