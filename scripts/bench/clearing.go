package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/nexara/nexara/x/tasks/auction"
)

// How often each figure of the clearing is taken: medians count, after one round that warms up.
const (
	clearingRounds = 7
	checkRounds    = 15
	checksOfRound  = 10 // a check is milliseconds: the mean of these counts
)

// clearing is the clearing's own speed, in one process and without a chain: checking, solving, re-clearing, and
// the engines against public anchors that take turns with them. An anchor or a file that is not there makes an
// entry "absent", never an error.
func (b *bench) clearing(ctx context.Context) (any, error) {
	out := map[string]any{
		"rounds": clearingRounds, "check_rounds": checkRounds, "checks_of_a_round": checksOfRound,
		"note": "medians of wall times in ms; ratios are ours / anchor; rounds of ours and of anchors alternate",
	}
	for _, part := range []section{
		{"book", b.clearingBooks},
		{"check", b.clearingCheck},
		{"warm", b.clearingWarm},
		{"min_cost_flow", b.clearingFlow},
		{"assignment", b.clearingAssign},
		{"generalised_assignment", b.clearingGAP},
	} {
		figures, err := part.run(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		out[part.name] = figures
	}
	return out, nil
}

// absent is the entry of what cannot be measured here.
func absent(why string) map[string]any { return map[string]any{"absent": why} }

// missing says whether an error is about a file that is not there.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// dataFile is the path of a file of the public data.
func (b *bench) dataFile(folder, name string) string { return filepath.Join(b.data, folder, name) }

// trial is one thing to time. It returns the time that counts, which need not be all of its own.
type trial func(context.Context) (time.Duration, error)

// timed makes a trial of a function whose whole time counts. Garbage of others is not billed to it.
func timed(work func() error) trial { return repeated(1, work) }

// repeated is timed for the mean of so many calls in a row.
func repeated(times int, work func() error) trial {
	return func(context.Context) (time.Duration, error) {
		runtime.GC()
		begin := time.Now()
		for range times {
			if err := work(); err != nil {
				return 0, err
			}
		}
		return time.Since(begin) / time.Duration(times), nil
	}
}

// alternate lets trials take turns, one round more than asked: the first warms up and does not count. It returns
// milliseconds by trial and round.
func alternate(ctx context.Context, rounds int, trials ...trial) ([][]float64, error) {
	out := make([][]float64, len(trials))
	for round := range rounds + 1 {
		for i, run := range trials {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			took, err := run(ctx)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				out[i] = append(out[i], float64(took.Nanoseconds())/1e6)
			}
		}
	}
	return out, nil
}

// less is the median of what one trial took beyond another in the same round.
func less(a, b []float64) float64 {
	d := slices.Clone(a)
	for i := range d {
		d[i] -= b[i]
	}
	return median(d)
}

func solve(m *auction.Model) (auction.Allocation, error) {
	return auction.Optimal{}.Solve(m, auction.Budget{Steps: auction.DefaultSteps})
}

// clearingBooks is model, solve and check of the books of the block's budget.
func (b *bench) clearingBooks(ctx context.Context) (any, error) {
	out := map[string]any{"shapes": bookShapes, "offers": bookSupplies, "open_shards": bookEntries}
	for _, c := range []struct {
		name string
		book auction.Book
	}{{"vector_roomy", vectorBook(false)}, {"vector_scarce", vectorBook(true)}, {"network", networkBook()}} {
		var m *auction.Model
		var a auction.Allocation
		took, err := alternate(ctx, clearingRounds,
			timed(func() (err error) { m, err = auction.NewModel(c.book); return err }),
			timed(func() (err error) { a, err = solve(m); return err }),
			timed(func() error { return auction.Check(m, a) }),
		)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		out[c.name] = map[string]any{
			"edges": m.NumEdges(), "matched": a.Matched, "steps": a.Work, "welfare_unex": a.Welfare, "bound_unex": a.Bound,
			"gap_ppm": auction.GapPPM(a.Bound, a.Welfare), "exact": a.Certificate.Exact,
			"model_ms": median(took[0]), "solve_ms": median(took[1]), "check_ms": median(took[2]),
			"worst_solve_ms": slices.Max(took[1]),
		}
	}
	return out, nil
}

