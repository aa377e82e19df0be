package auction

import (
	"errors"
	"fmt"
	"slices"
)

// What Verify can find beyond the errors of DecodeFile and Check.
var (
	ErrDigest   = errors.New("the file is not the one whose digest is in the record")
	ErrRecord   = errors.New("the record says something else")
	ErrRejected = errors.New("an item of the book breaks a bound")
	ErrSolution = errors.New("solving again gives another allocation")
	ErrWidth    = errors.New("solving again gives another width of a price")
)

// Claim is what the chain's record says about a clearing: all of it.
type Claim struct {
	Height  int64
	Digest  [32]byte // of the model file
	Solver  string
	Shapes  int64 // covered, as the next three
	Offers  int64
	Entries int64
	Shards  int64
	Matched int64 // shards
	Leases  int64
	Welfare int64 // unex
	Bound   int64 // unex
	GapPPM  int64
	Width   int64 // greatest of Prices, unex
	Work    int64
	Exact   bool
	// Truncated says that the clearing saw or served a part of the book. A file shows what was cut of what it holds; that
	// the chain read only a part of its book into it no file shows.
	Truncated bool
	Fallback  string // why greedy stood in; empty where it did not
	Prices    []Priced
}

// Finding is one step of a verification that held.
type Finding struct {
	Step   string `json:"step"`
	Detail string `json:"detail"`
}

// Verify recomputes a clearing from its model file alone and compares it with what the chain's record claims. It
// returns the steps that held and the first error, wrapped with the name of its step: nil is PASS.
func Verify(data []byte, claim Claim) (held []Finding, err error) {
	step := func(name string, work func() (string, error)) {
		if err != nil {
			return
		}
		var detail string
		if detail, err = work(); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
			return
		}
		held = append(held, Finding{name, detail})
	}
	var file *File
	var model *Model
	step("digest", func() (string, error) {
		digest := FileDigest(data)
		if digest != claim.Digest {
			return "", fmt.Errorf("%w: %x, not %x", ErrDigest, digest, claim.Digest)
		}
		return fmt.Sprintf("%x of %d bytes", digest[:8], len(data)), nil
	})
	step("decode", func() (detail string, err error) {
		if file, err = DecodeFile(data); err != nil {
			return "", err
		}
		b := &file.Book
		return fmt.Sprintf("%d shapes, %d offers, %d entries", len(b.Shapes), len(b.Supplies), len(b.Entries)), nil
	})
	step("model", func() (detail string, err error) {
		if model, err = NewModel(file.Book); err != nil {
			return "", err
		}
		if rejected := model.Rejected(); len(rejected) > 0 {
			return "", fmt.Errorf("%w: %w", ErrRejected, rejected[0].Err)
		}
		c := model.Coverage()
		return fmt.Sprintf("%d edges; %d of %d shards covered", model.NumEdges(), c.Shards, c.ShardsTotal), nil
	})
	step("allocation", func() (string, error) {
		if err := Check(model, file.Allocation); err != nil {
			return "", err
		}
		a := &file.Allocation
		proof := "a bound"
		if a.Certificate.Exact {
			proof = fmt.Sprintf("exact, least prices proved in %d steps", len(a.Certificate.Proof))
			if len(a.Certificate.Prices) == 0 {
				proof = "exact, nothing was scarce"
			}
		}
		return fmt.Sprintf("%d shards in %d leases; welfare %d, bound %d unex: %s", a.Matched, len(a.Matches), a.Welfare, a.Bound, proof), nil
	})
	step("record", func() (string, error) {
		return fmt.Sprintf("height %d, gap %d ppm, %d priced NexCores", claim.Height, claim.GapPPM, len(claim.Prices)), file.compare(model, &claim)
	})
	step("solve", func() (string, error) { return file.again(model) })
	return held, err
}

