package auction

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func mustOptimal(t interface{ Fatal(...any) }, m *Model) Allocation {
	a, err := Optimal{}.Solve(m, Budget{Steps: DefaultSteps})
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(m, a); err != nil {
		t.Fatal(err)
	}
	return a
}

// slotBook is a market of like slots: one need, NexCores of few slots, classes that differ in region, run time,
// sight and excluded NexCores, more shards than slots, bonds and leases enough.
func slotBook(s *stream) Book {
	b := Book{Params: DefaultParams(), Seed: seedOf(uint64(s.below(1 << 30)))}
	b.Params.PenaltyKPPM, b.Params.LeaseMax = pick(s, int64(0), 500_000), int64(1+s.below(3))
	for i := range 1 + s.below(4) {
		b.Shapes = append(b.Shapes, Shape{
			Need: Resources{2}, Runtime: "wasm", RunSeconds: int64(1 + i), Regions: pick(s, nil, nil, []string{"eu"}, []string{"eu", "us"}),
		})
	}
	for i := range 1 + s.below(6) {
		room := Resources{int64(1 + s.below(9))}
		b.Supplies = append(b.Supplies, Supply{
			ID: uint64(i + 1), Active: true, Capacity: room, Free: room, Ask: Ask{uint64(1+s.below(6)) * anexPerUnex / 2}, AskHeight: int64(s.below(4)),
			Runtimes: []string{"wasm"}, Region: pick(s, "eu", "us"), MaxRunSeconds: 9, FreeBond: 1_000_000, LeaseSlots: 100, ScorePPM: int64(PPM - s.below(3)*100_000),
		})
	}
	for i := range 1 + s.below(8) {
		e := Entry{JobID: uint64(i + 1), Count: int64(1 + s.below(4)), ShapeIndex: s.below(len(b.Shapes)), Limit: int64(5 + s.below(40)), VisibleBefore: int64(1 + s.below(6))}
		if s.below(4) == 0 {
			e.Excluded = []uint64{uint64(1 + s.below(3))}
		}
		b.Entries = append(b.Entries, e)
	}
	return b
}

// Whatever the book, the answer passes the check, is not below greedy's and not above its bound.
func TestOptimalIsNeverBelowGreedy(t *testing.T) {
	better, exact, gap, n := 0, 0, int64(0), int64(0)
	rapid.Check(t, func(t *rapid.T) {
		b := drawBook(t)
		m := mustModel(t, b)
		a, g := mustOptimal(t, m), mustSolve(t, m)
		if a.Welfare < g.Welfare || a.Bound < a.Welfare || a.Bound > g.Bound {
			t.Fatalf("welfare %d, greedy %d, bound %d, of greedy %d", a.Welfare, g.Welfare, a.Bound, g.Bound)
		}
		if a.Welfare > g.Welfare {
			better++
		}
		if a.Certificate.Exact {
			exact++
		}
		gap, n = gap+GapPPM(a.Bound, a.Welfare), n+1
	})
	t.Logf("%d books: better than greedy in %d, exact in %d, mean gap %d ppm", n, better, exact, gap/n)
}

// On tiny books: the bound is a bound, and what is called exact is the optimum.
func TestOptimalAgainstBruteForce(t *testing.T) {
	const seed, books = 11, 400
	t.Logf("seed %d", seed)
	for name, needs := range map[string]int{"one resource, unit needs": 1, "two resources, needs 1 to 3": 3} {
		s := &stream{state: seed}
		reached, exact, gap := 0, 0, int64(0)
		for range books {
			b := tinyBook(s, needs)
			a, best := mustOptimal(t, mustModel(t, b)), optimum(&b)
			switch {
			case a.Welfare > best || a.Bound < best:
				t.Fatalf("%s: welfare %d, optimum %d, bound %d: %+v", name, a.Welfare, best, a.Bound, b)
			case a.Certificate.Exact && a.Welfare != best:
				t.Fatalf("%s: %d is called exact, optimum %d", name, a.Welfare, best)
			}
			if a.Welfare == best {
				reached++
			}
			if a.Certificate.Exact {
				exact++
			}
			gap += GapPPM(a.Bound, a.Welfare)
		}
		t.Logf("%s: %d books, optimal in %d, proved in %d, mean gap %d ppm", name, books, reached, exact, gap/books)
	}
}

// welfareWith is the optimum of a book of slots after one NexCore's free capacity changed by some slots.
func welfareWith(t *testing.T, b Book, supply int, slots int64) int64 {
	b.Supplies = slices.Clone(b.Supplies)
	s := &b.Supplies[supply]
	s.Free[CPUMilli] += 2 * slots
	s.Capacity[CPUMilli] = max(s.Capacity[CPUMilli], s.Free[CPUMilli])
	return mustOptimal(t, mustModel(t, b)).Welfare
}

