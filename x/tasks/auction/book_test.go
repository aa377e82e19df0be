package auction

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The seed of property tests is fixed and printed, so that a run can be repeated; -rapid.seed gives another.
func TestMain(m *testing.M) {
	flag.Parse()
	for name, value := range map[string]string{"rapid.seed": "20261122", "rapid.nofailfile": "true", "rapid.checks": "1000"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() == f.DefValue {
			if err := flag.Set(name, value); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(2)
			}
		}
	}
	fmt.Println("rapid.seed", flag.Lookup("rapid.seed").Value)
	os.Exit(m.Run())
}

// drawBook makes a small book in which every rule has something to refuse and most books have matches.
// It spreads one drawn number evenly: rapid's own draws crowd at the bounds, where nearly nothing matches.
func drawBook(t *rapid.T) Book {
	s := &stream{state: mix(rapid.Uint64().Draw(t, "book"))}
	easy := s.below(3) > 0 // only room, bond, slots, sight and money are scarce
	upTo := func(top int) int64 { return int64(s.below(top + 1)) }
	rarely := func() bool { return s.below(16) == 0 }
	b := Book{Params: DefaultParams(), Seed: seedOf(s.state)}
	b.Params.BurnPPM = pick(s, int64(0), 50_000, 333_333, PPM)
	b.Params.PenaltyKPPM = pick(s, int64(0), 500_000, 3_000_000)
	b.Params.LockPPM = pick(s, int64(0), PPM, PPM, 38*PPM)
	b.Params.LeaseMax = 1 + upTo(4)
	for range 1 + upTo(3) {
		shape := Shape{
			Need:        Resources{1 + upTo(2), upTo(2), upTo(1), upTo(3) / 3},
			Runtime:     pick(s, "container", "wasm"),
			Arch:        pick(s, "", "", "", "amd64", "arm64"),
			Regions:     pick(s, nil, nil, nil, []string{"eu"}, []string{"eu", "us"}),
			Network:     s.below(4) == 0,
			RunSeconds:  1 + upTo(3),
			MinScorePPM: pick(s, int64(0), 0, 500_000),
		}
		if shape.Need[GPUs] > 0 {
			shape.GPUModel = pick(s, "", "a100")
		}
		if easy {
			shape.Arch, shape.Regions, shape.GPUModel, shape.MinScorePPM = "", nil, "", 0
		}
		b.Shapes = append(b.Shapes, shape)
	}
	for i := range upTo(6) {
		supply := Supply{
			ID: uint64(100 - i), Active: !rarely(), Expired: rarely(), Paused: rarely(), Draining: rarely(), Jailed: rarely(),
			AskHeight: upTo(10), Runtimes: pick(s, []string{"wasm"}, []string{"container"}, []string{"wasm", "container"}, []string{"container", "wasm"}),
			Arch: pick(s, "", "amd64", "amd64", "arm64"), Region: pick(s, "", "eu", "us", "asia"), GPUModel: pick(s, "", "a100", "h100"),
			Network: s.below(4) > 0, MaxRunSeconds: 2 + upTo(6), FreeBond: pick(s, upTo(200)-5, upTo(1_000_000), upTo(1_000_000)),
			LeaseSlots: upTo(7) - 1, ScorePPM: upTo(PPM),
		}
		for r := range supply.Capacity {
			supply.Capacity[r] = 1 + upTo(12)
			supply.Free[r] = supply.Capacity[r] - upTo(1)
			supply.Ask[r] = uint64(upTo(5)) * anexPerUnex
		}
		if easy {
			supply.Active, supply.Expired, supply.Paused, supply.Draining, supply.Jailed = true, false, false, false, false
			supply.Runtimes, supply.Network, supply.ScorePPM = []string{"container", "wasm"}, true, PPM/2+upTo(PPM/2)
		}
		b.Supplies = append(b.Supplies, supply)
	}
	for job := range 1 + upTo(6) {
		first := int64(0)
		for range 1 + upTo(1) {
			first += upTo(2)
			e := Entry{
				JobID: uint64(job + 1), First: first, Count: 1 + upTo(5), ShapeIndex: s.below(len(b.Shapes)),
				Limit: 1 + upTo(150), VisibleBefore: 5 + upTo(8),
			}
			for id := uint64(95); id <= 100; id++ {
				if rarely() {
					e.Excluded = append(e.Excluded, id)
				}
			}
			first += e.Count
			b.Entries = append(b.Entries, e)
		}
	}
	return b
}

// naive says from the book alone, in plain words, whether a NexCore can take a shard, and at which price.
func naive(b *Book, e *Entry, s *Supply) (price, welfare int64, ok bool) {
	shape := &b.Shapes[e.ShapeIndex]
	price, _ = Price(s.Ask, *shape)
	penalty := mulDivCeil(price*b.Params.PenaltyKPPM, PPM-s.ScorePPM, PPM*PPM) // small numbers in these tests
	usable := e.Limit * PPM / (PPM + b.Params.BurnPPM)
	fits := true
	for r := range shape.Need {
		fits = fits && shape.Need[r] <= s.Free[r]
	}
	ok = s.Active && !s.Expired && !s.Paused && !s.Draining && !s.Jailed && slices.Contains(s.Runtimes, shape.Runtime) &&
		(shape.Arch == "" || shape.Arch == s.Arch) && (len(shape.Regions) == 0 || slices.Contains(shape.Regions, s.Region)) &&
		(shape.GPUModel == "" || shape.GPUModel == s.GPUModel) && (s.Network || !shape.Network) &&
		shape.RunSeconds <= s.MaxRunSeconds && fits && s.FreeBond*PPM >= price*b.Params.LockPPM && s.LeaseSlots > 0 &&
		s.ScorePPM >= shape.MinScorePPM && s.AskHeight < e.VisibleBefore && !slices.Contains(e.Excluded, s.ID) && price+penalty <= usable
	return price, usable - price - penalty, ok
}

func mustModel(t interface{ Fatal(...any) }, b Book) *Model {
	m, err := NewModel(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustSolve(t interface{ Fatal(...any) }, m *Model) Allocation {
	a, err := Greedy{}.Solve(m, Budget{Steps: DefaultSteps})
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(m, a); err != nil {
		t.Fatal(err)
	}
	return a
}
