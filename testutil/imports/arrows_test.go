package imports

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// arrow forbids imports. Paths without a dot in their first element and not of the standard library are of this
// module.
type arrow struct {
	// from are the packages that the rule binds.
	from []string
	// deny are the packages that they may not import.
	deny []string
	// deep looks through every dependency, not at direct imports alone.
	deep bool
	// why is printed with every breach.
	why string
}

const (
	sdk   = "github.com/cosmos/cosmos-sdk/..."
	comet = "github.com/cometbft/cometbft/..."
)

// pure are the rooms that decide: values in, values out.
func pure() []string {
	return []string{
		"x/denom", "x/nexcore/bond", "x/reputation/score",
		"x/tasks/auction", "x/tasks/auction/flow", "x/tasks/auction/packing", "x/tasks/escrow", "x/tasks/lifecycle", "x/tasks/verdict",
	}
}

func arrows() []arrow {
	return []arrow{
		{
			from: pure(), deny: []string{"context", "time", "os", "io/fs", "net/...", "log/...", "math/rand/...", "sync/...", "runtime/...", "unsafe", "reflect"},
			why: "a pure room has no context, clock, file, socket, logger, randomness or goroutine: the same values always give the same answer",
		},
		{
			from: []string{"x/*/types"}, deny: []string{"x/*/keeper", "x/nexcore", "x/tasks", "x/reputation"},
			why: "types are below keepers and modules, or each could not be read without the other",
		},
		{
			from: []string{"x/*/keeper"}, deny: []string{"x/nexcore", "x/tasks", "x/reputation"},
			why: "a keeper is below its module's wiring",
		},
		{
			from: []string{"x/*/keeper"}, deny: []string{"x/*/keeper"},
			why: "a keeper meets others only through the small interfaces that it declares",
		},
		{
			from: []string{"x/nexcore/...", "x/reputation/..."}, deny: []string{"x/tasks/..."},
			why: "calls go from the market to registry and reputation, never back",
		},
		{from: []string{"x/nexcore/..."}, deny: []string{"x/reputation/..."}, why: "the registry knows nothing of scores"},
		{from: []string{"x/reputation/..."}, deny: []string{"x/nexcore/..."}, why: "scores know nothing of the registry"},
		{
			from: []string{"x/..."}, deny: []string{"app", "node/...", "cmd/...", "testutil/..."},
			why: "modules are below the application and know nothing of daemons",
		},
		{
			from: []string{"app"}, deny: []string{"node/...", "cmd/...", "testutil/..."},
			why: "the application wires modules and knows nothing of daemons",
		},
		{
			from: []string{"node/...", "cmd/nexcore"}, deny: []string{"app", "x/*/types", "x/*/keeper", "x/nexcore", "x/tasks", "x/reputation", sdk, comet}, deep: true,
			why: "daemons build transactions from the light bindings: no chain code, so that they stay small and cross-compile",
		},
		{
			from: []string{"cmd/nexarad/..."}, deny: []string{"node/blob/ipfs", "node/driver/...", "github.com/ipfs/boxo/bitswap/..."}, deep: true,
			why: "the chain's binary moves blobs over HTTP and runs no jobs",
		},
		{
			from: []string{"app", "x/...", "cmd/nexarad/..."}, deny: []string{"github.com/libp2p/...", "github.com/ipfs/boxo/..."},
			why: "no code of the chain's side speaks libp2p; what CometBFT links for a transport that is off is its own",
		},
		{
			from: []string{"proto/gen/..."}, deny: []string{"x/...", "app", "node/...", "cmd/...", sdk, comet}, deep: true,
			why: "the light bindings are words: both halves read them, they read nobody",
		},
		{
			from: []string{"app", "x/...", "node/...", "cmd/...", "proto/..."}, deny: []string{"testutil/...", "scripts/..."},
			why: "test harnesses are imported by tests and scripts only",
		},
		{
			from: []string{"testutil/network", "testutil/imports", "testutil/signing"}, deny: []string{"node/...", "cmd/..."},
			why: "the chain's harness runs the chain alone",
		},
	}
}

