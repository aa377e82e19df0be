package auction

import "testing"

func benchmarkSolver(b *testing.B, book Book) {
	b.Helper()
	m := mustModel(b, book)
	b.ReportAllocs()
	var a Allocation
	for b.Loop() {
		a = mustSolver(b, m)
	}
	report(b, m, a)
}

func mustSolver(t interface{ Fatal(...any) }, m *Model) Allocation {
	a, err := Optimal{}.Solve(m, Budget{Steps: DefaultSteps})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func report(b *testing.B, m *Model, a Allocation) {
	b.Helper()
	if err := Check(m, a); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(a.Work), "steps")
	b.ReportMetric(float64(m.NumEdges()), "edges")
	b.ReportMetric(float64(a.Matched), "matched")
	b.ReportMetric(float64(GapPPM(a.Bound, a.Welfare)), "gap_ppm")
}

// The full book with vectors of needs, with room for all and without.
func BenchmarkSolveVector200x1000x10000(b *testing.B) {
	benchmarkSolver(b, largeBook(200, 1000, 10_000, false))
}

func BenchmarkSolveVectorScarce200x1000x10000(b *testing.B) {
	benchmarkSolver(b, largeBook(200, 1000, 10_000, true))
}

// uniformBook is largeBook with one need for all, so a network, and fewer slots than shards.
func uniformBook(shapes, supplies, entries int) Book {
	book := largeBook(shapes, supplies, entries, true)
	for i := range book.Shapes {
		book.Shapes[i].Need = Resources{1_000, 512}
	}
	for i := range book.Supplies {
		room := Resources{1_000 * int64(1+i%9), 1 << 20}
		book.Supplies[i].Capacity, book.Supplies[i].Free = room, room
	}
	return book
}

func BenchmarkSolveNetwork200x1000x10000(b *testing.B) {
	benchmarkSolver(b, uniformBook(200, 1000, 10_000))
}

// The same after one entry in a hundred changed its limit, started from the prices before.
func BenchmarkSolveNetworkWarm200x1000x10000(b *testing.B) {
	book := uniformBook(200, 1000, 10_000)
	for _, p := range mustSolver(b, mustModel(b, book)).Certificate.Prices {
		book.Hints = append(book.Hints, Hint(p))
	}
	for i := 0; i < len(book.Entries); i += 100 {
		book.Entries[i].Limit += int64(i % 977)
	}
	benchmarkSolver(b, book)
}

// Entries that each failed another NexCore: classes copy as many edges as one model may.
func BenchmarkSolveHostileClasses200x1000x10000(b *testing.B) {
	benchmarkSolver(b, classBook(200, 1000, 10_000))
}

// Limits all the same: the ties of entries decide who is served.
func BenchmarkSolveEqualLimits200x1000x10000(b *testing.B) {
	book := uniformBook(200, 1000, 10_000)
	for i := range book.Entries {
		book.Entries[i].Limit = 50_000
	}
	benchmarkSolver(b, book)
}

// More leases than one clearing makes.
func BenchmarkSolveCut200x1000x10000(b *testing.B) {
	book := uniformBook(200, 1000, 10_000)
	book.Params.MaxMatches = 1_000
	benchmarkSolver(b, book)
}

func benchmarkCheck(b *testing.B, book Book) {
	b.Helper()
	m := mustModel(b, book)
	a := mustSolver(b, m)
	for b.Loop() {
		if err := Check(m, a); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(m.NumEdges()), "ns/edge")
	report(b, m, a)
}

func BenchmarkCheckNetwork200x1000x10000(b *testing.B) {
	benchmarkCheck(b, uniformBook(200, 1000, 10_000))
}

func BenchmarkCheckVector200x1000x10000(b *testing.B) {
	benchmarkCheck(b, largeBook(200, 1000, 10_000, true))
}

// benchmarkBound is the pass over the edges alone, slots counted, at prices of all NexCores.
func benchmarkBound(b *testing.B, book Book, price func(*stream) Prices) {
	b.Helper()
	m := mustModel(b, book)
	var a Allocation
	s := &stream{state: 7}
	for i := range m.supplies {
		a.Certificate.Prices = append(a.Certificate.Prices, Priced{NexCoreID: m.supplies[i].ID, Prices: price(s)})
	}
	c := newChecker(m, &a)
	if err := c.priceVector(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		c.room()
		if d, _ := c.bound(); d == 0 {
			b.Fatal("no bound")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(m.NumEdges()), "ns/edge")
}

func BenchmarkBound1Dimension200x1000x10000(b *testing.B) {
	benchmarkBound(b, uniformBook(200, 1000, 10_000), func(s *stream) Prices { return Prices{Slot: int64(1 + s.below(5_000))} })
}

func BenchmarkBound6Dimensions200x1000x10000(b *testing.B) {
	benchmarkBound(b, largeBook(200, 1000, 10_000, true), func(s *stream) (p Prices) {
		for d := range p.Dims {
			p.Dims[d] = int64(1 + s.below(50))
		}
		return p
	})
}

func BenchmarkVerifyNetwork200x1000x10000(b *testing.B) {
	book := uniformBook(200, 1000, 10_000)
	f := File{Height: 1, Solver: "optimal", Book: book, Allocation: mustSolver(b, mustModel(b, book))}
	data, claim := f.Encode(), claimOf(&f)
	for b.Loop() {
		if _, err := Verify(data, claim); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(data)), "bytes")
}
