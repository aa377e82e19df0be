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
	owner := make(map[uint64]uint64, len(g.Leases)) // job by lease, looked up only
	for _, l := range g.Leases {
		if owner[l.Id] != 0 {
			return ErrGenesis.Wrapf("lease %d is double", l.Id)
		}
		owner[l.Id] = l.JobId
	}
	held := map[uint64]int64{} // by job, what its shards still hold; looked up only
	for _, r := range g.Ranges {
		j := jobs[r.JobId]
		if j == nil || r.First < 0 || r.Count < 1 || r.First > j.Shards-r.Count {
			return ErrGenesis.Wrapf("shards %d+%d of job %d", r.First, r.Count, r.JobId)
		}
		counted[r.JobId] += r.Count
		if r.Charged < 0 || r.Charged > r.Limit || r.Limit > denom.MaxUnex || r.Count > MaxShardsPerJob {
			return ErrGenesis.Wrapf("shards %d+%d of job %d: %d of a limit of %d is charged", r.First, r.Count, r.JobId, r.Charged, r.Limit)
		}
		if r.State != SHARD_STATE_SETTLED {
			held[r.JobId] += (r.Limit - r.Charged) * r.Count
		}
		if leased := r.State != SHARD_STATE_OPEN && r.State != SHARD_STATE_SETTLED; leased && owner[r.LeaseId] != r.JobId {
			return ErrGenesis.Wrapf("shards %d+%d of job %d are of lease %d, which is not the job's", r.First, r.Count, r.JobId, r.LeaseId)
		}
	}
	tombs := make(map[uint64]bool, len(g.Tombstones)) // looked up only
	for _, t := range g.Tombstones {
		tombs[t.JobId] = true
	}
	for i := range g.Jobs {
		if j := &g.Jobs[i]; held[j.Id] != j.Escrow {
			return ErrGenesis.Wrapf("job %d holds %d, its shards %d", j.Id, j.Escrow, held[j.Id])
		}
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
	offers := make(map[uint64]bool, len(g.Offers)) // looked up only
	for _, o := range g.Offers {
		if offers[o.NexcoreId] || o.NexcoreId == 0 {
			return ErrGenesis.Wrapf("offer of NexCore %d is double or of nobody", o.NexcoreId)
		}
		offers[o.NexcoreId] = true
	}
	if int64(len(g.Offers)) != g.Totals.Offers {
		return ErrGenesis.Wrapf("%d offers, totals say %d", len(g.Offers), g.Totals.Offers)
	}
	return nil
}
