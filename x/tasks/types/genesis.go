package types

import (
	"math"

	"github.com/nexara/nexara/x/denom"
)

// DefaultGenesis is an empty market.
func DefaultGenesis() *GenesisState { return &GenesisState{Params: DefaultParams()} }

// Validate checks that parameters are in bounds, that records belong together and that escrow adds up.
func (g GenesisState) Validate() error {
	if err := g.Params.Validate(); err != nil {
		return err
	}
	if n := len(g.Seed); n != 0 && n != SeedBytes {
		return ErrGenesis.Wrapf("seed has %d bytes", n)
	}
	shapes := map[uint64]bool{} // looked up only, never ranged over
	for _, s := range g.Shapes {
		if shapes[s.Id] || s.Id == 0 || s.Id >= g.NextShapeId {
			return ErrGenesis.Wrapf("shape %d is double or out of sequence", s.Id)
		}
		shapes[s.Id] = true
		if err := s.Shape.Validate(g.Params); err != nil {
			return ErrGenesis.Wrapf("shape %d: %s", s.Id, err)
		}
	}
	jobs := map[uint64]*Job{}
	counted := map[uint64]int64{}
	escrow := int64(0)
	for i := range g.Jobs {
		j := &g.Jobs[i]
		if jobs[j.Id] != nil || j.Id == 0 || j.Id >= g.NextJobId {
			return ErrGenesis.Wrapf("job %d is double or out of sequence", j.Id)
		}
		if !shapes[j.ShapeId] {
			return ErrGenesis.Wrapf("job %d has no shape %d", j.Id, j.ShapeId)
		}
		if j.Escrow < 0 || j.Escrow > denom.MaxUnex {
			return ErrGenesis.Wrapf("job %d holds %d", j.Id, j.Escrow)
		}
		if j.Escrow > math.MaxInt64-escrow {
			return ErrGenesis.Wrapf("jobs hold more than there is: the sum passes 64 bits at job %d", j.Id)
		}
		jobs[j.Id] = j
		escrow += j.Escrow
	}
	if escrow != g.Totals.Escrow {
		return ErrGenesis.Wrapf("jobs hold %d, totals say %d", escrow, g.Totals.Escrow)
	}
	for _, r := range g.Ranges {
		j := jobs[r.JobId]
		if j == nil || r.First < 0 || r.Count < 1 || r.First > j.Shards-r.Count {
			return ErrGenesis.Wrapf("shards %d+%d of job %d", r.First, r.Count, r.JobId)
		}
		counted[r.JobId] += r.Count
	}
	tombs := make(map[uint64]bool, len(g.Tombstones)) // looked up only
	for _, t := range g.Tombstones {
		tombs[t.JobId] = true
	}
	for i := range g.Jobs {
		// A job that is being deleted over several blocks has a tombstone already.
		if j := &g.Jobs[i]; counted[j.Id] != j.Shards && !tombs[j.Id] {
			return ErrGenesis.Wrapf("job %d has %d of its %d shards", j.Id, counted[j.Id], j.Shards)
		}
	}
	for _, l := range g.Leases {
		if jobs[l.JobId] == nil || l.Id == 0 || l.Id >= g.NextLeaseId {
			return ErrGenesis.Wrapf("lease %d is of no job or out of sequence", l.Id)
		}
	}
	return nil
}
