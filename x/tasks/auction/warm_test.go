package auction

import (
	"bytes"
	"slices"
	"testing"
)

// limitOf draws a limit: few values, or hardly one twice.
func limitOf(s *stream, distinct bool) int64 {
	limit := int64(200 + s.below(3_000))
	if distinct {
		return limit<<12 + int64(s.below(1<<12))
	}
	return limit
}

// later makes a later book of a book: some limits, asks, entries or NexCores differ, and often the seed.
func later(s *stream, b Book, distinct bool) Book {
	b.Supplies, b.Entries = slices.Clone(b.Supplies), slices.Clone(b.Entries)
	part := func(n int) int { return 1 + n*s.below(20)/100 }
	if s.below(2) == 0 { // limits
		for range part(len(b.Entries)) {
			b.Entries[s.below(len(b.Entries))].Limit = limitOf(s, distinct)
		}
	}
	if s.below(3) == 0 { // asks, in force anew or not
		for range part(len(b.Supplies)) {
			x := &b.Supplies[s.below(len(b.Supplies))]
			x.Ask[CPUMilli] = uint64(1_000_000_000 + s.below(2_000_000_000))
			x.AskHeight = int64(s.below(12))
		}
	}
	if s.below(3) == 0 { // entries go, others come
		for range part(len(b.Entries)) {
			e := &b.Entries[s.below(len(b.Entries))]
			*e = Entry{
				JobID: e.JobID + 100_000, Count: int64(1 + s.below(4)), ShapeIndex: s.below(len(b.Shapes)), Limit: limitOf(s, distinct),
				VisibleBefore: int64(1 + s.below(12)),
			}
		}
	}
	if s.below(4) == 0 { // room
		x := &b.Supplies[s.below(len(b.Supplies))]
		x.Free[CPUMilli] = int64(s.below(10)) * b.Shapes[0].Need[CPUMilli]
		x.Capacity[CPUMilli] = max(x.Capacity[CPUMilli], x.Free[CPUMilli])
	}
	if s.below(6) == 0 && len(b.Supplies) > 2 { // one NexCore less
		b.Supplies = slices.Delete(b.Supplies, 0, 1)
	}
	if s.below(2) == 0 {
		b.Seed = seedOf(s.state)
	}
	return b
}

// follows gives a book the prices of a clearing, as the chain's state has them.
func follows(b Book, a Allocation) Book {
	b.Hints = nil
	for _, p := range a.Certificate.Prices {
		b.Hints = append(b.Hints, Hint(p))
	}
	return b
}

// What a validator answers follows from the book, prices to follow included, and from nothing that a process did
// before: a clearing of the same book after a long sequence of others, and one from the file's bytes, are the same byte
// for byte, work included. What the prices change is the work alone: the clearing without any, and one with bad ones,
// have the same welfare, bound, prices and widths, and the same matches and proof: ties make one allocation the best, equal
// limits and excluded NexCores or not.
func TestWarmEqualsCold(t *testing.T) {
	const seed, sequences, steps = 17, 12, 25
	t.Logf("seed %d", seed)
	s := &stream{state: seed}
	warmWork, coldWork, clearings, priced := int64(0), int64(0), 0, 0
	for range sequences {
		distinct := s.below(3) > 0
		b := uniformBook(1+s.below(12), 5+s.below(60), 50+s.below(400))
		for i := range b.Entries {
			b.Entries[i].Limit, b.Entries[i].VisibleBefore = limitOf(s, distinct), int64(1+s.below(12))
			if s.below(4) == 0 {
				b.Entries[i].Excluded = []uint64{b.Supplies[s.below(len(b.Supplies))].ID}
			}
		}
		for i := range b.Supplies {
			b.Supplies[i].AskHeight = int64(s.below(12))
		}
		var before Allocation
		for range steps {
			b = follows(later(s, b, distinct), before)
			warm := mustOptimal(t, mustModel(t, b))
			file := File{Height: 1, Solver: "optimal", Book: b, Allocation: warm}
			data := file.Encode()

			again, err := DecodeFile(data)
			if err != nil {
				t.Fatal(err)
			}
			again.Allocation = mustOptimal(t, mustModel(t, again.Book))
			if !bytes.Equal(again.Encode(), data) {
				t.Fatalf("the same book gives two clearings: %+v", b)
			}

			cold := b
			cold.Hints = nil
			wild := cold
			for range s.below(2 * len(b.Supplies)) {
				h := Hint{NexCoreID: uint64(s.below(70)), Prices: Prices{Slot: pick(s, int64(s.below(4_000)), int64(s.below(4_000)), MaxLimit)}}
				wild.Hints = append(wild.Hints, h)
			}
			for name, other := range map[string]Book{"cold": cold, "wild": wild} {
				a := mustOptimal(t, mustModel(t, other))
				if name == "cold" {
					coldWork += a.Work
				}
				if a.Welfare != warm.Welfare || a.Bound != warm.Bound || !slices.Equal(a.Certificate.Prices, warm.Certificate.Prices) {
					t.Fatalf("%s: welfare %d, warm %d; certificates %+v, %+v: %+v", name, a.Welfare, warm.Welfare, a.Certificate, warm.Certificate, b)
				}
				a.Work = warm.Work
				f := File{Height: 1, Solver: "optimal", Book: b, Allocation: a}
				if !bytes.Equal(f.Encode(), data) {
					t.Fatalf("%s: another allocation or proof: %+v", name, b)
				}
			}
			if !warm.Certificate.Exact {
				t.Fatalf("not exact: %+v", b)
			}
			if len(warm.Certificate.Prices) > 0 {
				priced++
			}
			warmWork, clearings, before = warmWork+warm.Work, clearings+1, warm
		}
	}
	t.Logf("%d clearings, %d with prices; steps: warm %d, cold %d", clearings, priced, warmWork, coldWork)
}

