package keeper

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/tasks/types"
)

// msgServer authorises and hands over; the rules are in types/rules.go, the moves in lifecycle.
type msgServer struct{ k *Keeper }

// NewMsgServer returns the market's message server.
func NewMsgServer(k *Keeper) types.MsgServer { return msgServer{k} }

func (s msgServer) PostOffer(ctx context.Context, msg *types.MsgPostOffer) (*types.MsgPostOfferResponse, error) {
	height, err := s.k.PostOffer(ctx, msg)
	if err != nil {
		return nil, err
	}
	return &types.MsgPostOfferResponse{ActivationHeight: height}, nil
}

func (s msgServer) RefreshOffer(ctx context.Context, msg *types.MsgRefreshOffer) (*types.MsgRefreshOfferResponse, error) {
	nexcore, err := s.k.node(ctx, msg.Node)
	if err != nil {
		return nil, err
	}
	expires, err := s.k.refresh(ctx, nexcore.Id)
	if err != nil {
		return nil, err
	}
	if expires == 0 {
		return nil, types.ErrNotFound.Wrapf("offer of NexCore %d", nexcore.Id)
	}
	return &types.MsgRefreshOfferResponse{ExpiresHeight: expires}, nil
}

func (s msgServer) WithdrawOffer(ctx context.Context, msg *types.MsgWithdrawOffer) (*types.MsgWithdrawOfferResponse, error) {
	if err := s.k.WithdrawOffer(ctx, msg); err != nil {
		return nil, err
	}
	return &types.MsgWithdrawOfferResponse{}, nil
}

func (s msgServer) Submit(ctx context.Context, msg *types.MsgSubmit) (*types.MsgSubmitResponse, error) {
	id, err := s.k.Submit(ctx, msg)
	if err != nil {
		return nil, err
	}
	return &types.MsgSubmitResponse{JobId: id}, nil
}

func (s msgServer) TopUp(ctx context.Context, msg *types.MsgTopUp) (*types.MsgTopUpResponse, error) {
	paid, err := s.k.TopUp(ctx, msg)
	if err != nil {
		return nil, err
	}
	return &types.MsgTopUpResponse{Paid: paid}, nil
}

func (s msgServer) Cancel(ctx context.Context, msg *types.MsgCancel) (*types.MsgCancelResponse, error) {
	if err := s.k.Cancel(ctx, msg); err != nil {
		return nil, err
	}
	return &types.MsgCancelResponse{}, nil
}

func (s msgServer) Acknowledge(ctx context.Context, msg *types.MsgAcknowledge) (*types.MsgAcknowledgeResponse, error) {
	if n := len(msg.LeaseIds); n < 1 || n > types.MaxAckLeases {
		return nil, types.ErrInvalidLease.Wrapf("%d leases, allowed are 1 to %d", n, types.MaxAckLeases)
	}
	nexcore, err := s.k.node(ctx, msg.Node)
	if err != nil {
		return nil, err
	}
	lease := func(id uint64) uint64 { return id }
	if err := each(ctx, "acknowledge", msg.LeaseIds, lease, func(ctx context.Context, id uint64) error {
		return s.k.Acknowledge(ctx, nexcore, id)
	}); err != nil {
		return nil, err
	}
	_, err = s.k.refresh(ctx, nexcore.Id)
	return &types.MsgAcknowledgeResponse{}, err
}

func (s msgServer) Decline(ctx context.Context, msg *types.MsgDecline) (*types.MsgDeclineResponse, error) {
	if msg.Reason < types.DECLINE_REASON_INPUT_UNAVAILABLE || msg.Reason > types.DECLINE_REASON_OTHER {
		return nil, types.ErrInvalidLease.Wrapf("decline reason %d is unknown", msg.Reason)
	}
	nexcore, err := s.k.node(ctx, msg.Node)
	if err != nil {
		return nil, err
	}
	if err := s.k.Decline(ctx, nexcore, msg.LeaseId, msg.Reason); err != nil {
		return nil, err
	}
	_, err = s.k.refresh(ctx, nexcore.Id)
	return &types.MsgDeclineResponse{}, err
}

func (s msgServer) Deliver(ctx context.Context, msg *types.MsgDeliver) (*types.MsgDeliverResponse, error) {
	if n := len(msg.Deliveries); n < 1 || n > types.MaxDeliveries {
		return nil, types.ErrInvalidLease.Wrapf("%d deliveries, allowed are 1 to %d", n, types.MaxDeliveries)
	}
	nexcore, err := s.k.node(ctx, msg.Node)
	if err != nil {
		return nil, err
	}
	lease := func(d types.Delivery) uint64 { return d.LeaseId }
	if err := each(ctx, "deliver", msg.Deliveries, lease, func(ctx context.Context, d types.Delivery) error {
		return s.k.Deliver(ctx, nexcore, d)
	}); err != nil {
		return nil, err
	}
	_, err = s.k.refresh(ctx, nexcore.Id)
	return &types.MsgDeliverResponse{}, err
}

// each handles the items of a batch on their own: one that fails, such as a lease that was cancelled in
// the meantime, leaves the others alone and is evented with its lease and its error. A batch of which nothing
// succeeds gives its first error.
func each[T any](ctx context.Context, kind string, items []T, lease func(T) uint64, handle func(context.Context, T) error) error {
	var first error
	done := 0
	for _, item := range items {
		cached, write := sdk.UnwrapSDKContext(ctx).CacheContext()
		if err := handle(cached, item); err != nil {
			if first == nil {
				first = err
			}
			emitFailure(ctx, kind, lease(item), err)
			continue
		}
		write()
		done++
	}
	if done == 0 {
		return first
	}
	return nil
}

func (s msgServer) UpdateParams(ctx context.Context, msg *types.MsgUpdateParams) (*types.MsgUpdateParamsResponse, error) {
	if msg.Authority != s.k.authority {
		return nil, types.ErrUnauthorized.Wrap("only governance changes parameters")
	}
	if err := msg.Params.Validate(); err != nil {
		return nil, err
	}
	return &types.MsgUpdateParamsResponse{}, s.k.params.Set(ctx, msg.Params)
}
