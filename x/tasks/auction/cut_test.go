package auction

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// slotsOf is a market of one shape whose NexCores have so many slots at such costs.
func slotsOf(maxMatches int64, slots, costs []int64) Book {
	b := Book{Params: DefaultParams(), Seed: seedOf(5), Shapes: []Shape{{Need: Resources{1}, Runtime: "wasm", RunSeconds: 1}}}
	b.Params.BurnPPM, b.Params.MaxMatches = 0, maxMatches
	for i := range slots {
		b.Supplies = append(b.Supplies, Supply{
			ID: uint64(i + 1), Active: true, Capacity: Resources{slots[i]}, Free: Resources{slots[i]}, Runtimes: []string{"wasm"}, MaxRunSeconds: 1,
			Ask: Ask{uint64(costs[i]) * anexPerUnex}, FreeBond: 1 << 40, LeaseSlots: 100, ScorePPM: PPM,
		})
	}
	return b
}

// The best flow cut to one lease keeps B's two shards on X, 198; greedy gives A both slots of X, 200. Greedy's stands.
func TestCutFlowIsNotBelowGreedy(t *testing.T) {
	b := slotsOf(1, []int64{2, 1, 1}, []int64{0, 1, 1})
	b.Entries = []Entry{
		{JobID: 1, Count: 2, Limit: 100, VisibleBefore: 1},
		{JobID: 2, Count: 2, Limit: 99, VisibleBefore: 1, Excluded: []uint64{2, 3}},
	}
	m := mustModel(t, b)
	a := mustOptimal(t, m)
	if a.Welfare != 200 || !a.Cut || a.Certificate.Exact {
		t.Errorf("welfare %d, cut %t, exact %t: %+v", a.Welfare, a.Cut, a.Certificate.Exact, a.Matches)
	}
	if a.Bound != 396 { // the best without the rule about leases, which no price of capacity knows
		t.Errorf("bound %d", a.Bound)
	}
}

// A cut that drops matches of no worth leaves no gap, and is no exact clearing all the same. It must not fail its own
// check either: then anybody could turn the solver off by a book with many such matches.
func TestCutOfWorthlessMatchesIsNotExact(t *testing.T) {
	b := slotsOf(1, []int64{1, 1, 1}, []int64{10, 10, 10})
	for job := range uint64(3) {
		b.Entries = append(b.Entries, Entry{JobID: job + 1, Count: 1, Limit: 10, VisibleBefore: 1})
	}
	b.Entries[1].Limit = 50
	for name, supplies := range map[string]int{"uncontended": 3, "network": 2} {
		c := b
		c.Supplies = b.Supplies[:supplies]
		if supplies < 3 {
			c.Supplies[0].Free[CPUMilli], c.Supplies[0].Capacity[CPUMilli] = 1, 1
		}
		m := mustModel(t, c)
		a := mustOptimal(t, m)
		if a.Bound != a.Welfare || !a.Cut || a.Certificate.Exact {
			t.Errorf("%s: %+v", name, a)
		}
		a.Certificate.Exact = true
		if err := Check(m, a); !errors.Is(err, ErrCut) {
			t.Errorf("%s called exact: got %v, want %v", name, err, ErrCut)
		}
	}
}

// Where the cut left room nobody pays for room. Three jobs want the two slots of X, which so have a price; one lease is
// all there may be, of one shard. Its winner pays the ask.
func TestCutLeavesNoRentForIdleSlots(t *testing.T) {
	b := slotsOf(1, []int64{2}, []int64{10})
	b.Params.LeaseMax = 1
	for job := range uint64(3) {
		b.Entries = append(b.Entries, Entry{JobID: job + 1, Count: 1, Limit: 100 + int64(job), VisibleBefore: 1})
	}
	m := mustModel(t, b)
	a := mustOptimal(t, m)
	if len(a.Matches) != 1 || a.Matches[0].Rent != 0 || a.Bound != 92+91 {
		t.Errorf("%+v", a)
	}
	a.Matches[0].Rent = 90
	if err := Check(m, a); !errors.Is(err, ErrRent) {
		t.Errorf("a rent for an idle slot: got %v, want %v", err, ErrRent)
	}
	b.Params.MaxMatches = 2
	if a = mustOptimal(t, mustModel(t, b)); !a.Certificate.Exact || len(a.Matches) != 2 || a.Matches[0].Rent != 90 {
		t.Errorf("with two leases: %+v", a)
	}
	b.Params.MaxMatches, b.Supplies[0].Free = 1, Resources{1}
	if a = mustOptimal(t, mustModel(t, b)); len(a.Matches) != 1 || a.Matches[0].Rent != 91 {
		t.Errorf("with one slot: %+v", a)
	}
}

// With any number of leases, also in networks: never below greedy, never exact when cut, within the bound.
func TestCutBooks(t *testing.T) {
	cut, exact, greedyWins := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := &stream{state: rapid.Uint64().Draw(t, "book")}
		b := slotBook(s)
		if s.below(3) == 0 {
			b = drawBook(t)
		}
		b.Params.MaxMatches = int64(1 + s.below(5))
		m := mustModel(t, b)
		a, g := mustOptimal(t, m), mustSolve(t, m)
		if a.Welfare < g.Welfare || a.Bound < a.Welfare || a.Cut && a.Certificate.Exact {
			t.Fatalf("welfare %d, greedy %d, bound %d, cut %t, exact %t", a.Welfare, g.Welfare, a.Bound, a.Cut, a.Certificate.Exact)
		}
		if a.Cut {
			cut++
			if a.Welfare == g.Welfare {
				greedyWins++
			}
		}
		if a.Certificate.Exact {
			exact++
		}
	})
	t.Logf("%d cut, %d of them at greedy's welfare; %d exact", cut, greedyWins, exact)
	if cut == 0 || exact == 0 {
		t.Error("nothing was cut, or everything")
	}
}
