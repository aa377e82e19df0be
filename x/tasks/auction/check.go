package auction

import (
	"errors"
	"fmt"
	"slices"
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

// checker is one run of Check. From the model it takes what was derived from the book and no solver touches: the
// table of rules, prices and costs of pairs, classes with their edges and levels, entries with their usable limits,
// ranks and bonuses, look-ups by number. What an allocation uses, what prices prove and what follows from them it computes
// by itself: no function of a solver is called.
type checker struct {
	m      *Model
	a      *Allocation
	ids    []uint64  // of NexCores, ascending: supplies are large, and each match looks one up
	asked  pair      // of the match at hand; one for all, since the table of rules makes it escape
	places []place   // of each match
	left   []remains // of each NexCore, after the matches so far
	prices []Prices  // of each NexCore
	slots  []int64   // of each NexCore that has a slot price
	roomy  []bool    // NexCores that could take one more shard; nil unless the allocation is cut
}

// place is where a match stands in the model.
type place struct {
	entry  int32
	supply int32 // -1: not in the model
	edge   *Edge // of the entry's class
}

// remains is what a NexCore has left.
type remains struct {
	free         Resources
	bond, leases int64
}

// Check verifies an allocation and its certificate against a model. It returns the first fault, wrapped with its
// place. Work is one pass over the matches, and two over the edges.
func Check(m *Model, a Allocation) error {
	if int64(len(a.Matches)) > m.params.MaxMatches {
		return fmt.Errorf("%w: %d", ErrTooMany, len(a.Matches))
	}
	c := newChecker(m, &a)
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
		c.places[i] = place{entry: int32(entry), supply: c.supply(match.NexCoreID)}
		if err := c.match(match, &c.places[i]); err != nil {
			return match.fault(i, err)
		}
		welfare += match.Welfare // each was compared with count * w, so BoundShards * MaxLimit bounds the sum
		matched += match.Count
	}
	if welfare != a.Welfare || matched != a.Matched || m.coverage.Shards-matched != a.Unmatched {
		return fmt.Errorf("%w: matches say %d unex and %d shards", ErrSum, welfare, matched)
	}
	return c.certificate()
}

func newChecker(m *Model, a *Allocation) *checker {
	c := &checker{
		m: m, a: a, ids: make([]uint64, len(m.supplies)), left: make([]remains, len(m.supplies)), places: make([]place, len(a.Matches)),
	}
	for i := range m.supplies {
		s := &m.supplies[i]
		c.ids[i], c.left[i] = s.ID, remains{s.Free, s.FreeBond, s.LeaseSlots}
	}
	return c
}

// supply returns the index of a NexCore, or -1.
func (c *checker) supply(id uint64) int32 {
	at, found := slices.BinarySearch(c.ids, id)
	if !found {
		return -1
	}
	return int32(at)
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

// match verifies one match: its shards, every rule, its figures, and that its NexCore holds it.
func (c *checker) match(match *Match, at *place) error {
	m := c.m
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
	p := &c.asked
	*p = pair{params: &m.params, shape: shape, supply: &m.supplies[at.supply], entry: entry}
	if failed := p.failed(); failed != 0 {
		return fmt.Errorf("%w: %s", ErrIneligible, lowestRule(failed))
	}
	if at.edge = edgeIn(m.classes[entry.class].edges, at.supply); at.edge == nil || at.edge.Level > entry.level {
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
	return c.left[at.supply].take(&shape.Need, match.Count, Lock(match.Price, match.Count, m.params.LockPPM))
}

// take is one more lease of so many shards. Products stay below 2^60, and nothing was negative before: the rules
// about room, bond and leases held.
func (r *remains) take(need *Resources, shards, lock int64) error {
	for i, v := range need {
		if r.free[i] -= v * shards; r.free[i] < 0 {
			return ErrOverCapacity
		}
	}
	r.bond -= lock
	r.leases--
	switch {
	case r.bond < 0:
		return ErrOverBond
	case r.leases < 0:
		return ErrOverSlots
	}
	return nil
}
