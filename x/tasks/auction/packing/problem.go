// Package packing allocates shards to NexCores when each takes a vector of resources and integrality bites:
// the vector market, a multi-class generalised assignment. It takes a Problem (bins with capacities, demand
// classes with tiers of value, edges with costs) and returns how many shards each edge carries, a price per bin
// and resource, and an upper bound that those prices prove. It is pure: integers in, integers out. It never
// uses a float, reads a clock, starts a goroutine, ranges over a map or panics, and two machines that call
// Solve with the same input stop at the same step with the same answer. In the flow of a block it stands
// between the model of package auction and the clearing record; whoever checks the record needs Bound alone.
package packing

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// MaxResources is the length of a Vector. Resources that a market does not have stay zero.
const MaxResources = 6

// Bounds of a Problem. With them every sum of money fits in int64 and every priced sum in 128 bits.
const (
	MaxMoney   = int64(1) << 43 // of a tier value and of an edge cost
	MaxAmount  = int64(1) << 50 // of a capacity and of a need
	MaxShards  = int64(1) << 20 // of the counts of all tiers together
	MaxBins    = 1 << 20
	MaxGroups  = 1 << 20
	MaxEdges   = 1 << 22
	MaxNeeds   = 1 << 22
	MaxTiers   = 1 << 20 // of all groups together
	PriceBits  = 19
	PriceScale = int64(1) << PriceBits // prices are in units of money / PriceScale per unit of resource
	MaxPrice   = MaxMoney << PriceBits // 2^62: a price at which one unit outweighs every value
)

// ErrProblem is wrapped by every error about a Problem that breaks its rules; ErrStart and ErrPrices by those
// about Options.Start and about prices.
var (
	ErrProblem = errors.New("packing: bad problem")
	ErrStart   = errors.New("packing: start is not a feasible allocation")
	ErrPrices  = errors.New("packing: bad prices")
)

// Vector is an amount, or a price, of each resource.
type Vector [MaxResources]int64

// Problem is one market. Solve and Bound only read it.
type Problem struct {
	Bins   []Vector // capacity of each NexCore, 0 to MaxAmount
	Needs  []Vector // table of need vectors, 0 to MaxAmount
	Groups []Group  // demand classes; their runs of edges ascend and do not overlap
	Edges  []Edge   // inside a group strictly ascending by Bin
}

// Group is a demand class: like shards that differ in value only.
type Group struct {
	From, To int32  // its edges are Problem.Edges[From:To]
	Tiers    []Tier // by Value, descending; a class fills them from the top
}

// Tier is Count shards that are worth Value each (their usable limit).
type Tier struct {
	Value int64 // 0 to MaxMoney
	Count int64 // 0 or more
}

// Edge lets shards of one class run on one bin.
type Edge struct {
	Bin  int32 // index into Problem.Bins
	Need int32 // index into Problem.Needs: what one shard takes
	Cost int64 // per shard, 0 to MaxMoney
}

// Validate checks every rule that the comments of Problem state. Work is one look at each item.
func (p *Problem) Validate() error {
	if len(p.Bins) > MaxBins || len(p.Needs) > MaxNeeds || len(p.Groups) > MaxGroups || len(p.Edges) > MaxEdges {
		return fmt.Errorf("%w: %d bins, %d needs, %d groups, %d edges", ErrProblem, len(p.Bins), len(p.Needs), len(p.Groups), len(p.Edges))
	}
	if i := firstOutside(p.Bins); i >= 0 {
		return fmt.Errorf("%w: capacity of bin %d", ErrProblem, i)
	}
	if i := firstOutside(p.Needs); i >= 0 {
		return fmt.Errorf("%w: need %d", ErrProblem, i)
	}
	for i := range p.Edges {
		e := &p.Edges[i]
		if uint32(e.Bin) >= uint32(len(p.Bins)) || uint32(e.Need) >= uint32(len(p.Needs)) || uint64(e.Cost) > uint64(MaxMoney) {
			return fmt.Errorf("%w: edge %d", ErrProblem, i)
		}
	}
	return p.validateGroups()
}

