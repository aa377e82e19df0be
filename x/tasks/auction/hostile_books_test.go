package auction

import "testing"

// Books made to hurt: none panics, none passes the budget by much, each answer passes the check.
func TestHostileBooks(t *testing.T) {
	for name, book := range map[string]func() Book{
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
	} {
		t.Run(name, func(t *testing.T) {
			m := mustModel(t, book())
			for _, steps := range []int64{1_000, DefaultSteps} {
				a, err := Optimal{}.Solve(m, Budget{Steps: steps})
				if err != nil {
					t.Fatal(err)
				}
				if err := Check(m, a); err != nil {
					t.Fatal(err)
				}
				if a.Work > steps {
					t.Errorf("%d steps of %d", a.Work, steps)
				}
				c := m.Coverage()
				t.Logf("%d of %d entries covered, %d classes, %d shards matched, welfare %d, gap %d ppm, exact %t, %d steps",
					c.Entries, c.EntriesTotal, len(m.classes), a.Matched, a.Welfare, GapPPM(a.Bound, a.Welfare), a.Certificate.Exact, a.Work)
			}
		})
	}
}
