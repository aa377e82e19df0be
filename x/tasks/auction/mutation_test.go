package auction

import (
	"errors"
	"slices"
	"testing"
)

// contested is a market of like slots in which three requesters want two NexCores and prices follow: six shards
// for four slots, two equal NexCores whose tie the seed decides, and one alone.
func contested() Book {
	supply := func(id, ask uint64, region string, slots int64) Supply {
		room := Resources{slots * 1_000, 4_096}
		return Supply{
			ID: id, Operator: "op", Active: true, Capacity: room, Free: room, Ask: Ask{ask * anexPerUnex / 1_000}, Runtimes: []string{"wasm"},
			Region: region, MaxRunSeconds: 60, FreeBond: 1_000_000, LeaseSlots: 10, ScorePPM: PPM,
		}
	}
	shape := func(regions ...string) Shape {
		return Shape{Need: Resources{1_000, 512}, Runtime: "wasm", RunSeconds: 10, Regions: regions}
	}
	p := DefaultParams()
	p.LeaseMax = 4
	return Book{
		Params: p, Seed: seedOf(4),
		Shapes:   []Shape{shape(), shape("eu")},
		Supplies: []Supply{supply(1, 10, "eu", 2), supply(2, 10, "us", 2), supply(3, 12, "eu", 1)},
		Entries: []Entry{
			{JobID: 1, Count: 3, Limit: 400, VisibleBefore: 1},
			{JobID: 2, Count: 2, ShapeIndex: 1, Limit: 300, VisibleBefore: 1},
			{JobID: 3, Count: 2, Limit: 350, VisibleBefore: 1},
		},
	}
}

func clearing(t *testing.T, b Book) (*Model, File) {
	m := mustModel(t, b)
	a := mustOptimal(t, m)
	if !a.Certificate.Exact || len(a.Certificate.Proof) == 0 || len(a.Certificate.Prices) < 3 {
		t.Fatalf("the book is not contested: %+v", a)
	}
	return m, File{Height: 7, Solver: "optimal", Book: b, Allocation: a}
}

func cloned(a Allocation) Allocation {
	a.Matches = slices.Clone(a.Matches)
	a.Certificate.Prices, a.Certificate.Proof = slices.Clone(a.Certificate.Prices), slices.Clone(a.Certificate.Proof)
	return a
}

