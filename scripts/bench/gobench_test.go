package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseBenchmarks(t *testing.T) {
	out := "goos: linux\nBenchmarkEndBlock/vector-2   \t      10\t 123456.5 ns/op\t  1000 leases/op\nBenchmarkBroken-2 10 x ns/op\n9:00AM INF a log\nPASS\n"
	require.Equal(t, map[string]map[string]float64{"EndBlock/vector-2": {"ns/op": 123456.5, "leases/op": 1000}}, parseBenchmarks([]byte(out)))
}
