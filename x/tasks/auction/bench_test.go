package auction

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// stream is a small deterministic source of numbers for books in tests.
type stream struct{ state uint64 }

func (s *stream) below(n int) int {
	s.state++
	return int(mix(s.state) % uint64(n))
}

func pick[T any](s *stream, from ...T) T { return from[s.below(len(from))] }

func seedOf(n uint64) (seed [32]byte) {
	binary.BigEndian.PutUint64(seed[24:], n)
	return seed
}

// largeBook is a seeded book in which most pairs are eligible and every entry has its own limit.
func largeBook(shapes, supplies, entries int, scarce bool) Book {
	s := &stream{state: 42}
	b := Book{Params: DefaultParams(), Seed: seedOf(1)}
	b.Params.MaxMatches = 10_000
	for i := range shapes {
		b.Shapes = append(b.Shapes, Shape{
			Need:       Resources{int64(100 * (1 + s.below(40))), int64(64 * (1 + s.below(64))), int64(s.below(10)) * 128, 0},
			Runtime:    pick(s, "container", "wasm"),
			Regions:    pick(s, nil, nil, []string{"eu-west"}, []string{"eu-west", "us-east"}),
			Network:    s.below(8) == 0,
			RunSeconds: int64(10 + i),
		})
	}
	for i := range supplies {
		capacity := Resources{int64(4_000 * (1 + s.below(16))), int64(8_192 * (1 + s.below(16))), 200_000, 0}
		if !scarce {
			capacity[CPUMilli], capacity[MemoryMiB] = 1_000_000, 1_000_000
		}
		b.Supplies = append(b.Supplies, Supply{
			ID: uint64(i + 1), Operator: fmt.Sprint("op", i/4), Active: true, Capacity: capacity, Free: capacity,
			Ask:       Ask{uint64(1_000_000_000 + s.below(2_000_000_000)), uint64(100_000_000 + s.below(100_000_000)), 1_000_000, 0},
			AskHeight: int64(s.below(100)), Runtimes: []string{"container", "wasm"}, Arch: "amd64",
			Region: pick(s, "eu-west", "us-east", "ap-south"), Network: s.below(2) == 0, MaxRunSeconds: 3_600,
			FreeBond: 1_000_000_000, LeaseSlots: 64, ScorePPM: int64(s.below(PPM)),
		})
	}
	for i := range entries {
		b.Entries = append(b.Entries, Entry{
			JobID: uint64(i + 1), Count: 1, ShapeIndex: s.below(shapes), Limit: int64(1_000 + 7*i + s.below(7)), VisibleBefore: int64(90 + s.below(20)),
		})
	}
	return b
}

func benchmarkGreedy(b *testing.B, book Book) {
	b.Helper()
	b.ReportAllocs()
	var work, edges, matched int64
	for b.Loop() {
		m, err := NewModel(book)
		if err != nil {
			b.Fatal(err)
		}
		a, err := Greedy{}.Solve(m, Budget{Steps: DefaultSteps})
		if err != nil {
			b.Fatal(err)
		}
		work, edges, matched = a.Work, int64(m.NumEdges()), a.Matched
	}
	b.ReportMetric(float64(work), "steps")
	b.ReportMetric(float64(edges), "edges")
	b.ReportMetric(float64(matched), "matched")
}

// The book of the block's budget: model and greedy allocation together.
func BenchmarkGreedy200x1000x10000(b *testing.B) {
	benchmarkGreedy(b, largeBook(200, 1000, 10_000, false))
}

// The same with too little room for all, so that every shape runs through most NexCores.
func BenchmarkGreedyScarce200x1000x10000(b *testing.B) {
	benchmarkGreedy(b, largeBook(200, 1000, 10_000, true))
}

// The part of it that is the model.
func BenchmarkModel200x1000x10000(b *testing.B) {
	book := largeBook(200, 1000, 10_000, false)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewModel(book); err != nil {
			b.Fatal(err)
		}
	}
}

// Every ask is too young for every entry: each entry looks at every NexCore in vain.
func BenchmarkGreedyNothingVisible(b *testing.B) {
	book := largeBook(200, 1000, 10_000, false)
	for i := range book.Supplies {
		book.Supplies[i].AskHeight = 1_000
	}
	benchmarkGreedy(b, book)
}

func BenchmarkCheck200x1000x10000(b *testing.B) {
	m, err := NewModel(largeBook(200, 1000, 10_000, false))
	if err != nil {
		b.Fatal(err)
	}
	a, err := Greedy{}.Solve(m, Budget{Steps: DefaultSteps})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := Check(m, a); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExplain1000(b *testing.B) {
	book := largeBook(1, 1000, 1, false)
	book.Entries[0].Limit = 1
	m, err := NewModel(book)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Explain(m, 1, 0); err != nil {
			b.Fatal(err)
		}
	}
}
