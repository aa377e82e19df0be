package flow

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Public instances lie beside the project; small ones are in testdata too.
const shared = "../../../../../shared/data"

// optima lists the known least costs; that of goto_8_08a comes from LEMON's dimacs-solver.
var optima = []struct {
	name string
	cost int64
}{
	{"netgen_8_08a", 142274536},
	{"goto_8_08a", 560870539},
	{"netgen_sr_08a", 69878458},
	{"netgen_8_10a", 369269289},
	{"goto_8_10a", 1861135786},
	{"netgen_8_12a", 783715427},
	{"road_DC_a", 96472800},
	{"firm_100m", 1115043},
	{"firm_1000m", 2089244},
}

var assignOptima = []struct {
	name string
	cost int64
}{{"assign100", 305}, {"assign200", 475}, {"assign300", 626}, {"assign400", 804}}

// openData opens a gzipped file of testdata or of the shared data.
func openData(tb testing.TB, folder, name string) io.Reader {
	tb.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		file, err = os.Open(filepath.Join(shared, folder, name))
	}
	if err != nil {
		tb.Skipf("no %s in testdata or %s/%s", name, shared, folder)
	}
	tb.Cleanup(func() { file.Close() })
	unzip, err := gzip.NewReader(file)
	if err != nil {
		tb.Fatal(err)
	}
	return unzip
}

func loadGraph(tb testing.TB, name string) (g *Graph, fixed int64) {
	tb.Helper()
	g, fixed, err := readDimacs(openData(tb, "mincostflow", name+".min.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	return g, fixed
}

// readDimacs reads a DIMACS minimum-cost flow file. Lower bounds are shifted to 0; fixed is what they cost.
func readDimacs(r io.Reader) (g *Graph, fixed int64, err error) {
	lines := bufio.NewScanner(r)
	g = &Graph{}
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			continue
		}
		switch line[0] {
		case 'p':
			var arcs int
			if _, err := fmt.Sscanf(line, "p min %d %d", &g.Nodes, &arcs); err != nil {
				return nil, 0, err
			}
			g.Supply, g.Arcs = make([]int64, g.Nodes), make([]Arc, 0, arcs)
		case 'n':
			var v int
			var s int64
			if _, err := fmt.Sscanf(line, "n %d %d", &v, &s); err != nil {
				return nil, 0, err
			}
			g.Supply[v-1] = s
		case 'a':
			var from, to int
			var low, high, cost int64
			if _, err := fmt.Sscanf(line, "a %d %d %d %d %d", &from, &to, &low, &high, &cost); err != nil {
				return nil, 0, err
			}
			g.Arcs = append(g.Arcs, Arc{From: int32(from - 1), To: int32(to - 1), Cap: high - low, Cost: cost})
			g.Supply[from-1] -= low
			g.Supply[to-1] += low
			fixed += low * cost
		}
	}
	return g, fixed, lines.Err()
}
