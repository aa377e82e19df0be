package auction

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Both ways to a rent give the exact sum wherever they are used, and dear beyond it.
func TestRentIsExact(t *testing.T) {
	plain := 0
	rapid.Check(t, func(t *rapid.T) {
		var p Prices
		var need Dims
		p.Slot = rapid.Int64Range(0, MaxLimit+2).Draw(t, "slot")
		exact := new(big.Int).Lsh(big.NewInt(p.Slot), priceShift)
		shift := rapid.IntRange(0, 62).Draw(t, "shift")
		for d := range need {
			p.Dims[d] = rapid.Int64Range(0, maxInt64>>shift).Draw(t, "price")
			need[d] = rapid.Int64Range(0, MaxCapacity).Draw(t, "need") >> rapid.IntRange(0, 40).Draw(t, "smaller")
			exact.Add(exact, new(big.Int).Mul(big.NewInt(p.Dims[d]), big.NewInt(need[d])))
		}
		want := dear
		if exact.IsUint64() && exact.Uint64() < dear && p.Slot < unpayable {
			want = exact.Uint64()
		}
		if got := rentOf(&p, &need); got != want {
			t.Fatalf("%d, want %d", got, want)
		}
		if fits(&p, &need) {
			plain++
			if got := plainRent(&p, &need); got != want {
				t.Fatalf("plain %d, want %d", got, want)
			}
		}
	})
	if plain == 0 {
		t.Fatal("the plain way was never taken")
	}
	t.Logf("plain in %d", plain)
}

// reference computes D from the book alone, in plain words and with numbers of any size: for the bound of the solvers
// and that of the checker alike.
type reference struct {
	b      *Book
	prices map[uint64]Prices
}

// edge says whether a NexCore can take a shard of a shape, all entries of the shape considered, at which price and cost.
func (r *reference) edge(shape int, s *Supply) (price, cost int64, ok bool) {
	for i := range r.b.Entries {
		e := r.b.Entries[i]
		if e.ShapeIndex != shape {
			continue
		}
		e.VisibleBefore, e.Excluded = maxInt64, nil
		price, welfare, holds := naive(r.b, &e, s)
		if holds {
			return price, e.Limit*PPM/(PPM+r.b.Params.BurnPPM) - welfare, true
		}
	}
	return 0, 0, false
}

// sameClass says whether two entries of a shape exclude the same NexCores among those that have an edge of it.
func (r *reference) sameClass(x, y *Entry) bool {
	for i := range r.b.Supplies {
		s := &r.b.Supplies[i]
		if _, _, ok := r.edge(x.ShapeIndex, s); ok && slices.Contains(x.Excluded, s.ID) != slices.Contains(y.Excluded, s.ID) {
			return false
		}
	}
	return x.ShapeIndex == y.ShapeIndex
}

// slots is how many shards a NexCore can hold at most: the tightest resource by the least need of its edges.
func (r *reference) slots(s *Supply) int64 {
	slots, any := int64(0), false
	for i := range r.b.Entries {
		slots += r.b.Entries[i].Count
	}
	for d := range NumResources {
		least := int64(-1)
		for i := range r.b.Shapes {
			if _, _, ok := r.edge(i, s); ok && (least < 0 || r.b.Shapes[i].Need[d] < least) {
				least = r.b.Shapes[i].Need[d]
			}
		}
		any = any || least >= 0
		if least > 0 {
			slots = min(slots, s.Free[d]/least)
		}
	}
	if !any {
		return 0
	}
	return slots
}

func (r *reference) bound() *big.Int {
	times := func(a, b int64) *big.Int { return new(big.Int).Mul(big.NewInt(a), big.NewInt(b)) }
	d := new(big.Int)
	for i := range r.b.Supplies {
		s := &r.b.Supplies[i]
		p := r.prices[s.ID]
		d.Add(d, times(p.Slot<<priceShift, r.slots(s)))
		capacity := Dims{s.Free[0], s.Free[1], s.Free[2], s.Free[3], s.FreeBond, min(s.LeaseSlots, BoundShards) << priceShift}
		for k, v := range p.Dims {
			d.Add(d, times(v, max(capacity[k], 0)))
		}
	}
	for i := range r.b.Entries {
		e := &r.b.Entries[i]
		most := int64(1) // shards of one lease
		for k := range r.b.Entries {
			if r.sameClass(e, &r.b.Entries[k]) {
				most = max(most, min(r.b.Entries[k].Count, r.b.Params.LeaseMax))
			}
		}
		usable := e.Limit * PPM / (PPM + r.b.Params.BurnPPM)
		best := new(big.Int) // what a shard is left with
		for k := range r.b.Supplies {
			s := &r.b.Supplies[k]
			price, cost, ok := r.edge(e.ShapeIndex, s)
			if !ok || s.AskHeight >= e.VisibleBefore || slices.Contains(e.Excluded, s.ID) {
				continue
			}
			p, n := r.prices[s.ID], &r.b.Shapes[e.ShapeIndex].Need
			need := Dims{n[0], n[1], n[2], n[3], price * r.b.Params.LockPPM / PPM, PriceScale / most}
			left := times(usable-cost-p.Slot, PriceScale)
			for x, v := range p.Dims {
				left.Sub(left, times(v, need[x]))
			}
			if left.Cmp(best) > 0 {
				best = left
			}
		}
		d.Add(d, new(big.Int).Mul(best, big.NewInt(e.Count)))
	}
	return d.Rsh(d, priceShift)
}

// Both bounds are D, exactly, at any prices: of slots, of six dimensions, of both, up to the largest that fit.
func TestBoundAgainstReference(t *testing.T) {
	slotOnly, vectors, careful, beyond := 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		b := drawBook(t)
		m := mustModel(t, b)
		s := &stream{state: mix(uint64(b.Seed[31])<<8 | uint64(b.Seed[30]))}
		r := reference{b: &b, prices: map[uint64]Prices{}}
		var a Allocation
		kind, size := s.below(3), pick(s, 8, 20, 24, 40, 62)
		for i := range m.supplies {
			var p Prices
			if kind != 1 && s.below(3) > 0 {
				p.Slot = int64(s.below(60))
			}
			for d := range p.Dims {
				if kind > 0 && s.below(3) > 0 {
					p.Dims[d] = int64(mix(s.state) >> 1 >> (63 - size))
					s.state++
				}
			}
			if p != (Prices{}) {
				r.prices[m.supplies[i].ID] = p
				a.Certificate.Prices = append(a.Certificate.Prices, Priced{NexCoreID: m.supplies[i].ID, Prices: p})
			}
		}
		want := int64(maxInt64)
		if d := r.bound(); d.IsInt64() {
			want = d.Int64()
		} else {
			beyond++
		}
		switch {
		case kind == 0:
			slotOnly++
		case size > 40:
			careful++
		default:
			vectors++
		}
		c := newChecker(m, &a)
		if err := c.priceVector(); err != nil {
			t.Fatal(err)
		}
		c.room()
		if got, _ := c.bound(); got != want {
			t.Fatalf("the checker says %d, the book %d at %+v", got, want, a.Certificate.Prices)
		}
		if got := m.bound(c.prices); got != want {
			t.Fatalf("the solvers say %d, the book %d at %+v", got, want, a.Certificate.Prices)
		}
	})
	t.Logf("%d with slot prices, %d with vectors, %d with large ones, %d beyond 2^63", slotOnly, vectors, careful, beyond)
	if slotOnly == 0 || vectors == 0 || careful == 0 || beyond == 0 {
		t.Error("a kind of prices is missing")
	}
}
