package keeper

import (
	"context"
	"errors"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"

	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"
	reputationtypes "github.com/nexara/nexara/x/reputation/types"

	"github.com/nexara/nexara/x/tasks/lifecycle"
	"github.com/nexara/nexara/x/tasks/types"
	"github.com/nexara/nexara/x/tasks/verdict"
)

// Deliver takes the result of a lease. Delivered shards enter the dispute window; shards that the NexCore
// could not run return to the market. Capacity is free from here on, the bond at the end.
func (k *Keeper) Deliver(ctx context.Context, nexcore nexcoretypes.NexCore, d types.Delivery) error {
	p, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	lease, err := k.nodeLease(ctx, nexcore, d.LeaseId)
	if err != nil {
		return err
	}
	if !leaseState(lease).Live() {
		return types.ErrState.Wrapf("lease %d is %s", lease.Id, leaseState(lease))
	}
	if err := d.Result.Validate(); err != nil {
		return err
	}
	job, err := k.jobs.Get(ctx, lease.JobId)
	if err != nil {
		return err
	}
	if err := inTime(ctx, job, lease); err != nil {
		return err
	}
	outcomes := verdict.Outcomes(d.Result.Outcomes)
	if err := outcomes.Check(int(lease.Count)); err != nil {
		return types.ErrResult.Wrapf("lease %d of %d shards: %s", lease.Id, lease.Count, err)
	}
	delivered := int64(outcomes.Count())
	if delivered == 0 { // legal after the acknowledgement alone: before it, a lease is declined
		return k.closeLease(ctx, p, lease, lifecycle.Lose, allLost(lease))
	}
	sdk.UnwrapSDKContext(ctx).GasMeter().ConsumeGas(types.CustodyGas, "custody signature")
	if err := k.checkCustody(ctx, p, lease, d.Result); err != nil {
		return err
	}
	if lease.State == types.LEASE_STATE_ASSIGNED { // the result overtook its acknowledgement
		if err := k.record(ctx, lease, reputationtypes.DIMENSION_AVAILABILITY, true, lease.Count); err != nil {
			return err
		}
	}
	if err := stepLease(&lease, lifecycle.Deliver); err != nil {
		return err
	}
	if err := k.splitByOutcome(ctx, p, &job, lease, outcomes); err != nil {
		return err
	}
	standing, err := k.standing(ctx, nexcore.Id)
	if err != nil {
		return err
	}
	occupy(&standing, job.Shape.Need, lease.Count, -1)
	standing.Misses, standing.Backoff = 0, 0

	height := heightOf(ctx)
	result := d.Result
	lease.Result, lease.Delivered = &result, delivered
	lease.DeliveredHeight, lease.FinalAt = height, height+p.DisputeWindow
	if err := errors.Join(
		k.leases.Set(ctx, lease.Id, lease), k.finishJob(ctx, p, job), k.unlive(ctx, lease),
		k.standings.Set(ctx, nexcore.Id, standing), k.schedule(ctx, lease.FinalAt, types.DueFinal, lease.Id),
	); err != nil {
		return err
	}
	if lost := lease.Count - delivered; lost > 0 {
		if err := k.record(ctx, lease, reputationtypes.DIMENSION_COMPLETION, false, lost); err != nil {
			return err
		}
	}
	timely := lease.DeliverBy == 0 || height <= lease.DeliverBy-p.GraceBlocks
	if err := k.record(ctx, lease, reputationtypes.DIMENSION_TIMELINESS, timely, delivered); err != nil {
		return err
	}
	emitLease(ctx, lease, EventLeaseMoved)
	return nil
}

// splitByOutcome cuts the lease's range into runs of delivered and of lost shards.
func (k *Keeper) splitByOutcome(ctx context.Context, p types.Params, job *types.Job, lease types.Lease, outcomes verdict.Outcomes) error {
	ranges, err := k.leaseRanges(ctx, lease)
	if err != nil {
		return err
	}
	if len(ranges) != 1 || ranges[0].Count != lease.Count {
		return types.ErrState.Wrapf("lease %d has lost its shards", lease.Id)
	}
	whole := ranges[0]
	if err := k.ranges.Remove(ctx, rangeKey(whole)); err != nil {
		return err
	}
	for _, part := range outcomes.Ranges(int(lease.Count)) {
		run := whole
		run.First, run.Count = whole.First+int64(part.First), int64(part.Count)
		if part.Delivered {
			if err := stepRange(job, &run, lifecycle.Deliver); err != nil {
				return err
			}
			err = k.saveRange(ctx, run)
		} else {
			err = k.reopen(ctx, p, job, run, reopening{event: lifecycle.Lose, lease: lease, excluded: []uint64{lease.NexcoreId}})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkCustody verifies that a gateway, or a NexCore of another operator, signed that it holds the result with
// just these outcomes: each bit is money, so it is not the deliverer's word alone.
func (k *Keeper) checkCustody(ctx context.Context, p types.Params, lease types.Lease, r types.Result) error {
	var key []byte
	if r.Custody.NexcoreId != 0 {
		custodian, err := k.nexcore.GetNexCore(ctx, r.Custody.NexcoreId)
		if err != nil {
			return types.ErrCustody.Wrapf("custodian NexCore %d: %s", r.Custody.NexcoreId, err)
		}
		if custodian.Operator == lease.Operator {
			return types.ErrCustody.Wrapf("custodian NexCore %d is of the same operator", custodian.Id)
		}
		if custodian.Status != nexcoretypes.STATUS_ACTIVE && custodian.Status != nexcoretypes.STATUS_DRAINING {
			return types.ErrCustody.Wrapf("custodian NexCore %d may not sign", custodian.Id)
		}
		key = custodian.NodePubkey
	} else {
		if !listed(p.Gateways, r.Custody.GatewayPubkey) {
			return types.ErrCustody.Wrap("the gateway is not listed in the parameters")
		}
		key = r.Custody.GatewayPubkey
	}
	msg, err := verdict.Custody{
		ChainID: sdk.UnwrapSDKContext(ctx).ChainID(), LeaseID: lease.Id, ResultCID: r.Cid, Root: verdict.Hash(r.Root), Bytes: r.Bytes,
		Outcomes: r.Outcomes,
	}.Message()
	if err != nil {
		return types.ErrCustody.Wrap(err.Error())
	}
	if !(&secp256k1.PubKey{Key: key}).VerifySignature(msg, r.Custody.Signature) {
		return types.ErrCustody.Wrap("the signature does not fit")
	}
	return nil
}

func listed(keys [][]byte, key []byte) bool {
	for _, k := range keys {
		if string(k) == string(key) {
			return true
		}
	}
	return false
}
