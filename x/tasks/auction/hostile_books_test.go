package auction

import (
	"runtime"
	"testing"
)

// hostileBooks are books made to hurt.
func hostileBooks() map[string]func() Book {
	return map[string]func() Book{
		"10,000 distinct limits on one slot": func() Book {
			b := uniformBook(1, 1, 10_000)
			b.Supplies[0].Capacity, b.Supplies[0].Free = Resources{1_000, 512}, Resources{1_000, 512}
			for i := range b.Entries {
				b.Entries[i].Limit = int64(1_000_000 + i)
			}
			return b
		},
		"one giant shape among dwarfs": func() Book {
			b := largeBook(20, 50, 500, true)
			b.Shapes[0].Need = Resources{MaxCapacity, MaxCapacity, MaxCapacity, MaxCapacity}
			for i := range b.Supplies[:25] {
				b.Supplies[i].Capacity = b.Shapes[0].Need
				b.Supplies[i].Free = b.Shapes[0].Need
			}
			return b
		},
		"zero capacities": func() Book {
			b := largeBook(20, 50, 500, true)
			for i := range b.Supplies {
				b.Supplies[i].Free = Resources{}
			}
			return b
		},
		"maximum weights": func() Book {
			b := uniformBook(4, 40, 0)
			for i := range 4 {
				b.Entries = append(b.Entries, Entry{JobID: uint64(i + 1), Count: BoundShards / 4, ShapeIndex: i, Limit: MaxLimit, VisibleBefore: maxInt64})
			}
			for i := range b.Supplies {
				room := Resources{MaxCapacity, MaxCapacity, MaxCapacity, 0}
				b.Supplies[i].Capacity, b.Supplies[i].Free, b.Supplies[i].FreeBond, b.Supplies[i].LeaseSlots = room, room, maxInt64, maxInt64
			}
			return b
		},
		"maximum prices that nobody can pay": func() Book {
			b := largeBook(10, 20, 100, true)
			for i := range b.Supplies {
				b.Supplies[i].Ask = Ask{MaxAsk, MaxAsk, MaxAsk, MaxAsk}
			}
			return b
		},
		"every entry excludes others": func() Book {
			b := uniformBook(8, 200, 4_000)
			for i := range b.Entries {
				for k := range 3 {
					b.Entries[i].Excluded = append(b.Entries[i].Excluded, uint64(1+(i*7+k*61)%66+66*k))
				}
			}
			return b
		},
		"every entry of another height": func() Book {
			b := uniformBook(4, 300, 3_000)
			for i := range b.Entries {
				b.Entries[i].VisibleBefore = int64(i)
			}
			for i := range b.Supplies {
				b.Supplies[i].AskHeight = int64(i * 9)
			}
			return b
		},
		"hints of nonsense": func() Book {
			b := uniformBook(10, 100, 1_000)
			for i := range b.Supplies {
				b.Hints = append(b.Hints, Hint{NexCoreID: b.Supplies[i].ID, Prices: Prices{Slot: maxInt64, Tie: -maxInt64, Dims: Dims{maxInt64, -1}}, Width: maxInt64})
			}
			return b
		},
		"bonds that hold nothing": func() Book {
			b := largeBook(10, 100, 1_000, true)
			for i := range b.Supplies {
				b.Supplies[i].FreeBond = int64(i)
			}
			return b
		},
		"room for one lease": func() Book {
			b := uniformBook(10, 100, 1_000)
			for i := range b.Supplies {
				b.Supplies[i].LeaseSlots = 1
			}
			return b
		},
		"more leases than a clearing makes": func() Book {
			b := uniformBook(20, 200, 3_000)
			b.Params.MaxMatches = 50
			return b
		},
		"leases of no worth beyond what a clearing makes": func() Book {
			b := uniformBook(1, 200, 2_000)
			price, _ := Price(b.Supplies[0].Ask, b.Shapes[0])
			for i := range b.Supplies {
				b.Supplies[i].Ask, b.Supplies[i].ScorePPM = b.Supplies[0].Ask, PPM
			}
			for i := range b.Entries {
				b.Entries[i].Limit = LeastLimit(price, b.Params.BurnPPM)
			}
			b.Params.MaxMatches = 100
			return b
		},
		"every limit the same": func() Book {
			b := uniformBook(20, 200, 3_000)
			for i := range b.Entries {
				b.Entries[i].Limit = 50_000
			}
			return b
		},
		"leases of one shard by the million": func() Book {
			b := uniformBook(1, 100, 0)
			b.Params.LeaseMax, b.Params.MaxMatches = 1, 1_000
			b.Entries = []Entry{{JobID: 1, Count: BoundShards, Limit: 50_000, VisibleBefore: maxInt64}}
			for i := range b.Supplies {
				room := Resources{MaxCapacity, MaxCapacity, MaxCapacity, 0}
				b.Supplies[i].Capacity, b.Supplies[i].Free, b.Supplies[i].FreeBond, b.Supplies[i].LeaseSlots = room, room, maxInt64, 8_000
			}
			return b
		},
		"classes up to the bound": func() Book { return classBook(100, 400, 3_000) },
	}
}