func (p *Problem) validateGroups() error {
	var shards, worth int64
	tiers, end := 0, int32(0)
	for i := range p.Groups {
		g := &p.Groups[i]
		if g.From < end || g.To < g.From || int(g.To) > len(p.Edges) {
			return fmt.Errorf("%w: run of edges of group %d", ErrProblem, i)
		}
		end = g.To
		for e := g.From + 1; e < g.To; e++ {
			if p.Edges[e].Bin <= p.Edges[e-1].Bin {
				return fmt.Errorf("%w: edges of group %d do not ascend by bin", ErrProblem, i)
			}
		}
		if tiers += len(g.Tiers); tiers > MaxTiers {
			return fmt.Errorf("%w: more than %d tiers", ErrProblem, MaxTiers)
		}
		last := MaxMoney
		for _, t := range g.Tiers {
			if t.Value < 0 || t.Value > last || t.Count < 0 || t.Count > MaxShards-shards {
				return fmt.Errorf("%w: tiers of group %d", ErrProblem, i)
			}
			last = t.Value
			shards += t.Count
			// One point of the allowed range, 2^43 x 2^20, does not fit in int64.
			hi, lo := bits.Mul64(uint64(t.Value), uint64(t.Count))
			if hi != 0 || lo > uint64(math.MaxInt64-worth) {
				return fmt.Errorf("%w: value of all shards passes 2^63-1", ErrProblem)
			}
			worth += int64(lo)
		}
	}
	return nil
}

// firstOutside returns the index of the first vector with a component outside 0..MaxAmount, or -1.
func firstOutside(vectors []Vector) int {
	for i := range vectors {
		for _, amount := range vectors[i] {
			if uint64(amount) > uint64(MaxAmount) {
				return i
			}
		}
	}
	return -1
}

// Evaluate returns the welfare of an allocation, given as a count per edge, or an error that wraps ErrStart when
// it is not feasible. It shares nothing with the search.
func Evaluate(p *Problem, count []int64) (int64, error) {
	if len(count) != len(p.Edges) {
		return 0, fmt.Errorf("%w: %d counts for %d edges", ErrStart, len(count), len(p.Edges))
	}
	free := make([]Vector, len(p.Bins))
	copy(free, p.Bins)
	var welfare int64
	next := int32(0)
	for g := range p.Groups {
		group := &p.Groups[g]
		var left int64
		for _, t := range group.Tiers {
			left += t.Count
		}
		var placed int64
		for ; next < group.From; next++ {
			if count[next] != 0 {
				return 0, fmt.Errorf("%w: edge %d belongs to no group", ErrStart, next)
			}
		}
		for ; next < group.To; next++ {
			n, edge := count[next], &p.Edges[next]
			if n < 0 || n > left {
				return 0, fmt.Errorf("%w: %d shards on edge %d, %d left in its class", ErrStart, n, next, left)
			}
			left -= n
			placed += n
			for r, need := range p.Needs[edge.Need] {
				hi, lo := bits.Mul64(uint64(need), uint64(n)) // below 2^70
				if hi != 0 || lo > uint64(free[edge.Bin][r]) {
					return 0, fmt.Errorf("%w: resource %d of bin %d", ErrStart, r, edge.Bin)
				}
				free[edge.Bin][r] -= int64(lo)
			}
			welfare -= n * edge.Cost // counts of all groups stay within MaxShards
		}
		for _, t := range group.Tiers {
			n := min(placed, t.Count)
			placed -= n
			welfare += n * t.Value
		}
	}
	for ; int(next) < len(count); next++ {
		if count[next] != 0 {
			return 0, fmt.Errorf("%w: edge %d belongs to no group", ErrStart, next)
		}
	}
	return welfare, nil
}
