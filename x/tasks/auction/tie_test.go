package auction

import (
	"errors"
	"slices"
	"testing"
)

// Which of two equal NexCores gets which shards is no choice of the solver's either: what the ties do not name
// is rejected, though welfare, bound and gap are the same.
func TestCheckRejectsASwappedTie(t *testing.T) {
	b := contested()
	b.Shapes, b.Supplies = b.Shapes[:1], b.Supplies[:2]
	b.Entries = []Entry{{JobID: 1, Count: 1, Limit: 400, VisibleBefore: 1}}
	m := mustModel(t, b)
	a := mustOptimal(t, m)
	if len(a.Matches) != 1 || !a.Certificate.Exact {
		t.Fatalf("%+v", a)
	}
	a.Matches[0].NexCoreID = 3 - a.Matches[0].NexCoreID
	if err := Check(m, a); !errors.Is(err, ErrTie) {
		t.Errorf("got %v, want %v", err, ErrTie)
	}
	// Two jobs of one class, one slot: the fill order names the one that is served.
	b.Supplies = b.Supplies[:1]
	b.Supplies[0].Free[CPUMilli] = 1_000
	b.Entries = append(b.Entries, Entry{JobID: 2, Count: 1, Limit: 400, VisibleBefore: 1})
	m = mustModel(t, b)
	a = mustOptimal(t, m)
	a.Matches[0].JobID = 3 - a.Matches[0].JobID
	if err := Check(m, a); !errors.Is(err, ErrFill) {
		t.Errorf("got %v, want %v", err, ErrFill)
	}
	// The same across two classes, and across two levels of one: there the second order names it.
	b.Supplies = append(b.Supplies, contested().Supplies[1])
	b.Supplies[1].ID, b.Supplies[1].Ask[0] = 9, MaxAsk // seen by some, of use to none
	for name, change := range map[string]func(*Book){
		"classes": func(b *Book) { b.Entries[1].Excluded = []uint64{9} },
		"levels":  func(b *Book) { b.Supplies[1].AskHeight, b.Entries[1].VisibleBefore = 3, 5 },
	} {
		c := b
		c.Entries, c.Supplies = slices.Clone(b.Entries), slices.Clone(b.Supplies)
		c.Supplies[1].Ask[0] = b.Supplies[0].Ask[0]*399/100 + 1 // an edge that only the dearest entry of another job can pay
		c.Entries = append(c.Entries, Entry{JobID: 3, Count: 1, Limit: 1_000, VisibleBefore: 9, Excluded: []uint64{1}})
		change(&c)
		m = mustModel(t, c)
		a = mustOptimal(t, m)
		if len(a.Matches) != 2 || !a.Certificate.Exact || len(m.classes) < 2 {
			t.Fatalf("%s: %+v", name, a)
		}
		a.Matches[0].JobID = 3 - a.Matches[0].JobID
		if err := Check(m, a); !errors.Is(err, ErrTie) {
			t.Errorf("%s: got %v, want %v", name, err, ErrTie)
		}
	}
}

// equals is a market in which nearly everything is equal: two limits, two asks, classes by excluded NexCores and by
// sight, one shard a lease.
func equals(s *stream) Book {
	b := slotBook(s)
	b.Params.LeaseMax, b.Params.PenaltyKPPM = 1, 0
	for i := range b.Shapes {
		b.Shapes[i].RunSeconds = 1
	}
	for i := range b.Supplies {
		b.Supplies[i].Ask = Ask{uint64(1+s.below(2)) * anexPerUnex}
	}
	for i := range b.Entries {
		b.Entries[i].Limit = pick(s, int64(30), 30, 40)
	}
	return b
}