// compare checks each figure of a claim against the file and its model.
func (f *File) compare(m *Model, claim *Claim) error {
	a, covered, width := &f.Allocation, m.Coverage(), int64(0)
	for i := range a.Certificate.Prices {
		width = max(width, a.Certificate.Prices[i].Width)
	}
	for _, c := range [...]struct {
		name        string
		file, claim int64
	}{
		{"height", f.Height, claim.Height},
		{"shapes", covered.Shapes, claim.Shapes},
		{"offers", covered.Supplies, claim.Offers},
		{"entries", covered.Entries, claim.Entries},
		{"shards", covered.Shards, claim.Shards},
		{"matched", a.Matched, claim.Matched},
		{"leases", int64(len(a.Matches)), claim.Leases},
		{"welfare", a.Welfare, claim.Welfare},
		{"bound", a.Bound, claim.Bound},
		{"gap_ppm", GapPPM(a.Bound, a.Welfare), claim.GapPPM},
		{"width", width, claim.Width},
		{"work", a.Work, claim.Work},
	} {
		if c.file != c.claim {
			return fmt.Errorf("%w: %s is %d, the record has %d", ErrRecord, c.name, c.file, c.claim)
		}
	}
	greedy := f.Solver == Greedy{}.Name()
	switch {
	case f.Solver != claim.Solver:
		return fmt.Errorf("%w: solver is %q, the record has %q", ErrRecord, f.Solver, claim.Solver)
	case greedy != (claim.Fallback != ""):
		return fmt.Errorf("%w: fallback is %q, the solver %q", ErrRecord, claim.Fallback, f.Solver)
	case a.Certificate.Exact != claim.Exact:
		return fmt.Errorf("%w: exact is %t", ErrRecord, a.Certificate.Exact)
	case (a.Cut || covered.Truncated()) && !claim.Truncated:
		return fmt.Errorf("%w: truncated is false, a part of the book was cut", ErrRecord)
	case !slices.Equal(a.Certificate.Prices, claim.Prices):
		return fmt.Errorf("%w: prices differ", ErrRecord)
	}
	return nil
}

// again runs the named solver on the model: every step of it is deterministic, so that the whole allocation must
// come again, with rents, prices, their widths, proof and work.
func (f *File) again(m *Model) (string, error) {
	var solver Solver = Optimal{}
	if f.Solver == (Greedy{}).Name() {
		solver = Greedy{}
	}
	if solver.Name() != f.Solver {
		return "", fmt.Errorf("%w: no solver is called %q", ErrSolution, f.Solver)
	}
	a, err := solver.Solve(m, Budget{Steps: DefaultSteps})
	if err != nil {
		return "", err
	}
	if err := f.Allocation.differs(&a); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s finds the same in %d steps", f.Solver, a.Work), nil
}

// differs names the first part in which two allocations are not the same.
func (a *Allocation) differs(b *Allocation) error {
	for _, part := range [...]struct {
		name string
		same bool
	}{
		{"matches or rents", slices.Equal(a.Matches, b.Matches)},
		{"sums", a.Welfare == b.Welfare && a.Matched == b.Matched && a.Unmatched == b.Unmatched},
		{"work", a.Work == b.Work},
		{"cut", a.Cut == b.Cut},
		{"bound", a.Bound == b.Bound},
		{"exact", a.Certificate.Exact == b.Certificate.Exact},
		{"prices", slices.EqualFunc(a.Certificate.Prices, b.Certificate.Prices, func(x, y Priced) bool {
			return x.NexCoreID == y.NexCoreID && x.Prices == y.Prices
		})},
		{"proof", slices.Equal(a.Certificate.Proof, b.Certificate.Proof)},
	} {
		if !part.same {
			return fmt.Errorf("%w: %s", ErrSolution, part.name)
		}
	}
	for i := range a.Certificate.Prices {
		if x, y := &a.Certificate.Prices[i], &b.Certificate.Prices[i]; x.Width != y.Width {
			return fmt.Errorf("%w: NexCore %d has %d, not %d", ErrWidth, x.NexCoreID, y.Width, x.Width)
		}
	}
	return nil
}
