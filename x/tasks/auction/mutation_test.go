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
		"a shard less":           {func(a *Allocation) { shrink(a, 0) }, ErrGap},
		"a shard that is not":    {func(a *Allocation) { a.Matches[len(a.Matches)-1].Count++ }, nil},
		"a price more":           {func(a *Allocation) { a.Matches[0].Price++ }, ErrPrice},
		"a rent less":            {func(a *Allocation) { a.Matches[0].Rent-- }, ErrRent},
		"a slot price more":      {func(a *Allocation) { a.Certificate.Prices[0].Slot++ }, ErrBound},
		"a slot price less":      {func(a *Allocation) { a.Certificate.Prices[0].Slot-- }, nil},
		"a slot price below 0":   {func(a *Allocation) { a.Certificate.Prices[0].Slot = -1 }, ErrPriceVector},
		"a price of nobody":      {func(a *Allocation) { a.Certificate.Prices[0].NexCoreID = 99 }, ErrPriceVector},
		"a tie price more":       {func(a *Allocation) { a.Certificate.Prices[0].Tie++ }, ErrTie},
		"a tie price too far":    {func(a *Allocation) { a.Certificate.Prices[0].Tie = maxTie + 1 }, ErrPriceVector},
		"the bound less":         {func(a *Allocation) { a.Bound-- }, ErrBound},
		"welfare more":           {func(a *Allocation) { a.Welfare++ }, ErrSum},
		"the tree dropped":       {func(a *Allocation) { a.Certificate.Proof = nil }, ErrProof},
		"a step dropped":         {func(a *Allocation) { a.Certificate.Proof = a.Certificate.Proof[1:] }, ErrProof},
		"a step twice":           {func(a *Allocation) { a.Certificate.Proof[1] = a.Certificate.Proof[0] }, ErrProof},
		"a step by nobody":       {func(a *Allocation) { a.Certificate.Proof[0].JobID = 77 }, ErrProof},
		"a tree for no claim":    {func(a *Allocation) { a.Certificate.Exact = false }, ErrProof},
		"prices dropped":         {func(a *Allocation) { a.Certificate.Prices = nil }, ErrBound},
		"no slot, but a vector":  {func(a *Allocation) { a.Certificate.Prices[0].Dims[0] = 1 << 20 }, ErrBound},
		"an exact claim with it": {func(a *Allocation) { a.Certificate.Prices[0].Dims[MaxDim] = 1 }, nil},
	} {
		a := cloned(f.Allocation)
		c.mutate(&a)
		err := Check(m, a)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// MaxDim is any dimension with a price that rounds away.
const MaxDim = LeaseDim

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
}

func claimOf(f *File) Claim {
	a := &f.Allocation
	return Claim{
		Height: f.Height, Digest: FileDigest(f.Encode()), Solver: f.Solver, Welfare: a.Welfare, Bound: a.Bound, Work: a.Work,
		GapPPM: GapPPM(a.Bound, a.Welfare), Exact: a.Certificate.Exact, Prices: a.Certificate.Prices,
	}
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
		"a NexCore hidden":         {func(f *File) { f.Book.Supplies = f.Book.Supplies[1:] }, ErrUnknownSupply},
		"a NexCore of no use":      {func(f *File) { f.Book.Supplies[2].Free[CPUMilli] = 0 }, nil},
		"an edge invented":         {func(f *File) { f.Book.Supplies[1].Region = "eu" }, nil},
		"a weight that overflows":  {func(f *File) { f.Book.Entries[0].Limit = MaxLimit + 1 }, ErrLimit},
		"an ask that overflows":    {func(f *File) { f.Book.Supplies[0].Ask[0] = MaxAsk + 1 }, ErrAsk},
		"a parameter out of range": {func(f *File) { f.Book.Params.LeaseMax = 0 }, ErrParams},
		"another seed":             {func(f *File) { f.Book.Seed[0]++ }, nil},
		"a match dropped":          {func(f *File) { f.Allocation.Matches = f.Allocation.Matches[1:] }, ErrSum},
		"another solver":           {func(f *File) { f.Solver = "oracle" }, ErrSolution},
		"greedy's name":            {func(f *File) { f.Solver = "greedy" }, ErrSolution},
		"work that was not done":   {func(f *File) { f.Allocation.Work++ }, ErrSolution},
	} {
		mutated := f
		mutated.Book.Supplies, mutated.Book.Entries = slices.Clone(f.Book.Supplies), slices.Clone(f.Book.Entries)
		mutated.Allocation = cloned(f.Allocation)
		c.mutate(&mutated)
		data := mutated.Encode()
		if _, err := Verify(data, claimOf(&f)); !errors.Is(err, ErrDigest) {
			t.Errorf("%s: got %v, want %v", name, err, ErrDigest)
		}
		held, err := Verify(data, claimOf(&mutated))
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s with a record to match: got %v, want %v after %v", name, err, c.want, held)
		}
	}
	for name, change := range map[string]func(*Claim){
		"height":  func(c *Claim) { c.Height++ },
		"welfare": func(c *Claim) { c.Welfare++ },
		"bound":   func(c *Claim) { c.Bound++ },
		"gap":     func(c *Claim) { c.GapPPM++ },
		"exact":   func(c *Claim) { c.Exact = false },
		"prices":  func(c *Claim) { c.Prices = c.Prices[1:] },
		"solver":  func(c *Claim) { c.Solver = "greedy" },
	} {
		claim := claimOf(&f)
		change(&claim)
		if _, err := Verify(f.Encode(), claim); !errors.Is(err, ErrRecord) {
			t.Errorf("record with another %s: got %v, want %v", name, err, ErrRecord)
		}
	}
}