// Every swap that leaves welfare as it is, of the NexCores of two matches or of a match between two entries, within
// a class, across levels and across classes: each is rejected by name where the clearing is exact.
func TestEverySwapAmongEqualsIsRejected(t *testing.T) {
	const seed = 17
	s := &stream{state: seed}
	tried := map[string]int{}
	for range 400 {
		b := equals(s)
		m := mustModel(t, b)
		a := mustOptimal(t, m)
		if !a.Certificate.Exact {
			t.Fatalf("not exact: %+v", b)
		}
		kind := func(x, y *entryRow) string {
			switch {
			case x.ShapeIndex != y.ShapeIndex:
				return "shapes"
			case x.class != y.class:
				return "classes"
			case x.level != y.level:
				return "levels"
			}
			return "one class"
		}
		try := func(what string, swapped Allocation) {
			for i := range swapped.Matches { // what follows is made to fit, if it can be
				x := &swapped.Matches[i]
				e := &m.entries[m.holding(x.JobID, x.First)]
				edge := edgeIn(m.classes[e.class].edges, int32(m.findSupply(x.NexCoreID)))
				if edge == nil || edge.Level > e.level || e.usable < edge.Cost {
					return
				}
				x.Price, x.Welfare, x.Rent = edge.Price, e.usable-edge.Cost, 0
				for _, p := range a.Certificate.Prices {
					if p.NexCoreID == x.NexCoreID {
						x.Rent = min(p.Slot, e.usable-edge.Cost)
					}
				}
			}
			sortMatches(swapped.Matches)
			welfare := int64(0)
			for i := range swapped.Matches {
				welfare += swapped.Matches[i].Welfare
			}
			if welfare != a.Welfare {
				return
			}
			tried[what]++
			if err := Check(m, swapped); !errors.Is(err, ErrTie) && !errors.Is(err, ErrFill) {
				t.Fatalf("%s: got %v\nof   %+v\nmade %+v\nin   %+v", what, err, a.Matches, swapped.Matches, b)
			}
		}
		for i := range a.Matches {
			x := m.holding(a.Matches[i].JobID, a.Matches[i].First)
			for j := range i {
				y := m.holding(a.Matches[j].JobID, a.Matches[j].First)
				if a.Matches[i].NexCoreID != a.Matches[j].NexCoreID {
					c := cloned(a)
					c.Matches[i].NexCoreID, c.Matches[j].NexCoreID = c.Matches[j].NexCoreID, c.Matches[i].NexCoreID
					try("NexCores swapped, "+kind(&m.entries[x], &m.entries[y]), c)
				}
			}
			used := map[int]int64{}
			for _, match := range a.Matches {
				used[m.holding(match.JobID, match.First)]++
			}
			if last := &m.entries[x]; a.Matches[i].First != last.First+used[x]-1 {
				continue
			}
			for y := range m.entries {
				e := &m.entries[y]
				if y != x && used[y] < e.Count {
					c := cloned(a)
					c.Matches[i].JobID, c.Matches[i].First = e.JobID, e.First+used[y]
					try("another entry, "+kind(&m.entries[x], e), c)
				}
			}
			for k := range m.supplies {
				if m.supplies[k].ID != a.Matches[i].NexCoreID && hasSlot(m, &a, k) {
					c := cloned(a)
					c.Matches[i].NexCoreID = m.supplies[k].ID
					try("another NexCore", c)
				}
			}
		}
	}
	t.Logf("seed %d: %v", seed, tried)
	for _, what := range []string{
		"NexCores swapped, one class", "NexCores swapped, levels", "NexCores swapped, classes", "another entry, one class", "another entry, levels",
		"another entry, classes", "another entry, shapes", "another NexCore",
	} {
		if tried[what] == 0 {
			t.Errorf("%s was never tried", what)
		}
	}
}

// hasSlot says whether a NexCore has a slot left; a slot is two of the one resource.
func hasSlot(m *Model, a *Allocation, supply int) bool {
	left := m.supplies[supply].Free[CPUMilli] / 2
	for _, x := range a.Matches {
		if x.NexCoreID == m.supplies[supply].ID {
			left -= x.Count
		}
	}
	return left > 0
}