func TestArrows(t *testing.T) {
	packages := goList(t, "-deps", "./...")
	for i, a := range arrows() {
		t.Run(fmt.Sprintf("%d %s", i, strings.Join(a.from, " ")), func(t *testing.T) {
			requireExist(t, packages, a.from)
			requireExist(t, packages, a.deny)
			for _, p := range packages {
				from, own := p.own()
				if !own || !matchesAny(a.from, from) {
					continue
				}
				imports := p.Imports
				if a.deep {
					imports = p.Deps
				}
				for _, path := range imports {
					name := path
					if rest, own := ownPath(path); own {
						name = rest
					}
					if name != from && matchesAny(a.deny, name) {
						t.Errorf("%s imports %s: %s%s", from, name, a.why, chain(packages, p.ImportPath, path))
					}
				}
			}
		})
	}
}

// requireExist fails for a pattern that fits nothing: its rule guards a package that is gone.
func requireExist(t *testing.T, packages map[string]*pkg, patterns []string) {
	t.Helper()
	for _, pattern := range patterns {
		found := false
		for path, p := range packages {
			name, own := p.own()
			if !own {
				name = path
			}
			if found = matches(pattern, name); found {
				break
			}
		}
		require.True(t, found || standard(pattern), "the rule names %s, which does not exist", pattern)
	}
}

// standard says whether a pattern is one of the standard library's, which need not be imported anywhere.
func standard(pattern string) bool {
	return slices.Contains([]string{"log/...", "math/rand/...", "net/...", "sync/...", "runtime/..."}, pattern)
}

// chain tells how a package comes by a dependency, shortest first.
func chain(packages map[string]*pkg, from, to string) string {
	via := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		p := packages[queue[0]]
		if p == nil {
			continue
		}
		for _, next := range p.Imports {
			if _, seen := via[next]; seen {
				continue
			}
			via[next] = p.ImportPath
			if next != to {
				queue = append(queue, next)
				continue
			}
			var steps []string
			for at := to; at != ""; at = via[at] {
				steps = append(steps, strings.TrimPrefix(at, modulePath+"/"))
			}
			slices.Reverse(steps)
			return "\n\t" + strings.Join(steps, " -> ")
		}
	}
	return ""
}

// TestPureRooms says that a pure room imports the standard library, exact arithmetic, the units and pure rooms
// inside itself, nothing else.
func TestPureRooms(t *testing.T) {
	packages := goList(t, "-deps", "./x/...")
	requireExist(t, packages, pure())
	for path, p := range packages {
		room, own := p.own()
		if !own || !matchesAny(pure(), room) {
			continue
		}
		for _, imported := range p.Imports {
			if q := packages[imported]; q != nil && q.Standard {
				continue
			}
			inside, isOwn := ownPath(imported)
			allowed := imported == "cosmossdk.io/math" || imported == modulePath+"/x/denom" ||
				isOwn && strings.HasPrefix(inside, room+"/") && matchesAny(pure(), inside)
			require.True(t, allowed, "%s imports %s: values in, values out", path, imported)
		}
	}
}

// layers are the rooms of the daemons, lowest first. A room uses rooms of lower layers only, and no other of its
// own: those meet one layer up, through interfaces.
func layers() [][]string {
	return [][]string{
		{"jobspec"},
		{"key", "loopback", "inventory", "driver", "blob", "store", "result"},
		{"chain", "offer", "lease"},
		{"provider", "gateway"},
	}
}

func TestNodeLayers(t *testing.T) {
	layerOf := make(map[string]int)
	for n, rooms := range layers() {
		for _, room := range rooms {
			layerOf[room] = n
		}
	}
	seen := make(map[string]bool)
	for _, p := range goList(t, "./node/...") {
		path, _ := p.own()
		room := strings.Split(path, "/")[1]
		layer, known := layerOf[room]
		require.True(t, known, "%s is in no layer: list it", path)
		seen[room] = true
		for _, imported := range p.Imports {
			name, own := ownPath(imported)
			if !own {
				continue
			}
			if !strings.HasPrefix(name, "node/") {
				word := matchesAny(pure(), name) || matches("proto/gen/...", name) || matches("contracts/...", name)
				require.True(t, word, "%s imports %s: of the rest, daemons read the words alone", path, name)
				continue
			}
			other := strings.Split(name, "/")[1]
			require.True(t, other == room || layerOf[other] < layer,
				"%s imports %s: rooms use lower layers, and meet one layer up", path, name)
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(layerOf)), slices.Collect(maps.Keys(seen)), "a layer names a room that is gone")
}

// TestDaemonHasNoCgo says that nexcore cross-compiles without a C compiler.
func TestDaemonHasNoCgo(t *testing.T) {
	for path, p := range goList(t, "-deps", "./cmd/nexcore") {
		if !p.Standard {
			require.Empty(t, p.CgoFiles, "%s needs cgo", path)
		}
	}
}