// One unit of anything changed: the check rejects each by name.
func TestCheckRejectsMutations(t *testing.T) {
	m, f := clearing(t, contested())
	for name, c := range map[string]struct {
		mutate func(*Allocation)
		want   error
	}{
		"a shard less":         {func(a *Allocation) { shrink(a, 0) }, ErrGap},
		"a shard that is not":  {func(a *Allocation) { a.Matches[len(a.Matches)-1].Count++ }, ErrUnknownShard},
		"a price more":         {func(a *Allocation) { a.Matches[0].Price++ }, ErrPrice},
		"a rent less":          {func(a *Allocation) { a.Matches[0].Rent-- }, ErrRent},
		"a slot price more":    {func(a *Allocation) { a.Certificate.Prices[0].Slot++ }, ErrBound},
		"a slot price less":    {func(a *Allocation) { a.Certificate.Prices[0].Slot-- }, ErrBound},
		"a slot price below 0": {func(a *Allocation) { a.Certificate.Prices[0].Slot = -1 }, ErrPriceVector},
		"a price of nobody":    {func(a *Allocation) { a.Certificate.Prices[0].NexCoreID = 99 }, ErrPriceVector},
		"a tie price more":     {func(a *Allocation) { a.Certificate.Prices[0].Tie++ }, ErrTie},
		"a tie price too far":  {func(a *Allocation) { a.Certificate.Prices[0].Tie = maxTie + 1 }, ErrPriceVector},
		"the bound less":       {func(a *Allocation) { a.Bound-- }, ErrBound},
		"welfare more":         {func(a *Allocation) { a.Welfare++ }, ErrSum},
		"the tree dropped":     {func(a *Allocation) { a.Certificate.Proof = nil }, ErrProof},
		"a step dropped":       {func(a *Allocation) { a.Certificate.Proof = a.Certificate.Proof[1:] }, ErrProof},
		"a step twice":         {func(a *Allocation) { a.Certificate.Proof[1] = a.Certificate.Proof[0] }, ErrProof},
		"a step by nobody":     {func(a *Allocation) { a.Certificate.Proof[0].JobID = 77 }, ErrProof},
		"a width for no claim": {func(a *Allocation) { a.Certificate.Exact = false }, ErrPriceVector},
		"a tree for no claim":  {func(a *Allocation) { noWidths(a); a.Certificate.Exact = false }, ErrProof},
		"a width below 0":      {func(a *Allocation) { a.Certificate.Prices[0].Width = -1 }, ErrPriceVector},
		"a width past all":     {func(a *Allocation) { a.Certificate.Prices[0].Width = MaxLimit + 1 }, ErrPriceVector},
		"cut, but exact":       {func(a *Allocation) { a.Cut = true }, ErrCut},
		"prices dropped":       {func(a *Allocation) { a.Certificate.Prices = nil }, ErrBound},
		"exact, but a vector":  {func(a *Allocation) { a.Certificate.Prices[0].Dims[LeaseDim] = 1 }, ErrPriceVector},
		"a vector more": {func(a *Allocation) {
			noWidths(a)
			a.Certificate.Exact, a.Certificate.Proof, a.Certificate.Prices[0].Dims[0] = false, nil, 1<<20
		}, ErrBound},
	} {
		a := cloned(f.Allocation)
		c.mutate(&a)
		err := Check(m, a)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func noWidths(a *Allocation) {
	for i := range a.Certificate.Prices {
		a.Certificate.Prices[i].Width = 0
	}
}

func noRents(a *Allocation) {
	for i := range a.Matches {
		a.Matches[i].Rent = 0
	}
}

func shrink(a *Allocation, i int) {
	match := &a.Matches[i]
	unit := match.Welfare / match.Count
	match.Count--
	match.Welfare -= unit
	a.Welfare, a.Matched, a.Unmatched = a.Welfare-unit, a.Matched-1, a.Unmatched+1
	if match.Count == 0 {
		a.Matches = slices.Delete(a.Matches, i, i+1)
	}
}

// claimOf is what a chain would record of a file; books that make no model have no coverage to record.
func claimOf(f *File) Claim {
	a := &f.Allocation
	claim := Claim{
		Height: f.Height, Digest: FileDigest(f.Encode()), Solver: f.Solver, Welfare: a.Welfare, Bound: a.Bound, Work: a.Work,
		GapPPM: GapPPM(a.Bound, a.Welfare), Exact: a.Certificate.Exact, Prices: a.Certificate.Prices,
		Matched: a.Matched, Leases: int64(len(a.Matches)), Truncated: a.Cut,
	}
	if f.Solver == (Greedy{}).Name() {
		claim.Fallback = "solver_failed"
	}
	for i := range a.Certificate.Prices {
		claim.Width = max(claim.Width, a.Certificate.Prices[i].Width)
	}
	if m, err := NewModel(f.Book); err == nil {
		c := m.Coverage()
		claim.Shapes, claim.Offers, claim.Entries, claim.Shards = c.Shapes, c.Supplies, c.Entries, c.Shards
		claim.Truncated = claim.Truncated || c.Truncated()
	}
	return claim
}

// A file that hides, invents or inflates something fails, by its digest against the chain's record, and by what is
// wrong in it should the record have been made to match.
func TestVerifyRejectsMutations(t *testing.T) {
	_, f := clearing(t, contested())
	if held, err := Verify(f.Encode(), claimOf(&f)); err != nil || len(held) != 6 {
		t.Fatalf("%v after %v", err, held)
	}
	for name, c := range map[string]struct {
		mutate func(*File)
		want   error // with a record that matches
	}{
		"a NexCore hidden":    {func(f *File) { f.Book.Supplies = f.Book.Supplies[1:] }, ErrUnknownSupply},
		"a NexCore of no use": {func(f *File) { f.Book.Supplies[2].Free[CPUMilli] = 0 }, ErrIneligible},
		"a NexCore invented": {func(f *File) {
			s := f.Book.Supplies[0]
			s.ID = 4
			f.Book.Supplies = append(f.Book.Supplies, s)
		}, ErrBound},
		"an edge made cheaper":     {func(f *File) { f.Book.Shapes[1].RunSeconds = 5 }, ErrBound},
		"room invented":            {func(f *File) { f.Book.Supplies[2].Free[CPUMilli]++ }, ErrSupply},
		"an edge of no use":        {func(f *File) { f.Book.Supplies[1].Region = "eu" }, ErrSolution},
		"an entry hidden":          {func(f *File) { f.Book.Entries = f.Book.Entries[:2] }, ErrUnknownShard},
		"a weight that overflows":  {func(f *File) { f.Book.Entries[0].Limit = MaxLimit + 1 }, ErrLimit},
		"an ask that overflows":    {func(f *File) { f.Book.Supplies[0].Ask[0] = MaxAsk + 1 }, ErrAsk},
		"a parameter out of range": {func(f *File) { f.Book.Params.LeaseMax = 0 }, ErrParams},
		"another seed":             {func(f *File) { f.Book.Seed[0]++ }, ErrFill},
		"a match dropped":          {func(f *File) { f.Allocation.Matches = f.Allocation.Matches[1:] }, ErrSum},
		"another solver":           {func(f *File) { f.Solver = "oracle" }, ErrSolution},
		"greedy's name":            {func(f *File) { f.Solver = "greedy" }, ErrSolution},
		"work that was not done":   {func(f *File) { f.Allocation.Work++ }, ErrSolution},
		"a width more":             {func(f *File) { f.Allocation.Certificate.Prices[1].Width++ }, ErrWidth},
		"a cut that was none": {func(f *File) {
			noWidths(&f.Allocation)
			f.Allocation.Cut, f.Allocation.Certificate.Exact, f.Allocation.Certificate.Proof = true, false, nil
		}, ErrSolution},
		"a claim withdrawn": {func(f *File) {
			noWidths(&f.Allocation)
			f.Allocation.Certificate.Exact, f.Allocation.Certificate.Proof = false, nil
		}, ErrSolution},
		"prices that prove nothing": {func(f *File) {
			a := &f.Allocation
			noRents(a)
			a.Certificate = Certificate{}
			a.Bound = mustModel(t, f.Book).bound(make([]Prices, len(f.Book.Supplies)))
		}, ErrSolution},
	} {
		mutated := f
		mutated.Book.Shapes = slices.Clone(f.Book.Shapes)
		mutated.Book.Supplies, mutated.Book.Entries = slices.Clone(f.Book.Supplies), slices.Clone(f.Book.Entries)
		mutated.Allocation = cloned(f.Allocation)
		c.mutate(&mutated)
		data := mutated.Encode()
		if _, err := Verify(data, claimOf(&f)); !errors.Is(err, ErrDigest) {
			t.Errorf("%s: got %v, want %v", name, err, ErrDigest)
		}
		held, err := Verify(data, claimOf(&mutated))
		if !errors.Is(err, c.want) {
			t.Errorf("%s with a record to match: got %v, want %v after %v", name, err, c.want, held)
		}
	}
	for name, change := range map[string]func(*Claim){
		"height":   func(c *Claim) { c.Height++ },
		"shapes":   func(c *Claim) { c.Shapes++ },
		"offers":   func(c *Claim) { c.Offers-- },
		"entries":  func(c *Claim) { c.Entries++ },
		"shards":   func(c *Claim) { c.Shards-- },
		"matched":  func(c *Claim) { c.Matched-- },
		"leases":   func(c *Claim) { c.Leases++ },
		"welfare":  func(c *Claim) { c.Welfare++ },
		"bound":    func(c *Claim) { c.Bound++ },
		"gap":      func(c *Claim) { c.GapPPM++ },
		"width":    func(c *Claim) { c.Width++ },
		"work":     func(c *Claim) { c.Work++ },
		"exact":    func(c *Claim) { c.Exact = false },
		"prices":   func(c *Claim) { c.Prices = c.Prices[1:] },
		"solver":   func(c *Claim) { c.Solver = "greedy" },
		"fallback": func(c *Claim) { c.Fallback = "solver_failed" },
	} {
		claim := claimOf(&f)
		change(&claim)
		if _, err := Verify(f.Encode(), claim); !errors.Is(err, ErrRecord) {
			t.Errorf("record with another %s: got %v, want %v", name, err, ErrRecord)
		}
	}
}

// A record that hides what was cut, or why greedy stood in, fails.
func TestVerifyRejectsHiddenCuts(t *testing.T) {
	covered, matches := contested(), contested()
	covered.Params.MaxEntries, matches.Params.MaxMatches = 2, 2
	for name, b := range map[string]Book{"a part of the book": covered, "a part of the leases": matches} {
		f := File{Height: 7, Solver: "optimal", Book: b, Allocation: mustOptimal(t, mustModel(t, b))}
		claim := claimOf(&f)
		if _, err := Verify(f.Encode(), claim); err != nil || !claim.Truncated {
			t.Fatalf("%s: %v, %+v", name, err, claim)
		}
		claim.Truncated = false
		if _, err := Verify(f.Encode(), claim); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: got %v, want %v", name, err, ErrRecord)
		}
	}
	f := File{Height: 7, Solver: "greedy", Book: contested(), Allocation: mustSolve(t, mustModel(t, contested()))}
	claim := claimOf(&f)
	if _, err := Verify(f.Encode(), claim); err != nil {
		t.Fatal(err)
	}
	claim.Fallback = ""
	if _, err := Verify(f.Encode(), claim); !errors.Is(err, ErrRecord) {
		t.Errorf("greedy without a reason: got %v, want %v", err, ErrRecord)
	}
}
