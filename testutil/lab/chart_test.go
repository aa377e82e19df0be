package lab

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wellFormed reads an SVG as XML and fails on numbers that are none.
func wellFormed(t *testing.T, svg string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	for _, bad := range []string{"NaN", "+Inf", "-Inf", "%!"} {
		require.NotContains(t, svg, bad)
	}
}

func TestChart(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]Chart{
		"lines":      {Title: "A <b> & c", X: "x", Y: "y", Lines: []Line{{Name: "one & two", Colour: palette(0), X: []float64{0, 1, 2, 3}, Y: []float64{1, nan, 3, 2}}}},
		"nothing":    {Title: "none"},
		"all broken": {Lines: []Line{{X: []float64{0, 1}, Y: []float64{nan, nan}}}},
		"one point":  {Lines: []Line{{X: []float64{5}, Y: []float64{0}}}},
		"flat":       {Close: true, Lines: []Line{{X: []float64{0, 1}, Y: []float64{7, 7}}}},
		"bars":       {Groups: []string{"a", "b"}, Bars: []Bar{{Name: "p", Colour: palette(1), Values: []float64{0, 1e6}}}},
		"tiny":       {Lines: []Line{{X: []float64{0, 1}, Y: []float64{1e-7, 2e-7}}}},
	} {
		t.Run(name, func(t *testing.T) { wellFormed(t, c.SVG()) })
	}
}

func TestTicksAndLabels(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		first     string
		last      string
	}{
		{0, 1, "0.0", "1.0"}, {0, 130, "0", "120"}, {90, 130, "90", "130"}, {0, 40_000, "0", "40\u2009000"}, {0.9, 1.6, "0.9", "1.6"}, {0, 0.03, "0.000", "0.030"},
	} {
		at, step := ticks(c.low, c.high, 6)
		require.GreaterOrEqual(t, len(at), 4, "%v", c)
		require.LessOrEqual(t, len(at), 10, "%v", c)
		require.Equal(t, c.first, label(at[0], step), "%v", c)
		require.Equal(t, c.last, label(at[len(at)-1], step), "%v", c)
	}
}

func TestWrite(t *testing.T) {
	nodes, pods := smallTrace()
	x, err := Conduct(smallConfig(), 1, "small", nodes, pods, func(string) {})
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "a", "b")
	names, err := x.Write(dir)
	require.NoError(t, err)
	plots := 0
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NotEmpty(t, data)
		switch filepath.Ext(name) {
		case ".svg":
			plots++
			wellFormed(t, string(data))
		case ".json":
			var any map[string]any
			require.NoError(t, json.Unmarshal(data, &any))
		case ".md":
			for _, policy := range PolicyNames() {
				require.Contains(t, string(data), "| "+policy+" |")
			}
		}
	}
	require.GreaterOrEqual(t, plots, 14)
	require.Contains(t, names, "blocks-steady.csv")
}

func TestMeasures(t *testing.T) {
	require.InDelta(t, 1, jain([]float64{0.4, 0.4, 0.4}), 1e-12)
	require.InDelta(t, 0.25, jain([]float64{1, 0, 0, 0}), 1e-12)
	require.InDelta(t, 1, jain(nil), 0)
	require.EqualValues(t, 3, quantile([]int64{5, 1, 3}, 50))
	require.EqualValues(t, 5, quantile([]int64{5, 1, 3}, 95))
	require.EqualValues(t, 1, quantile([]int64{5, 1, 3}, 0))
	require.Zero(t, quantile([]int64(nil), 50))
}
