package auction

import (
	"testing"

	"pgregory.net/rapid"
)

// Whatever numbers a book holds, nothing panics or wraps, and what is allocated passes Check.
func TestNoBookBreaksAClearing(t *testing.T) {
	allocated, rejected := int64(0), 0
	rapid.Check(t, func(t *rapid.T) {
		s := &stream{state: mix(rapid.Uint64().Draw(t, "book"))}
		// good is mostly a value at a bound that is allowed, rarely anything at all.
		good := func(allowed ...int64) int64 {
			if s.below(150) > 0 {
				return pick(s, allowed...)
			}
			return pick(s, -1<<63, -1<<62, -1, 0, maxInt64, MaxLimit+1, MaxCapacity+1)
		}
		word := func() string {
			return pick(s, "", "a", "a", "a", "a", "a", "a", "b", "\x00", string(make([]byte, 300)))
		}
		b := Book{Seed: seedOf(s.state), Params: Params{
			BurnPPM: pick(s, int64(0), 1, PPM), PenaltyKPPM: pick(s, int64(0), 10*PPM), LockPPM: pick(s, int64(0), 1, PPM, 100*PPM), LeaseMax: pick(s, 1, BoundLease),
			MaxShapes: pick(s, int64(1), 1<<16, 1<<16), MaxSupplies: pick(s, int64(1), 1<<20, 1<<20), MaxEntries: pick(s, 1, BoundShards, BoundShards),
			MaxShards: pick(s, 1, BoundShards, BoundShards), MaxMatches: pick(s, 1, BoundShards),
		}}
		for range 1 + s.below(3) {
			shape := Shape{
				Runtime: "a", Arch: pick(s, "", "", word()), RunSeconds: good(1, 1, MaxRunSeconds), MinScorePPM: good(0, 0, PPM), Network: s.below(2) == 0,
				Regions: pick(s, nil, nil, nil, nil, []string{"a"}, []string{"b", "a"}, []string{word()}),
			}
			for r := range shape.Need {
				shape.Need[r] = good(0, 0, 1, 1, 1, MaxCapacity)
			}
			b.Shapes = append(b.Shapes, shape)
		}
		for i := range 1 + s.below(5) {
			supply := Supply{
				ID: pick(s, uint64(i), uint64(i), uint64(i), uint64(i), 1<<64-1), Active: true, AskHeight: good(0, 0, 1), Runtimes: []string{"a", word()}, Arch: pick(s, "a", word()),
				Region: word(), Network: true, MaxRunSeconds: good(MaxRunSeconds), FreeBond: good(maxInt64, maxInt64, 1<<40), LeaseSlots: good(1, 4_000, maxInt64),
				ScorePPM: good(0, PPM),
			}
			for r := range supply.Capacity {
				supply.Capacity[r] = good(1, MaxCapacity, MaxCapacity)
				supply.Free[r] = pick(s, supply.Capacity[r], supply.Capacity[r], supply.Capacity[r], supply.Capacity[r], supply.Capacity[r], supply.Capacity[r], good(-1<<63, 0))
				supply.Ask[r] = uint64(pick(s, 0, 0, 0, 0, 1, 1_000, good(int64(MaxAsk/2))))
			}
			b.Supplies = append(b.Supplies, supply)
		}
		for i := range s.below(6) {
			b.Entries = append(b.Entries, Entry{
				JobID: pick(s, uint64(i), 1<<64-1), First: good(0, 0, 0, BoundShards-1), Count: good(1, BoundShards/2, BoundShards), ShapeIndex: int(good(0, 0, 0, 1, 2)),
				Limit: good(1, MaxLimit, MaxLimit), VisibleBefore: good(1, maxInt64), Excluded: pick(s, nil, nil, []uint64{1}, []uint64{1, 1}),
			})
		}
		m := mustModel(t, b)
		a := mustSolve(t, m)
		if better := mustOptimal(t, m); better.Welfare < a.Welfare {
			t.Fatalf("welfare %d, greedy %d", better.Welfare, a.Welfare)
		}
		if a.Welfare < 0 || a.Welfare >= 1<<62 {
			t.Fatalf("welfare %d", a.Welfare)
		}
		allocated, rejected = allocated+a.Matched, rejected+len(m.Rejected())
		for i := range m.NumEntries() {
			e, _ := m.Entry(i)
			if _, err := Explain(m, e.JobID, e.First); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Logf("%d shards matched, %d items left out", allocated, rejected)
}
