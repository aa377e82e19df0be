package auction

import (
	"errors"
	"fmt"
)

// What Check can find. Each is a fault of a solver, never of the market.
var (
	ErrOrder         = errors.New("matches are not in canonical order")
	ErrDuplicate     = errors.New("a shard is matched twice")
	ErrUnknownShard  = errors.New("a matched shard is not open in the model")
	ErrUnknownSupply = errors.New("a matched NexCore is not in the model")
	ErrLeaseSize     = errors.New("a match has too few or too many shards")
	ErrTooMany       = errors.New("more matches than one clearing makes")
	ErrIneligible    = errors.New("a rule does not hold for a match")
	ErrPrice         = errors.New("a match has a price that is not the ask's")
	ErrOverLimit     = errors.New("price and burn pass the limit")
	ErrOverCapacity  = errors.New("a NexCore is given more than its free capacity")
	ErrOverBond      = errors.New("a NexCore's locks pass its free bond")
	ErrOverSlots     = errors.New("a NexCore is given more leases than it may hold")
	ErrSum           = errors.New("welfare or shard counts do not add up")
)

// Check verifies an allocation and its certificate against a model from first principles: it shares the table
// of rules and the arithmetic of money with the solvers and nothing else. It returns the first fault, wrapped with
// its place.
func Check(m *Model, a Allocation) error {
	if int64(len(a.Matches)) > m.params.MaxMatches {
		return fmt.Errorf("%w: %d", ErrTooMany, len(a.Matches))
	}
	rooms := m.rooms()
	places := make([]place, len(a.Matches))
	welfare, matched, entry := int64(0), int64(0), 0
	for i := range a.Matches {
		match := &a.Matches[i]
		if i > 0 {
			if err := checkOrder(&a.Matches[i-1], match); err != nil {
				return match.fault(i, err)
			}
		}
		for entry < len(m.entries) && m.entries[entry].endsBefore(match.JobID, match.First) {
			entry++ // both are in order of (job, first)
		}
		places[i] = place{entry: int32(entry), supply: int32(m.findSupply(match.NexCoreID))}
		if err := m.checkMatch(match, &places[i], rooms); err != nil {
			return match.fault(i, err)
		}
		welfare += match.Welfare // each was compared with count * w, so BoundShards * MaxLimit bounds the sum
		matched += match.Count
	}
	if welfare != a.Welfare || matched != a.Matched || m.coverage.Shards-matched != a.Unmatched {
		return fmt.Errorf("%w: matches say %d unex and %d shards", ErrSum, welfare, matched)
	}
	return m.checkCertificate(&a, places)
}

// place is where a match stands in the model.
type place struct {
	entry  int32
	supply int32 // -1: not in the model
	edge   *Edge
}

func (match *Match) fault(i int, err error) error {
	return fmt.Errorf("match %d, job %d shard %d, NexCore %d: %w", i, match.JobID, match.First, match.NexCoreID, err)
}

// endsBefore says whether all shards of an entry come before a shard.
func (e *entryRow) endsBefore(job uint64, shard int64) bool {
	return e.JobID < job || e.JobID == job && e.First+e.Count <= shard
}

func checkOrder(prev, next *Match) error {
	switch {
	case next.JobID > prev.JobID:
		return nil
	case next.JobID < prev.JobID || next.First < prev.First:
		return ErrOrder
	case next.First < prev.First+prev.Count:
		return ErrDuplicate
	}
	return nil
}

func (m *Model) checkMatch(match *Match, at *place, rooms []room) error {
	if match.Count < 1 || match.Count > m.params.LeaseMax {
		return ErrLeaseSize
	}
	if int(at.entry) == len(m.entries) {
		return ErrUnknownShard
	}
	entry := &m.entries[at.entry]
	if entry.JobID != match.JobID || match.First < entry.First || match.Count > entry.First+entry.Count-match.First {
		return ErrUnknownShard
	}
	if at.supply < 0 {
		return ErrUnknownSupply
	}
	shape := &m.shapes[entry.ShapeIndex]
	p := pair{params: &m.params, shape: shape, supply: &m.supplies[at.supply], entry: entry}
	if failed := p.failed(); failed != 0 {
		return fmt.Errorf("%w: %s", ErrIneligible, lowestRule(failed))
	}
	if at.edge = m.edge(entry.ShapeIndex, int(at.supply)); at.edge == nil || at.edge.Level > entry.level {
		return fmt.Errorf("%w: the model has no such edge", ErrIneligible) // the rules hold: the model contradicts itself
	}
	switch {
	case match.Price != p.price():
		return ErrPrice
	case match.Rent < 0 || match.Rent > MaxLimit:
		return ErrRent
	case match.Price+match.Rent+Burn(match.Price+match.Rent, m.params.BurnPPM) > entry.Limit:
		return ErrOverLimit
	case match.Welfare != match.Count*(entry.usable-p.cost()):
		return ErrSum
	}
	r := &rooms[at.supply]
	r.take(&shape.Need, match.Price, match.Count, &m.params)
	for _, free := range r.free {
		if free < 0 { // the rule free_capacity held, so none was negative before
			return ErrOverCapacity
		}
	}
	switch {
	case r.bond < 0:
		return ErrOverBond
	case r.slots < 0:
		return ErrOverSlots
	}
	return nil
}
