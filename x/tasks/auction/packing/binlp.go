package packing

import (
	"math/bits"
	"slices"
)

// The linear programme of one bin, given a price v per class: buy the bundle of classes (fractions allowed, no
// limit on their number) with the greatest v - cost that fits the capacity. Its dual prices are the cheapest
// ones at which no class gains from the bin, the best answer of this bin to v. Only v changes between solves,
// so the last basis stays feasible and a solve is usually a single look at the candidates.
//
// Numbers are fixed point with lpBits fractional bits. Columns are scaled so that the greatest share is one and
// rows so that the capacity is one. Rounding does no harm: any prices make a bound, slightly worse prices a
// slightly worse one.

const (
	lpBits     = 24
	lpOne      = int64(1) << lpBits
	lpSmall    = lpOne >> 9       // pivots below are refused
	lpLarge    = int64(1) << 31   // elements of the basis inverse beyond are refused: products stay below 2^62
	gainBits   = 26               // gains are scaled to this many bits inside a solve
	perBinBits = 16               // fractional bits of candidate.perBin
	maxPerBin  = int64(1) << 36   // 2^20 shards: no class has more
	listSize   = 24               // candidates kept per bin
	maxPivots  = 3 * MaxResources // per solve
)

// candidate is an arc that the programme of its bin looks at.
type candidate struct {
	arc    int32
	class  int32
	share  [MaxResources]int32 // need / capacity, relative to the greatest of them
	perBin int64               // shards that the scarcest resource holds, perBinBits fractional bits
	cost   int64
}

// binLP holds the candidates of one bin and the basis of its programme. basis[i] is a candidate, or -1-r for
// the slack of resource r; inverse is that of the basis matrix, level the basic solution.
type binLP struct {
	list    []candidate
	basis   [MaxResources]int32
	inverse [MaxResources][MaxResources]int64
	level   [MaxResources]int64
	rent    [MaxResources]int64 // price of the whole capacity, 1/PriceScale money
}

func (lp *binLP) reset(nres int) {
	lp.inverse = [MaxResources][MaxResources]int64{}
	for r := range nres {
		lp.basis[r], lp.inverse[r][r], lp.level[r] = int32(-1-r), lpOne, lpOne
	}
}

// gain is what filling the bin with the candidate would bring, per unit of level, before rent.
func (c *candidate) gain(v []int64) int64 {
	profit := v[c.class] - c.cost
	if profit <= 0 {
		return 0
	}
	return mulShift(profit, c.perBin, perBinBits)
}

// solve brings the basis to the optimum for v and sets rent. It returns its steps: a
// quarter per candidate priced, for those are in cache and in order.
func (lp *binLP) solve(v []int64, nres int) int64 {
	var gains [listSize + MaxResources]int64
	top := int64(0)
	for i := range lp.list {
		gains[i] = lp.list[i].gain(v)
		top = max(top, gains[i])
	}
	steps := int64(len(lp.list)) / 4
	if top == 0 {
		lp.reset(nres)
		lp.rent = [MaxResources]int64{}
		return steps
	}
	shift := uint(max(0, bits.Len64(uint64(top))-gainBits))
	for i := range lp.list {
		gains[i] >>= shift
	}
	var rent [MaxResources]int64
	var banned uint64
	for range maxPivots {
		rent = [MaxResources]int64{}
		for i := range nres {
			if b := lp.basis[i]; b >= 0 {
				for r := range nres {
					rent[r] += gains[b] * lp.inverse[i][r] // 2^26 x 2^31 x 6
				}
			}
		}
		enter, best := int32(0), int64(4) // below: rounding
		found := false
		for r := range nres {
			rent[r] >>= lpBits
			if -rent[r] > best && banned>>(listSize+MaxResources+r)&1 == 0 {
				enter, best, found = int32(-1-r), -rent[r], true
			}
		}
		steps += int64(len(lp.list)) / 4
		for i := range lp.list {
			share := &lp.list[i].share
			sum := rent[0]*int64(share[0]) + rent[1]*int64(share[1]) + rent[2]*int64(share[2]) + rent[3]*int64(share[3])
			if nres > 4 {
				sum += rent[4]*int64(share[4]) + rent[5]*int64(share[5])
			}
			if over := gains[i] - sum>>lpBits; over > best && banned>>i&1 == 0 {
				enter, best, found = int32(i), over, true
			}
		}
		if !found {
			break
		}
		if !lp.pivot(enter, nres) {
			if enter >= 0 {
				banned |= 1 << enter
			} else {
				banned |= 1 << (listSize + MaxResources - 1 - int(enter))
			}
		}
	}
	for r := range nres {
		lp.rent[r] = min(max(0, rent[r]), dotLimit>>shift) << shift
	}
	return steps
}

