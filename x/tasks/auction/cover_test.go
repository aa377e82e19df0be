package auction

import (
	"testing"

	"pgregory.net/rapid"
)

// A clearing never covers more than its parameters say, and says so.
func TestCoverageIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBook(t)
		whole := mustModel(t, b).Coverage()
		if whole.Truncated() {
			t.Fatalf("a small book is cut: %+v", whole)
		}
		p := &b.Params
		p.MaxShapes = rapid.Int64Range(1, 3).Draw(t, "shapes")
		p.MaxSupplies = rapid.Int64Range(1, 5).Draw(t, "supplies")
		p.MaxEntries = rapid.Int64Range(1, 8).Draw(t, "entries")
		p.MaxShards = rapid.Int64Range(1, 20).Draw(t, "shards")
		m := mustModel(t, b)
		c := m.Coverage()
		shards := int64(0)
		for i := range m.NumEntries() {
			e, _ := m.Entry(i)
			shards += e.Count
		}
		switch {
		case c.Shapes > p.MaxShapes || c.Supplies > p.MaxSupplies || c.Entries > p.MaxEntries || c.Shards > p.MaxShards,
			c.Shapes != int64(m.NumShapes()), c.Supplies != int64(m.NumSupplies()), c.Entries != int64(m.NumEntries()), c.Shards != shards,
			c.ShapesTotal != whole.Shapes || c.SuppliesTotal != whole.Supplies || c.EntriesTotal != whole.Entries || c.ShardsTotal != whole.Shards:
			t.Fatalf("%+v of %+v under %+v", c, whole, *p)
		}
	})
}

// The part that is covered rotates with the seed, so that nobody waits for ever; what may not trade
// takes no place from what may.
func TestCoverageRotates(t *testing.T) {
	b := largeBook(20, 40, 200, false)
	for i := range b.Supplies {
		b.Supplies[i].Jailed = i >= 30
	}
	b.Params.MaxShapes, b.Params.MaxSupplies, b.Params.MaxEntries, b.Params.MaxShards = 5, 10, 20, 15
	shapes, supplies, entries := map[[32]byte]bool{}, map[uint64]bool{}, map[uint64]bool{}
	for seed := range uint64(400) {
		b.Seed = seedOf(seed)
		m := mustModel(t, b)
		if c := m.Coverage(); c.Shapes != 5 || c.Supplies != 10 || c.Shards != 15 || !c.Truncated() {
			t.Fatalf("seed %d: %+v", seed, c)
		}
		for i := range m.NumShapes() {
			_, digest := m.Shape(i)
			shapes[digest] = true
		}
		for i := range m.NumSupplies() {
			supplies[m.Supply(i).ID] = true
		}
		for i := range m.NumEntries() {
			e, _ := m.Entry(i)
			entries[e.JobID] = true
		}
	}
	if len(shapes) != 20 || len(supplies) != 30 || len(entries) != 200 {
		t.Errorf("400 seeds cover %d shapes, %d NexCores, %d entries", len(shapes), len(supplies), len(entries))
	}
	for id := range supplies {
		if id > 30 {
			t.Errorf("jailed NexCore %d takes a place", id)
		}
	}
}

// An entry that is cut keeps its first shards.
func TestCoverageCutsTheLastEntry(t *testing.T) {
	b := checkBook()
	b.Entries = b.Entries[:1]
	b.Params.MaxShards = 3
	m := mustModel(t, b)
	if e, _ := m.Entry(0); e.First != 0 || e.Count != 3 {
		t.Errorf("cut to %+v", e)
	}
	if a := mustSolve(t, m); a.Matched != 3 || a.Unmatched != 0 || m.Coverage().ShardsTotal != 6 {
		t.Errorf("%+v %+v", a, m.Coverage())
	}
}

// Equal offers share the work, and equal jobs the room, by seed: over many seeds each is first about
// equally often.
func TestTiesRotateWithTheSeed(t *testing.T) {
	b := checkBook()
	b.Entries = nil
	for job := range uint64(3) {
		b.Entries = append(b.Entries, Entry{JobID: job + 1, Count: 1, Limit: 150, VisibleBefore: 1})
	}
	for i := range b.Supplies {
		b.Supplies[i].Ask = Ask{1}
	}
	b.Params.MaxMatches = 1
	const rounds = 3_000
	supplies, jobs := map[uint64]int{}, map[uint64]int{}
	for seed := range uint64(rounds) {
		b.Seed = seedOf(seed)
		first := mustSolve(t, mustModel(t, b)).Matches[0]
		supplies[first.NexCoreID]++
		jobs[first.JobID]++
	}
	for id := uint64(1); id <= 3; id++ {
		for what, wins := range map[string]int{"NexCore": supplies[id], "job": jobs[id]} {
			if wins < rounds/3-150 || wins > rounds/3+150 { // more than five standard deviations
				t.Errorf("%s %d wins %d of %d", what, id, wins, rounds)
			}
		}
	}
}