// clearingCheck is what an edge costs the checker, and the whole verification of a model file. The vector book counts
// twice: with the prices that its solver gives, few, and with all six dimensions of all NexCores priced.
func (b *bench) clearingCheck(ctx context.Context) (any, error) {
	network, err := clearOnce(networkBook())
	if err != nil {
		return nil, err
	}
	vector, err := clearOnce(vectorBook(true))
	if err != nil {
		return nil, err
	}
	out := map[string]any{"note": "certificate_ns_per_edge: time of auction.Check less that of its pass over the matches, by the edges of the model; the " +
		"certificate's part holds slots, bound, rents and, where exact, fill, ties and least-price proof. bound_ns_per_edge: the same " +
		"without fill, ties and proof. verify_ms: auction.Verify of the file: digest, decode, model, check, record, solve again"}
	for _, c := range []struct {
		name       string
		m          *auction.Model
		allocation auction.Allocation
	}{
		{"network_1_dimension", network.model, network.allocation},
		{"vector_6_dimensions", vector.model, priceAll(vector.model, vector.allocation)},
		{"vector_as_solved", vector.model, vector.allocation},
	} {
		if out[c.name], err = checkFigures(ctx, c.m, c.allocation); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for _, c := range []struct {
		name string
		book auction.Book
		a    auction.Allocation
	}{{"verify_network", networkBook(), network.allocation}, {"verify_vector", vectorBook(true), vector.allocation}} {
		if out[c.name], err = verifyFigures(ctx, c.book, c.a); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return out, nil
}

// checkFigures asks the checker about three allocations: the one given; the same without its claim to be exact, which
// ends after the one pass that computes the bound; and one whose sum of shards is wrong, which ends before the
// certificate is looked at.
func checkFigures(ctx context.Context, m *auction.Model, a auction.Allocation) (map[string]any, error) {
	bare, wrong := a, a
	bare.Certificate = auction.Certificate{Prices: slices.Clone(a.Certificate.Prices)}
	for i := range bare.Certificate.Prices { // a width is part of the claim, ties change no figure
		bare.Certificate.Prices[i].Width = 0
	}
	wrong.Unmatched++
	took, err := alternate(ctx, checkRounds,
		repeated(checksOfRound, func() error { return auction.Check(m, a) }),
		repeated(checksOfRound, func() error { return auction.Check(m, bare) }),
		repeated(checksOfRound, func() error {
			err := auction.Check(m, wrong)
			if errors.Is(err, auction.ErrSum) {
				return nil
			}
			return errors.Join(errors.New("a wrong sum passed the matches"), err)
		}),
	)
	if err != nil {
		return nil, err
	}
	edges := float64(m.NumEdges())
	return map[string]any{
		"edges": m.NumEdges(), "matches": len(a.Matches), "exact": a.Certificate.Exact, "edges_by_priced_dimensions": pricedDimensions(m, &a),
		"check_ms": median(took[0]), "of_it_matches_ms": median(took[2]), "whole_check_ns_per_edge": median(took[0]) * 1e6 / edges,
		"certificate_ns_per_edge": less(took[0], took[2]) * 1e6 / edges, "bound_ns_per_edge": less(took[1], took[2]) * 1e6 / edges,
	}, nil
}

// verifyFigures is the verification of a book's model file, and its parts.
func verifyFigures(ctx context.Context, book auction.Book, a auction.Allocation) (map[string]any, error) {
	f := auction.File{Height: 1, Solver: auction.Optimal{}.Name(), Book: book, Allocation: a}
	data := f.Encode()
	claim := auction.Claim{
		Height: f.Height, Digest: auction.FileDigest(data), Solver: f.Solver, Welfare: a.Welfare, Bound: a.Bound,
		GapPPM: auction.GapPPM(a.Bound, a.Welfare), Work: a.Work, Exact: a.Certificate.Exact, Prices: a.Certificate.Prices,
		Matched: a.Matched, Leases: int64(len(a.Matches)), Truncated: a.Cut,
	}
	for i := range a.Certificate.Prices {
		claim.Width = max(claim.Width, a.Certificate.Prices[i].Width)
	}
	m, err := auction.NewModel(book)
	if err != nil {
		return nil, err
	}
	covered := m.Coverage()
	claim.Shapes, claim.Offers, claim.Entries, claim.Shards = covered.Shapes, covered.Supplies, covered.Entries, covered.Shards
	took, err := alternate(ctx, clearingRounds,
		timed(func() error { _, err := auction.Verify(data, claim); return err }),
		timed(func() error { _, err := auction.DecodeFile(data); return err }),
		timed(func() (err error) { m, err = auction.NewModel(book); return err }),
		timed(func() error { return auction.Check(m, a) }),
		timed(func() error { _, err := solve(m); return err }),
	)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"file_bytes": len(data), "verify_ms": median(took[0]), "decode_ms": median(took[1]), "model_ms": median(took[2]),
		"check_ms": median(took[3]), "solve_again_ms": median(took[4]),
	}, nil
}

// pricedDimensions counts edges by how many dimensions of their NexCore have a price; a slot price is one.
func pricedDimensions(m *auction.Model, a *auction.Allocation) map[string]int {
	of := map[uint64]int{}
	for i := range a.Certificate.Prices {
		p := &a.Certificate.Prices[i]
		n := 0
		for _, v := range append(p.Dims[:], p.Slot) {
			if v > 0 {
				n++
			}
		}
		of[p.NexCoreID] = n
	}
	bySupply := make([]int, m.NumSupplies())
	for i := range bySupply {
		bySupply[i] = of[m.Supply(i).ID]
	}
	out := map[string]int{}
	for i := range m.NumShapes() {
		for _, e := range m.Edges(i) {
			out[fmt.Sprint(bySupply[e.Supply])]++
		}
	}
	return out
}
