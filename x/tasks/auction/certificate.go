package auction

import (
	"cmp"
	"slices"
)

// PriceScale is one unex in the unit of a resource's price: prices per unit of a resource are far below one
// micro-NEX, so they are counted in 2^-19 unex.
const PriceScale = int64(1) << priceShift

const priceShift = 19

// Dimensions of a priced vector: the resources, the bond, the leases.
const (
	// BondDim is a NexCore's free bond, in unex.
	BondDim = NumResources
	// LeaseDim is a NexCore's room for leases, in 2^-19 leases.
	LeaseDim = NumResources + 1
	// NumDims is the length of a priced vector.
	NumDims = NumResources + 2
)

// Dims is a vector of needs, of capacity or of prices: the resources, then BondDim and LeaseDim.
type Dims [NumDims]int64

// Prices are what the capacity of one NexCore is worth to the requesters that compete for it: scarcity rent,
// above the ask. Both parts add up; all are 0 where nothing is scarce.
type Prices struct {
	Slot int64 // of room for one shard, unex
	Tie  int64 // of the same in the second order, ties (seed.go); any sign where Slot > 0
	Dims Dims  // per unit of each dimension, in 2^-19 unex
}

// Priced are the prices of one NexCore in a certificate.
type Priced struct {
	NexCoreID uint64
	Prices
	Width int64 // greatest less least optimal slot price, unex; 0 unless the certificate is exact
}

// Hint is a price of the clearing before: where a solver starts, and what why-not says about scarcity.
type Hint struct {
	NexCoreID uint64
	Prices
	Width int64 // as in Priced
}

// Step of a proof that prices are least: Entry keeps this NexCore's price from being lower, for it would move
// there, from the NexCore Parent where it has a shard, or from no match at all.
type Step struct {
	NexCoreID uint64
	JobID     uint64 // the entry, by job and first shard
	First     int64
	Parent    uint64 // an earlier step's NexCore, or one without a price; 0: a shard without a match
}

// Certificate lets anyone bound what an allocation left on the table, in one pass over the edges.
type Certificate struct {
	Prices []Priced // NexCores with a price other than 0, ascending by number
	// Exact says that no allocation of the covered book has more welfare, none of the same welfare a greater sum of tie
	// bonuses, and each class is filled in order; that the prices are the least that prove it, which Proof shows. An
	// allocation that was cut is never exact.
	Exact bool
	Proof []Step // one for each priced NexCore, each after its parent; nil unless Exact
}

// GapPPM is (bound - welfare) / bound in millionths, rounded up; 0 when the bound is 0.
func GapPPM(bound, welfare int64) int64 {
	if bound <= 0 || welfare >= bound {
		return 0
	}
	return mulDivCeil(bound-welfare, PPM, bound)
}

// addHints keeps the hints of NexCores in the model, one each, and clears negative prices.
func (m *Model) addHints(hints []Hint) {
	for _, h := range hints {
		if m.findSupply(h.NexCoreID) < 0 {
			continue
		}
		h.Slot, h.Width = min(max(h.Slot, 0), MaxLimit), min(max(h.Width, 0), MaxLimit)
		for i := range h.Dims {
			h.Dims[i] = max(h.Dims[i], 0)
		}
		m.hints = append(m.hints, h)
	}
	slices.SortStableFunc(m.hints, func(a, b Hint) int { return cmp.Compare(a.NexCoreID, b.NexCoreID) })
	m.hints = slices.CompactFunc(m.hints, func(a, b Hint) bool { return a.NexCoreID == b.NexCoreID })
}

// countSlots is how many shards each NexCore can hold at most, whatever their mix: n of them need n times the least
// need of its edges in every resource. Where all needs are the same it is exact: then the market is a network.
// No more shards than the model has. uniform says that no NexCore sees needs that differ.
func (m *Model) countSlots() (slots []int64, uniform bool) {
	least, uniform := m.leastNeeds()
	slots = make([]int64, len(m.supplies))
	for i := range slots {
		if least[i][0] == noNeed {
			continue
		}
		slots[i] = m.coverage.Shards
		for r, v := range least[i] {
			if v > 0 {
				slots[i] = min(slots[i], m.supplies[i].Free[r]/v)
			}
		}
	}
	return slots, uniform
}

// noNeed is above every need.
const noNeed = MaxCapacity + 1

// leastNeeds is the least need of each NexCore's edges by resource, noNeed where it has none; uniform says that no NexCore
// sees needs that differ.
func (m *Model) leastNeeds() (least []Resources, uniform bool) {
	least, uniform = make([]Resources, len(m.supplies)), true
	for i := range least {
		least[i] = Resources{noNeed, noNeed, noNeed, noNeed}
	}
	last := make([]int32, len(m.supplies)) // one more than the shape that last had an edge there; of like neighbours, the first
	kind := int32(0)
	for i := range m.shapes {
		need := m.shapes[i].Need
		if i == 0 || need != m.shapes[i-1].Need {
			kind = int32(i) + 1
		}
		edges := m.Edges(i)
		for j := range edges {
			s := edges[j].Supply
			if last[s] == kind {
				continue
			}
			uniform = uniform && (last[s] == 0 || need == m.shapes[last[s]-1].Need)
			last[s] = kind
			l := &least[s]
			l[0], l[1], l[2], l[3] = min(l[0], need[0]), min(l[1], need[1]), min(l[2], need[2]), min(l[3], need[3])
		}
	}
	return least, uniform
}

// leaseShare is the least part of a lease, in 2^-19, that one shard of a class takes: a lease holds shards of
// one entry, at most LeaseMax.
func (m *Model) leaseShare(c *classRow) int64 {
	most := int64(1)
	for i := range c.entries {
		most = max(most, c.entries[i].count)
	}
	return PriceScale / min(most, m.params.LeaseMax)
}

// leaseShares are leaseShare of every class.
func (m *Model) leaseShares() []int64 {
	out := make([]int64, len(m.classes))
	for i := range out {
		out[i] = m.leaseShare(&m.classes[i])
	}
	return out
}

// bondShare is the least part of a bond that one shard at a price locks, unex: what a lock rounds up, this
// rounds down.
func (m *Model) bondShare(price int64) int64 {
	if m.params.LockPPM == PPM {
		return price // the usual lock, without a division for each edge
	}
	return mulDivFloor(price, m.params.LockPPM, PPM)
}

// capacity is a NexCore's vector: what is free, the free bond, the room for leases; negative counts as none.
func (s *supplyRow) capacity() (d Dims) {
	for r, v := range s.Free {
		d[r] = max(v, 0)
	}
	d[BondDim] = max(s.FreeBond, 0)
	d[LeaseDim] = min(max(s.LeaseSlots, 0), BoundShards) * PriceScale
	return d
}