// In the network case every allocation is exact. The least price of a slot is what one slot more would add, the
// greatest what one slot less would cost: recomputed from optima alone.
func TestLeastAndGreatestPrices(t *testing.T) {
	const seed, books = 5, 300
	t.Logf("seed %d", seed)
	s := &stream{state: seed}
	priced, wide, brute := 0, 0, 0
	for range books {
		b := slotBook(s)
		m := mustModel(t, b)
		a := mustOptimal(t, m)
		if !a.Certificate.Exact || a.Bound != a.Welfare {
			t.Fatalf("welfare %d, bound %d, not exact: %+v", a.Welfare, a.Bound, b)
		}
		if a.Matched+a.Unmatched <= 7 { // more take brute force too long
			brute++
			if optimal := optimum(&b); optimal != a.Welfare {
				t.Fatalf("welfare %d, optimum %d: %+v", a.Welfare, optimal, b)
			}
		}
		prices := map[uint64]Priced{}
		for _, p := range a.Certificate.Prices {
			prices[p.NexCoreID] = p
		}
		for i := range b.Supplies {
			p := prices[b.Supplies[i].ID]
			if b.Supplies[i].Free[CPUMilli] < 2 {
				continue // no slot, no edge, no price
			}
			if more := welfareWith(t, b, i, 1) - a.Welfare; p.Slot != more {
				t.Fatalf("NexCore %d: price %d, a slot more adds %d: %+v", b.Supplies[i].ID, p.Slot, more, b)
			}
			if less := a.Welfare - welfareWith(t, b, i, -1); p != (Priced{}) && p.Slot+p.Width != less {
				t.Fatalf("NexCore %d: greatest price %d, a slot less costs %d: %+v", b.Supplies[i].ID, p.Slot+p.Width, less, b)
			}
			if p.Slot > 0 {
				priced++
			}
			if p.Width > 0 {
				wide++
			}
		}
	}
	t.Logf("%d books, %d against brute force, %d NexCores priced, %d with a width", books, brute, priced, wide)
}

// Nobody pays more than its limit, and equal shards of one class pay equal sums: price, penalty and rent.
func TestRentsSupportTheAllocation(t *testing.T) {
	s := &stream{state: 9}
	rents := int64(0)
	for range 300 {
		b := slotBook(s)
		m := mustModel(t, b)
		a := mustOptimal(t, m)
		value := map[int32]map[int32]int64{}
		for _, match := range a.Matches {
			entry := &m.entries[m.holding(match.JobID, match.First)]
			e := m.edge(entry.ShapeIndex, m.findSupply(match.NexCoreID))
			all := e.Cost + match.Rent
			if all > entry.usable || match.Price+match.Rent+Burn(match.Price+match.Rent, b.Params.BurnPPM) > entry.Limit {
				t.Fatalf("match %+v passes its limit", match)
			}
			if value[entry.class] == nil {
				value[entry.class] = map[int32]int64{}
			}
			if old, seen := value[entry.class][entry.level]; seen && old != all {
				t.Fatalf("shards of one class pay %d and %d", old, all)
			}
			value[entry.class][entry.level] = all
			rents += match.Rent * match.Count
		}
	}
	t.Logf("rents of %d unex", rents)
}

// A budget of any size gives an answer that passes the check.
func TestOptimalBudget(t *testing.T) {
	s := &stream{state: 3}
	for _, book := range []Book{slotBook(s), tinyBook(s, 3), checkBook(), largeBook(4, 20, 60, true)} {
		m := mustModel(t, book)
		for _, steps := range []int64{1, 2, 10, 50, 100, 300, 1_000, 3_000, 10_000, 100_000} {
			a, err := Optimal{}.Solve(m, Budget{Steps: steps})
			if err != nil {
				t.Fatal(err)
			}
			if err := Check(m, a); err != nil {
				t.Fatalf("%d steps: %v", steps, err)
			}
		}
		if _, err := (Optimal{}).Solve(m, Budget{}); err == nil {
			t.Fatal("no budget is no error")
		}
	}
}

// Prices of the clearing before change the way to the answer and, in the network case, not the answer.
func TestHintsDoNotChangeTheOptimum(t *testing.T) {
	s := &stream{state: 21}
	for range 200 {
		b := slotBook(s)
		cold := mustOptimal(t, mustModel(t, b))
		for _, p := range cold.Certificate.Prices {
			b.Hints = append(b.Hints, Hint{NexCoreID: p.NexCoreID, Prices: Prices{Slot: p.Slot + int64(s.below(5))}})
		}
		b.Hints = append(b.Hints, Hint{NexCoreID: 1 << 60}, Hint{NexCoreID: 1, Prices: Prices{Slot: -5, Dims: Dims{-1}}})
		warm := mustOptimal(t, mustModel(t, b))
		if warm.Welfare != cold.Welfare || !slices.EqualFunc(warm.Certificate.Prices, cold.Certificate.Prices, func(x, y Priced) bool { return x.NexCoreID == y.NexCoreID && x.Slot == y.Slot }) {
			t.Fatalf("warm %+v, cold %+v", warm.Certificate, cold.Certificate)
		}
	}
}