// classBook is a full network in which each entry has failed NexCores of its own, so that classes copy as many edges as
// one model may.
func classBook(shapes, supplies, entries int) Book {
	b := uniformBook(shapes, supplies, entries)
	for i := range b.Entries {
		b.Entries[i].Excluded = []uint64{uint64(1 + i%supplies)}
	}
	return b
}

// No hostile book panics, each answer passes the check, and steps and memory stay within what a book of its size may
// take. A budget is passed by leases alone, as Optimal says, and by what allowance counts.
func TestHostileBooks(t *testing.T) {
	const (
		perLook = 40       // steps for each edge, entry and NexCore: what is fixed, and a search that goes about normally
		effort  = 10 << 20 // steps of searches that a book of any size is worth
		perItem = 2_000    // bytes for each edge, entry, NexCore and lease
		base    = 32 << 20 // bytes
	)
	for name, book := range hostileBooks() {
		t.Run(name, func(t *testing.T) {
			b := book()
			m := mustModel(t, b)
			copies := int64(0)
			for i := range m.classes {
				if len(m.classes[i].excluded) > 0 {
					copies += int64(len(m.classes[i].edges))
				}
			}
			if copies > max(BoundClassEdges, int64(m.NumEdges())) {
				t.Errorf("%d copied edges beside %d", copies, m.NumEdges())
			}
			for _, steps := range []int64{1_000, DefaultSteps} {
				a, allocated := measured(t, m, steps)
				leases := int64(len(a.Matches))
				if a.Work > steps+allowance(m)+3*leases {
					t.Errorf("%d steps of %d, allowance %d", a.Work, steps, allowance(m))
				}
				if most := perLook*m.looks + effort + allowance(m) + 3*leases; a.Work > most {
					t.Errorf("%d steps, %d for a book of its size", a.Work, most)
				}
				if most := perItem*(m.looks+leases) + base; allocated > most {
					t.Errorf("%d bytes, %d for a book of its size", allocated, most)
				}
				c := m.Coverage()
				t.Logf("%d of %d entries, %d classes, %d edges and %d copies, %d shards matched, welfare %d, gap %d ppm, exact %t, cut %t, %d steps, %d KiB",
					c.Entries, c.EntriesTotal, len(m.classes), m.NumEdges(), copies, a.Matched, a.Welfare, GapPPM(a.Bound, a.Welfare), a.Certificate.Exact, a.Cut, a.Work, allocated>>10)
			}
		})
	}
}

// measured solves and checks, and returns the bytes that solving allocated.
func measured(t *testing.T, m *Model, steps int64) (Allocation, int64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a, err := Optimal{}.Solve(m, Budget{Steps: steps})
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(m, a); err != nil {
		t.Fatal(err)
	}
	return a, int64(after.TotalAlloc - before.TotalAlloc)
}

// allowance is what the last step of a search, which is known only afterwards, may look at beyond the budget.
func allowance(m *Model) int64 { return m.looks }
