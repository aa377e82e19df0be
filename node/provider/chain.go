package provider

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/nexara/nexara/node/chain"
	"github.com/nexara/nexara/node/lease"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

// desired is the chain as node/lease needs it.
type desired struct {
	client  *chain.Client
	sender  *chain.Sender
	nexcore uint64
}

var _ lease.Chain = desired{}

func (d desired) Assignments(ctx context.Context) (*tasksv1.QueryAssignmentsResponse, error) {
	return d.client.Assignments(ctx, d.nexcore)
}

func (d desired) Lease(ctx context.Context, id uint64) (*tasksv1.Lease, bool, error) {
	l, err := d.client.Lease(ctx, id)
	if errors.Is(err, chain.ErrNotFound) {
		return nil, false, nil
	}
	return l, err == nil, err
}

func (d desired) Submit(ctx context.Context, msgs ...proto.Message) (lease.Tx, lease.Fate, error) {
	sent, err := d.sender.Submit(ctx, msgs...)
	return lease.Tx{Hash: sent.Hash, Expires: sent.Expires}, fate(err), err
}

func (d desired) Confirm(ctx context.Context, hash string) (lease.Fate, error) {
	_, err := d.sender.Confirm(ctx, hash)
	switch {
	case err == nil:
		return lease.FateIncluded, nil
	case errors.Is(err, chain.ErrPending):
		return lease.FatePending, nil
	case errors.Is(err, chain.ErrTx):
		return fate(err), nil
	}
	return lease.FatePending, err
}

// fate sorts the chain's refusals into what the reconciler can do about them.
func fate(err error) lease.Fate {
	switch {
	case err == nil:
		return lease.FatePending
	case errors.Is(err, chain.ErrLease):
		return lease.FateLease
	case errors.Is(err, chain.ErrCustody):
		return lease.FateCustody
	case errors.Is(err, chain.ErrResult), errors.Is(err, chain.ErrUnauthorized), errors.Is(err, chain.ErrStanding):
		return lease.FateFinal
	}
	return lease.FateRetry
}
