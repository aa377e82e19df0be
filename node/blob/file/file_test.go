package file

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/blobtest"
)

func open(t testing.TB, dir string, maxBytes int64) blob.Store {
	t.Helper()
	st, err := Open(Config{Dir: dir, MaxBytes: maxBytes, Grace: -1, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return st
}

func TestConformance(t *testing.T) { blobtest.Run(t, open) }
