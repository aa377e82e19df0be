package flow

import "testing"

func BenchmarkSolve(b *testing.B) {
	for _, want := range optima {
		b.Run(want.name, func(b *testing.B) {
			g, fixed := loadGraph(b, want.name)
			b.ReportAllocs()
			var r Result
			for b.Loop() {
				var err error
				if r, err = Solve(g, Options{}); err != nil || r.Cost+fixed != want.cost {
					b.Fatal(r.Cost, err)
				}
			}
			b.ReportMetric(float64(r.Pivots), "pivots")
			b.ReportMetric(float64(r.Scanned), "scanned")
		})
	}
}
