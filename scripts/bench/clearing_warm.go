package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/nexara/nexara/x/tasks/auction"
)

// clearingWarm is re-clearing the network book after one part in a hundred of it changed, from the prices of the clearing
// before, against clearing the same changed book from nothing. The whole is what a user gets: from the book over its
// model to an allocation with its certificate. Each change comes with the new seed of a new block, so that ties fall anew;
// once more with the old seed.
func (b *bench) clearingWarm(ctx context.Context) (any, error) {
	before, err := clearOnce(networkBook())
	if err != nil {
		return nil, err
	}
	out := map[string]any{
		"note": "whole: NewModel and Optimal.Solve; solve: Optimal.Solve alone; cold: without prices to follow; one entry or NexCore in a hundred changed",
	}
	for _, c := range []struct {
		name   string
		change func(*auction.Book)
	}{
		{"limits", func(b *auction.Book) { changeLimits(b); newSeed(b) }},
		{"asks", func(b *auction.Book) { changeAsks(b); newSeed(b) }},
		{"entries", func(b *auction.Book) { changeEntries(b); newSeed(b) }},
		{"limits_same_seed", changeLimits},
	} {
		cold := networkBook()
		c.change(&cold)
		warm := cold
		for _, p := range before.allocation.Certificate.Prices {
			warm.Hints = append(warm.Hints, auction.Hint(p))
		}
		if out[c.name], err = warmFigures(ctx, cold, warm); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return out, nil
}

// cleared is a book's model with its solution.
type cleared struct {
	model      *auction.Model
	allocation auction.Allocation
}

func clearOnce(book auction.Book) (c cleared, err error) {
	if c.model, err = auction.NewModel(book); err == nil {
		c.allocation, err = solve(c.model)
	}
	return c, err
}

// changeLimits draws one limit in a hundred anew.
func changeLimits(b *auction.Book) {
	d := &draws{state: 1}
	for i := 0; i < len(b.Entries); i += 100 {
		b.Entries[i].Limit = int64(1_000 + 7*d.below(bookEntries))
	}
}

// changeAsks draws one ask in a hundred anew.
func changeAsks(b *auction.Book) {
	d := &draws{state: 1}
	for i := 0; i < len(b.Supplies); i += 100 {
		b.Supplies[i].Ask[auction.CPUMilli] = uint64(1_000_000_000 + d.below(2_000_000_000))
	}
}

// changeEntries replaces one entry in a hundred by one of another job.
func changeEntries(b *auction.Book) {
	d := &draws{state: 1}
	for i := 0; i < len(b.Entries); i += 100 {
		b.Entries[i] = auction.Entry{
			JobID: uint64(bookEntries + i + 1), Count: 1, ShapeIndex: d.below(bookShapes), Limit: int64(1_000 + 7*d.below(bookEntries)),
			VisibleBefore: int64(90 + d.below(20)),
		}
	}
}

// newSeed is the seed of another block.
func newSeed(b *auction.Book) { binary.BigEndian.PutUint64(b.Seed[24:], 2) }

func warmFigures(ctx context.Context, cold, warm auction.Book) (map[string]any, error) {
	var results [2]cleared
	var made [2]time.Duration // of it the model
	whole := func(i int, book auction.Book) trial {
		return timed(func() (err error) {
			begin := time.Now()
			if results[i].model, err = auction.NewModel(book); err != nil {
				return err
			}
			made[i] = time.Since(begin)
			results[i].allocation, err = solve(results[i].model)
			return err
		})
	}
	var models [2][]float64
	split := func(i int, run trial) trial {
		return func(ctx context.Context) (time.Duration, error) {
			took, err := run(ctx)
			models[i] = append(models[i], float64(made[i].Nanoseconds())/1e6)
			return took, err
		}
	}
	took, err := alternate(ctx, clearingRounds, split(0, whole(0, cold)), split(1, whole(1, warm)),
		timed(func() error { return auction.Check(results[1].model, results[1].allocation) }))
	if err != nil {
		return nil, err
	}
	a, w := &results[0].allocation, &results[1].allocation
	if a.Welfare != w.Welfare || !a.Certificate.Exact || !w.Certificate.Exact || !slices.Equal(a.Certificate.Prices, w.Certificate.Prices) {
		return nil, fmt.Errorf("cold welfare %d, warm %d, or not exact, or prices differ", a.Welfare, w.Welfare)
	}
	models[0], models[1] = models[0][1:], models[1][1:] // the first round warms up
	return map[string]any{
		"whole_cold_ms": median(took[0]), "whole_warm_ms": median(took[1]), "whole_ratio": median(took[1]) / median(took[0]),
		"solve_cold_ms": less(took[0], models[0]), "solve_warm_ms": less(took[1], models[1]),
		"solve_ratio": less(took[1], models[1]) / less(took[0], models[0]),
		"check_ms":    median(took[2]), "cold_steps": a.Work, "warm_steps": w.Work, "best_whole_ratio": slices.Min(took[1]) / slices.Min(took[0]),
	}, nil
}
