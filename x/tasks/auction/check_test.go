package auction

import (
	"errors"
	"testing"
)

// checkBook has two NexCores of the same price and two entries of one job.
func checkBook() Book {
	supply := func(id uint64, ask uint64) Supply {
		return Supply{
			ID: id, Active: true, Capacity: Resources{8_000, 8_192}, Free: Resources{8_000, 8_192}, Ask: Ask{ask},
			Runtimes: []string{"wasm"}, MaxRunSeconds: 60, FreeBond: 1_000, LeaseSlots: 2, ScorePPM: PPM,
		}
	}
	p := DefaultParams()
	p.LeaseMax, p.MaxMatches = 4, 4
	return Book{
		Params:   p,
		Shapes:   []Shape{{Need: Resources{1_000, 512}, Runtime: "wasm", RunSeconds: 10}},
		Supplies: []Supply{supply(1, 10*anexPerUnex/1_000), supply(2, 12*anexPerUnex/1_000), supply(3, 20*anexPerUnex/1_000)},
		Entries: []Entry{
			{JobID: 1, First: 0, Count: 6, Limit: 150, VisibleBefore: 1},
			{JobID: 1, First: 10, Count: 1, Limit: 150, VisibleBefore: 1, Excluded: []uint64{2}},
		},
	}
}

// Each way in which a solver could be wrong has its own error.
func TestCheckFindsEachFault(t *testing.T) {
	good := func() Allocation {
		// usable limit 150/1.05 = 142; 42 per shard at NexCore 1, 22 at NexCore 2
		return Allocation{
			Matches: []Match{
				{JobID: 1, First: 0, Count: 4, NexCoreID: 1, Price: 100, Welfare: 168},
				{JobID: 1, First: 4, Count: 2, NexCoreID: 2, Price: 120, Welfare: 44},
				{JobID: 1, First: 10, Count: 1, NexCoreID: 1, Price: 100, Welfare: 42},
			},
			Welfare: 254, Matched: 7, Bound: 294,
		}
	}
	for name, c := range map[string]struct {
		book  func(*Book)
		fault func(*Allocation)
		want  error
	}{
		"none":          {want: nil},
		"order":         {fault: func(a *Allocation) { a.Matches[0], a.Matches[2] = a.Matches[2], a.Matches[0] }, want: ErrOrder},
		"twice":         {fault: func(a *Allocation) { a.Matches[1].First = 3 }, want: ErrDuplicate},
		"unknown job":   {fault: func(a *Allocation) { a.Matches[2].JobID = 9 }, want: ErrUnknownShard},
		"unknown shard": {fault: func(a *Allocation) { a.Matches[2].First = 11 }, want: ErrUnknownShard},
		"past its end":  {fault: func(a *Allocation) { a.Matches[2].Count = 2 }, want: ErrUnknownShard},
		"negative":      {fault: func(a *Allocation) { a.Matches[0].First = -1 }, want: ErrUnknownShard},
		"who":           {fault: func(a *Allocation) { a.Matches[0].NexCoreID = 9 }, want: ErrUnknownSupply},
		"empty":         {fault: func(a *Allocation) { a.Matches[0].Count = 0 }, want: ErrLeaseSize},
		"large":         {book: func(b *Book) { b.Params.LeaseMax = 3 }, want: ErrLeaseSize},
		"many":          {book: func(b *Book) { b.Params.MaxMatches = 2 }, want: ErrTooMany},
		"excluded":      {fault: func(a *Allocation) { a.Matches[2].NexCoreID = 2 }, want: ErrIneligible},
		"too dear":      {fault: func(a *Allocation) { a.Matches[1].NexCoreID = 3 }, want: ErrIneligible},
		"jailed":        {book: func(b *Book) { b.Supplies[0].Jailed = true }, want: ErrIneligible},
		"price":         {fault: func(a *Allocation) { a.Matches[0].Price++ }, want: ErrPrice},
		"cpu":           {book: func(b *Book) { b.Supplies[0].Free[CPUMilli] = 4_999 }, want: ErrOverCapacity},
		"memory":        {book: func(b *Book) { b.Supplies[0].Free[MemoryMiB] = 2_559 }, want: ErrOverCapacity},
		"bond":          {book: func(b *Book) { b.Supplies[0].FreeBond = 499 }, want: ErrOverBond},
		"slots":         {book: func(b *Book) { b.Supplies[0].LeaseSlots = 1 }, want: ErrOverSlots},
		"welfare":       {fault: func(a *Allocation) { a.Matches[0].Welfare++ }, want: ErrSum},
		"total":         {fault: func(a *Allocation) { a.Welfare++ }, want: ErrSum},
		"matched":       {fault: func(a *Allocation) { a.Matched-- }, want: ErrSum},
		"unmatched":     {fault: func(a *Allocation) { a.Unmatched++ }, want: ErrSum},
	} {
		b, a := checkBook(), good()
		if c.book != nil {
			c.book(&b)
		}
		if c.fault != nil {
			c.fault(&a)
		}
		if err := Check(mustModel(t, b), a); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// One bad item is left out and named; what can not be told apart is left out whole.
func TestModelRejectsItemsNotBooks(t *testing.T) {
	b := checkBook()
	b.Shapes = append(b.Shapes, Shape{})
	b.Supplies = append(b.Supplies, b.Supplies[1], Supply{ID: 7, ScorePPM: -1})
	b.Entries = append(b.Entries,
		Entry{JobID: 2, Count: 1, ShapeIndex: 1, Limit: 1},
		Entry{JobID: 3, Count: 5, Limit: 500, VisibleBefore: 1}, Entry{JobID: 3, First: 4, Count: 5, Limit: 500, VisibleBefore: 1},
		Entry{JobID: 4, Count: 1, ShapeIndex: -1, Limit: 1}, Entry{JobID: 5, Count: 1})
	m := mustModel(t, b)
	want := []struct {
		kind ItemKind
		id   uint64
		err  error
	}{
		{ShapeItem, 1, ErrShape},
		{SupplyItem, 7, ErrSupply},
		{SupplyItem, 2, ErrSupply},
		{SupplyItem, 2, ErrSupply},
		{EntryItem, 4, ErrEntry},
		{EntryItem, 5, ErrLimit},
		{EntryItem, 2, ErrEntry},
		{EntryItem, 3, ErrEntry},
		{EntryItem, 3, ErrEntry},
	}
	if len(m.Rejected()) != len(want) {
		t.Fatalf("rejected %v", m.Rejected())
	}
	for _, w := range want {
		n := 0
		for _, r := range m.Rejected() {
			if r.Kind == w.kind && r.ID == w.id && errors.Is(r.Err, w.err) {
				n++
			}
		}
		if n == 0 {
			t.Errorf("%v is not among %v", w, m.Rejected())
		}
	}
	if m.NumSupplies() != 2 || m.NumEntries() != 2 || m.NumShapes() != 1 {
		t.Errorf("kept %d supplies, %d entries, %d shapes", m.NumSupplies(), m.NumEntries(), m.NumShapes())
	}
	mustSolve(t, m)
	if _, err := NewModel(Book{}); !errors.Is(err, ErrParams) {
		t.Errorf("no parameters: %v", err)
	}
}
