package wasm_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/driver/drivertest"
	"github.com/nexara/nexara/node/driver/wasm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, dir string) *wasm.Driver {
	t.Helper()
	d, err := wasm.New(wasm.Config{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func TestConformance(t *testing.T) {
	dir := t.TempDir()
	drivertest.Run(t, drivertest.Harness{
		Driver: open(t, dir),
		Image:  drivertest.WASM(t),
		Reopen: func(t *testing.T) driver.Driver { return open(t, dir) },
		Clean: func(t *testing.T, id string) {
			require.NoDirExists(t, filepath.Join(dir, "runs", id))
		},
		Folders: []string{dir, filepath.Join(dir, "runs")},
	})
	left, err := os.ReadDir(filepath.Join(dir, "runs"))
	require.NoError(t, err)
	require.Empty(t, left)
}

var _ = context.Background
