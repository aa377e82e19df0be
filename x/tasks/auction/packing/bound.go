package packing

import (
	"fmt"
	"math"
	"math/bits"
)

// wide is an unsigned 128-bit sum that sticks to its greatest value when it overflows.
type wide struct{ hi, lo uint64 }

func (w *wide) add(hi, lo uint64) {
	var carry uint64
	w.lo, carry = bits.Add64(w.lo, lo, 0)
	w.hi, carry = bits.Add64(w.hi, hi, carry)
	if carry != 0 {
		w.hi, w.lo = math.MaxUint64, math.MaxUint64
	}
}

// addDot adds the sum over resources of price x amount. One dot product is below 6 x 2^112.
func (w *wide) addDot(price, amount *Vector) {
	for r, unit := range price {
		w.add(bits.Mul64(uint64(unit), uint64(amount[r])))
	}
}

func (w wide) less(o wide) bool { return w.hi < o.hi || (w.hi == o.hi && w.lo < o.lo) }

// Bound returns the greatest integer at most D(prices), which no feasible allocation of p passes: with
// v(class) = min over its edges of cost + price . need,
//
//	D = sum over shards of max(0, value - v(class)) + sum over bins of capacity . price
//
// It is exact: all sums are kept in units of 1/PriceScale in 128 bits, and rounding the end result down is
// sound because welfare is an integer. Prices are 0 to MaxPrice, one Vector per bin. A bound past 2^63-1 is
// reported as 2^63-1. The problem must be valid; the error wraps ErrPrices.
func Bound(p *Problem, prices []Vector) (int64, error) {
	if len(prices) != len(p.Bins) {
		return 0, fmt.Errorf("%w: %d prices for %d bins", ErrPrices, len(prices), len(p.Bins))
	}
	var total wide
	for b := range prices {
		for r, unit := range prices[b] {
			if uint64(unit) > uint64(MaxPrice) {
				return 0, fmt.Errorf("%w: resource %d of bin %d", ErrPrices, r, b)
			}
		}
		total.addDot(&prices[b], &p.Bins[b])
	}
	for g := range p.Groups {
		group := &p.Groups[g]
		if len(group.Tiers) == 0 || group.From == group.To {
			continue
		}
		least := wide{math.MaxUint64, math.MaxUint64}
		for i := group.From; i < group.To; i++ {
			e := &p.Edges[i]
			v := wide{0, uint64(e.Cost) << PriceBits}
			if v.addDot(&prices[e.Bin], &p.Needs[e.Need]); v.less(least) {
				least = v
			}
		}
		for _, t := range group.Tiers {
			value := uint64(t.Value) << PriceBits
			if least.hi != 0 || least.lo >= value {
				break // tiers descend
			}
			total.add(bits.Mul64(value-least.lo, uint64(t.Count)))
		}
	}
	hi, lo := total.hi>>PriceBits, total.hi<<(64-PriceBits)|total.lo>>PriceBits
	if hi != 0 || lo > math.MaxInt64 {
		return math.MaxInt64, nil
	}
	return int64(lo), nil
}