// A full book after one entry in a hundred changed, by the work that both ways take: counted, so the test can fail.
func TestWarmWork(t *testing.T) {
	if testing.Short() {
		t.Skip("a full book")
	}
	b := uniformBook(200, 1_000, 10_000)
	b = follows(b, mustOptimal(t, mustModel(t, b)))
	s := &stream{state: 1}
	for i := 0; i < len(b.Entries); i += 100 {
		b.Entries[i].Limit = int64(1_000 + 7*s.below(len(b.Entries)))
	}
	b.Seed = seedOf(2)
	warm := mustOptimal(t, mustModel(t, b))
	b.Hints = nil
	cold := mustOptimal(t, mustModel(t, b))
	// Choosing, building, leases, proof and certificate look at everything, whatever the start: both are charged for it.
	fixed := (2 + 3 + 1 + proofLooks + 1) * mustModel(t, b).looks
	t.Logf("steps: warm %d, cold %d, of both %d fixed", warm.Work, cold.Work, fixed)
	if (warm.Work-fixed)*10 > cold.Work-fixed || warm.Work <= fixed || warm.Welfare != cold.Welfare || !slices.Equal(warm.Certificate.Prices, cold.Certificate.Prices) {
		t.Fatalf("warm %d steps, welfare %d; cold %d steps, welfare %d, or prices differ", warm.Work, warm.Welfare, cold.Work, cold.Welfare)
	}
}

// Prices that say nothing about a full book cost some work and not the answer.
func TestWarmFromBadPrices(t *testing.T) {
	if testing.Short() {
		t.Skip("a full book")
	}
	b := uniformBook(200, 1_000, 10_000)
	cold := mustOptimal(t, mustModel(t, b))
	s := &stream{state: 3}
	for name, price := range map[string]func() int64{
		"next to nothing": func() int64 { return 1 },
		"beyond limits":   func() int64 { return MaxLimit },
		"drawn":           func() int64 { return int64(s.below(70_000)) },
	} {
		b.Hints = nil
		for i := range b.Supplies {
			b.Hints = append(b.Hints, Hint{NexCoreID: b.Supplies[i].ID, Prices: Prices{Slot: price()}})
		}
		a := mustOptimal(t, mustModel(t, b))
		t.Logf("%s: %d steps, cold %d", name, a.Work, cold.Work)
		if !a.Certificate.Exact || !slices.Equal(a.Matches, cold.Matches) || a.Work*2 > cold.Work*3 {
			t.Errorf("%s: exact %t, welfare %d, %d steps; cold welfare %d, %d steps", name, a.Certificate.Exact, a.Welfare, a.Work, cold.Welfare, cold.Work)
		}
	}
}

