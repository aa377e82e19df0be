package imports

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const modulePath = "github.com/nexara/nexara"

// pkg is one package as `go list` tells it.
type pkg struct {
	ImportPath string
	Dir        string
	Standard   bool
	Export     string
	GoFiles    []string
	CgoFiles   []string
	Imports    []string
	Deps       []string
	Module     *struct{ Path string }
}

// own says whether the package is of this module, and returns its path below it.
func (p *pkg) own() (string, bool) { return ownPath(p.ImportPath) }

func ownPath(path string) (string, bool) {
	rest, found := strings.CutPrefix(path, modulePath+"/")
	return rest, found
}

// goList runs `go list -json` at the module's root and returns the packages by import path.
func goList(t *testing.T, args ...string) map[string]*pkg {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	cmd := exec.Command("go", append([]string{"list", "-json"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	packages := make(map[string]*pkg)
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("decode go list: %v", err)
		}
		packages[p.ImportPath] = &p
	}
}

// matches says whether a path fits a pattern: a path, a path with /... below and at it, or one with a *
// for a single element.
func matches(pattern, path string) bool {
	base, tree := strings.CutSuffix(pattern, "/...")
	want, got := strings.Split(base, "/"), strings.Split(path, "/")
	if len(got) < len(want) || (!tree && len(got) != len(want)) {
		return false
	}
	for i, w := range want {
		if w != "*" && w != got[i] {
			return false
		}
	}
	return true
}

func matchesAny(patterns []string, path string) bool {
	for _, p := range patterns {
		if matches(p, path) {
			return true
		}
	}
	return false
}

func TestMatches(t *testing.T) {
	for _, tc := range []struct {
		pattern, path string
		want          bool
	}{
		{"app", "app", true},
		{"app", "app/x", false},
		{"x/...", "x", true},
		{"x/...", "x/tasks/keeper", true},
		{"x/*/keeper", "x/tasks/keeper", true},
		{"x/*/keeper", "x/tasks/keeper/sub", false},
		{"x/*", "x/tasks/keeper", false},
		{"x/*/...", "x/tasks/keeper", true},
		{"time", "timer", false},
	} {
		require.Equal(t, tc.want, matches(tc.pattern, tc.path), "%s %s", tc.pattern, tc.path)
	}
}