// pivot brings a column into the basis. It changes nothing and returns false when no safe pivot exists.
func (lp *binLP) pivot(enter int32, nres int) bool {
	var alpha [MaxResources]int64
	for i := range nres {
		if enter < 0 {
			alpha[i] = lp.inverse[i][-1-enter]
			continue
		}
		share := &lp.list[enter].share
		for r := range nres {
			alpha[i] += lp.inverse[i][r] * int64(share[r])
		}
		alpha[i] >>= lpBits
		if alpha[i] > lpLarge || alpha[i] < -lpLarge {
			return false
		}
	}
	leave := -1
	for i := range nres {
		if alpha[i] > lpSmall && (leave < 0 || lp.level[i]*alpha[leave] < lp.level[leave]*alpha[i]) {
			leave = i
		}
	}
	if leave < 0 {
		return false
	}
	next := lp.inverse
	level := lp.level
	level[leave] = level[leave] << lpBits / alpha[leave]
	for r := range nres {
		x := next[leave][r] << lpBits / alpha[leave]
		if x > lpLarge || x < -lpLarge {
			return false
		}
		next[leave][r] = x
	}
	for i := range nres {
		if i == leave || alpha[i] == 0 {
			continue
		}
		level[i] = max(0, level[i]-alpha[i]*level[leave]>>lpBits)
		for r := range nres {
			x := next[i][r] - alpha[i]*next[leave][r]>>lpBits
			if x > lpLarge || x < -lpLarge {
				return false
			}
			next[i][r] = x
		}
	}
	lp.inverse, lp.level = next, level
	lp.basis[leave] = enter
	return true
}

// newCandidate scales an arc for the programme of its bin.
func (m *market) newCandidate(b int, at int32) candidate {
	a := &m.arcs[at]
	c := candidate{arc: at, class: a.class, cost: a.cost}
	need, capacity := &m.need[a.need], &m.p.Bins[b]
	var share [MaxResources]int64
	top := int64(1)
	for r := range m.nres {
		if need[r] > 0 {
			share[r] = mulDiv(need[r], 1<<40, capacity[r]) // capacity is not 0: arcs that need it are left out
			top = max(top, share[r])
		}
	}
	for r := range m.nres {
		c.share[r] = int32(mulDiv(share[r], lpOne, top))
	}
	c.perBin = min(maxPerBin, mulDiv(1<<40, 1<<perBinBits, top))
	return c
}

// price turns rents into prices per unit of resource, rounded up so that no gain is left by rounding.
func (m *market) price(b int, rent *[MaxResources]int64) (price Vector) {
	for r := range m.nres {
		if capacity := m.p.Bins[b][r]; capacity > 0 {
			price[r] = min(MaxPrice, rent[r]/capacity+1)
			if rent[r] == 0 {
				price[r] = 0
			}
		}
	}
	return price
}

// refresh chooses the candidates of bin b anew: the basis, and the arcs with the most to gain at v under its
// present prices, weighed per size so that the programme sees what would displace what. worst is the greatest weighed gain
// of an arc that was not in the basis: prices that leave none have worst <= 0.
func (m *market) refresh(b int, lp *binLP, v []int64, size []int64, shift uint) (steps, worst int64) {
	type scored struct {
		score int64
		arc   int32
	}
	var best [listSize]scored
	kept, n := 0, 0
	var held [MaxResources]int32
	list := make([]candidate, 0, listSize)
	for i := range m.nres {
		if j := lp.basis[i]; j >= 0 {
			held[kept] = lp.list[j].arc
			lp.basis[i] = int32(kept)
			kept++
			list = append(list, lp.list[j])
		}
	}
	price := m.price(b, &lp.rent)
	small := m.small(&price)
	room := listSize - kept
	arcs := m.arcs[m.arcAt[b]:m.arcAt[b+1]]
	for i := range arcs {
		a := &arcs[i]
		over := v[a.class] - a.cost
		if over <= 0 {
			continue
		}
		if small {
			over -= plainDot(&price, &m.need[a.need], m.nres)
		} else {
			over -= dot(&price, &m.need[a.need])
		}
		score := (max(over, -m.top) >> shift) * size[a.class]
		at := m.arcAt[b] + int32(i)
		if (n == room && score <= best[n-1].score) || slices.Contains(held[:kept], at) {
			continue
		}
		j := min(n, room-1)
		n = min(n+1, room)
		for ; j > 0 && best[j-1].score < score; j-- {
			best[j] = best[j-1]
		}
		best[j] = scored{score, at}
	}
	for _, s := range best[:n] {
		list = append(list, m.newCandidate(b, s.arc))
	}
	lp.list = list
	if n > 0 {
		worst = best[0].score
	}
	return int64(len(arcs)), worst
}