// A budget of any size, with prices to follow: an answer that passes the check, the same each time, exact or not.
func TestWarmBudget(t *testing.T) {
	s := &stream{state: 5}
	for range 30 {
		b := slotBook(s)
		b = follows(b, mustOptimal(t, mustModel(t, b)))
		for i := range b.Entries {
			b.Entries[i].Limit += int64(s.below(9))
		}
		if s.below(2) == 0 { // fewer leases than it needs
			b.Params.MaxMatches = int64(1 + s.below(5))
		}
		m := mustModel(t, b)
		for steps := int64(1); steps < 100_000; steps = 2*steps + 1 {
			a, err := Optimal{}.Solve(m, Budget{Steps: steps})
			if err != nil {
				t.Fatal(err)
			}
			if err := Check(m, a); err != nil {
				t.Fatalf("%d steps: %v", steps, err)
			}
			twice, _ := Optimal{}.Solve(mustModel(t, b), Budget{Steps: steps})
			f, g := File{Book: b, Allocation: a}, File{Book: b, Allocation: twice}
			if !bytes.Equal(f.Encode(), g.Encode()) {
				t.Fatalf("%d steps give two answers", steps)
			}
		}
	}
}

// Edges are what the table of rules says about each pair, written out for speed.
func TestEdgesFollowTheTableOfRules(t *testing.T) {
	const seed, books = 23, 400
	t.Logf("seed %d", seed)
	s := &stream{state: seed}
	edges, pairs := 0, 0
	for range books {
		b := ruleBook(s)
		m := mustModel(t, b)
		supplyRules, pairRules := inScope(ofSupply), inScope(ofPair)
		for i := range m.shapes {
			for j := range m.supplies {
				p := &pair{params: &m.params, shape: &m.shapes[i], supply: &m.supplies[j]}
				want := p.all(supplyRules) && p.all(pairRules) && p.cost() <= m.shapes[i].maxUsable
				e := m.edge(i, j)
				if (e != nil) != want || e != nil && (e.Price != p.price() || e.Cost != p.cost()) {
					t.Fatalf("shape %d, NexCore %d: edge %+v, the rules say %t, price %d, cost %d: %+v", i, j, e, want, p.price(), p.cost(), b)
				}
				if pairs++; want {
					edges++
				}
			}
		}
	}
	t.Logf("%d edges of %d pairs", edges, pairs)
	if edges == 0 || edges == pairs {
		t.Fatal("the books are no test")
	}
}

// ruleBook is a book in which every rule about a pair has something to refuse, at prices of all sizes.
func ruleBook(s *stream) Book {
	b := Book{Params: DefaultParams(), Seed: seedOf(1)}
	b.Params.LockPPM = pick(s, int64(0), PPM, PPM, 3*PPM)
	amount := func() int64 { return pick(s, int64(0), 0, 1, 1, 2, 2, 3, 3, MaxCapacity/2, MaxCapacity-1) }
	for range 1 + s.below(80) { // more than maxKinds now and then
		b.Shapes = append(b.Shapes, Shape{
			Need: Resources{1 + amount()/2, amount(), amount(), amount()}, Runtime: pick(s, "wasm", "container"), Arch: pick(s, "", "", "arm64"),
			Regions: pick(s, nil, nil, []string{"eu"}, []string{"eu", "us"}), Network: s.below(4) == 0, RunSeconds: int64(1 + s.below(int(MaxRunSeconds))),
			MinScorePPM: pick(s, int64(0), 0, 500_000),
		})
	}
	for i := range 1 + s.below(12) {
		x := Supply{
			ID: uint64(1 + 3*i), Active: s.below(9) > 0, Paused: s.below(9) == 0, AskHeight: int64(s.below(4)), Runtimes: pick(s, []string{"wasm"}, []string{"container", "wasm"}),
			Arch: pick(s, "", "arm64"), Region: pick(s, "", "eu", "us"), Network: s.below(2) == 0, MaxRunSeconds: int64(1 + s.below(int(MaxRunSeconds))),
			FreeBond: pick(s, int64(-1), 1, 1_000, MaxLimit), LeaseSlots: int64(s.below(5)), ScorePPM: int64(s.below(PPM)),
		}
		for r := range x.Capacity {
			x.Capacity[r] = 1 + max(amount(), amount())
			x.Free[r] = pick(s, x.Capacity[r], x.Capacity[r], x.Capacity[r]-1)
			x.Ask[r] = pick(s, uint64(0), 1, 1_000_000, 1_000_000_000, MaxAsk)
		}
		b.Supplies = append(b.Supplies, x)
	}
	for i := range b.Shapes {
		b.Entries = append(b.Entries, Entry{JobID: uint64(i + 1), Count: 1, ShapeIndex: i, Limit: pick(s, int64(1), 1_000, 1_000_000, MaxLimit, MaxLimit), VisibleBefore: int64(s.below(6))})
	}
	return b
}
