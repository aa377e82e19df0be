package keeper

import (
	"context"
	"errors"
	"strconv"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/reputation/score"
	"github.com/nexara/nexara/x/reputation/types"
)

// thirdOfLease is what one outcome adds to a pair's count, in thousandths. A lease that runs through has three
// outcomes of its NexCore (availability, timeliness, completion): together they count as one lease, and
// whoever skips one of them skips its weight with it. Rounded up, never less than a lease.
const thirdOfLease = (score.MilliLease + 2) / 3

// Record moves a score by one objective outcome and appends its canonical record to the block's commitment.
// It costs the same however many outcomes the block, the subject or the pair has. ErrFact when the fact is malformed.
func (k *Keeper) Record(ctx context.Context, f types.Fact) error {
	if err := f.Validate(); err != nil {
		return err
	}
	p, err := k.params.Get(ctx)
	if err != nil {
		return err
	}
	pair, err := k.pair(ctx, p, f)
	if err != nil {
		return err
	}
	weight := score.Weight(f.Burn, p.Unit, p.WeightCap, pair.Count)
	t, err := k.tally(ctx, p, f.Subject(), f.Dimension)
	if err != nil {
		return err
	}
	after := evidence(t).Add(f.Good, weight)
	t.Good, t.Bad = after.Good, after.Bad
	before := pair.Count
	pair.Count = min(pair.Count+countOf(f), score.MaxPair)
	if err := errors.Join(
		k.tallies.Set(ctx, collections.Join(t.Subject, uint32(t.Dimension)), t),
		k.pairs.Set(ctx, collections.Join(pair.Requester, pair.Operator), pair),
	); err != nil {
		return err
	}
	return k.commit(ctx, f, before, types.Outcome{
		Subject: t.Subject, Dimension: f.Dimension, Good: f.Good, Weight: weight,
		Height: heightOf(ctx), LeaseId: f.LeaseID, Reason: f.Reason,
	})
}

// countOf is what a fact adds to the pair's count. A requester's good outcome comes beside its NexCore's three; a bad
// one ends a lease that has no other, and so counts whole: an operator that keeps blaming one requester weighs less each time.
func countOf(f types.Fact) uint64 {
	switch {
	case !f.AboutRequester:
		return thirdOfLease
	case f.Good:
		return 0
	default:
		return score.MilliLease
	}
}

// pair returns the count of a fact's two parties as of now.
func (k *Keeper) pair(ctx context.Context, p types.Params, f types.Fact) (types.Pair, error) {
	epoch := p.Epoch(heightOf(ctx))
	pair, err := k.pairs.Get(ctx, collections.Join(f.Requester, f.Operator))
	if errors.Is(err, collections.ErrNotFound) {
		return types.Pair{Requester: f.Requester, Operator: f.Operator, Epoch: epoch}, nil
	}
	return fade(pair, epoch), err
}

// commit extends the running block's hash by a record and repeats the record as an event.
func (k *Keeper) commit(ctx context.Context, f types.Fact, pairCount uint64, o types.Outcome) error {
	pending, err := k.pending.Get(ctx)
	if err != nil && !errors.Is(err, collections.ErrNotFound) {
		return err
	}
	if pending.Count > 0 && pending.Height != o.Height {
		// Recorded after EndBlock of an earlier block: its own hash, so that none is ever lost.
		if err := k.hashes.Set(ctx, pending.Height, pending); err != nil {
			return err
		}
		pending = types.OutcomesHash{}
	}
	record, err := o.Marshal()
	if err != nil {
		return err
	}
	var previous [types.HashBytes]byte
	copy(previous[:], pending.Hash)
	hash := types.NextHash(previous, record)
	pending = types.OutcomesHash{Height: o.Height, Hash: hash[:], Count: pending.Count + 1}
	emit(ctx, types.EventOutcome,
		attr("subject", o.Subject), num("dimension", uint64(o.Dimension)), attr("good", strconv.FormatBool(o.Good)),
		num("weight", o.Weight), num("height", uint64(o.Height)), num("lease", o.LeaseId), attr("reason", o.Reason),
		num("index", pending.Count-1), attr("requester", f.Requester), attr("operator", f.Operator),
		num("burn", uint64(f.Burn)), num("pair", pairCount),
	)
	return k.pending.Set(ctx, pending)
}

func emit(ctx context.Context, kind string, attributes ...sdk.Attribute) {
	sdk.UnwrapSDKContext(ctx).EventManager().EmitEvent(sdk.NewEvent(kind, attributes...))
}

func attr(key, value string) sdk.Attribute { return sdk.Attribute{Key: key, Value: value} }

func num(key string, n uint64) sdk.Attribute { return attr(key, strconv.FormatUint(n, 10)) }
