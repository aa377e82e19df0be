package app

import (
	"os"
	"path/filepath"
	"testing"

	"cosmossdk.io/log/v2"
	"github.com/stretchr/testify/require"

	taskstypes "github.com/nexara/nexara/x/tasks/types"
)

func TestClearingFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "clearings")
	f, err := openClearingFiles(dir, 2, log.NewNopLogger())
	require.NoError(t, err)
	f.Keep(3, []byte("three"))
	f.Keep(10, []byte("ten"))
	f.Keep(10, []byte("ten again")) // a block that is executed twice
	data, size, err := f.Read(10, 4, 3)
	require.NoError(t, err)
	require.Equal(t, "aga", string(data))
	require.EqualValues(t, 9, size)

	f, err = openClearingFiles(dir, 2, log.NewNopLogger()) // a restart
	require.NoError(t, err)
	f.Keep(11, []byte("eleven"))
	_, _, err = f.Read(3, 0, 10)
	require.ErrorIs(t, err, taskstypes.ErrNotFound, "the oldest goes")
	for _, height := range []int64{10, 11} {
		_, _, err = f.Read(height, 0, 10)
		require.NoError(t, err)
	}
	data, _, err = f.Read(11, 100, 10)
	require.NoError(t, err)
	require.Empty(t, data)
	_, _, err = f.Read(-1, 0, 10)
	require.ErrorIs(t, err, taskstypes.ErrNotFound)

	require.NoError(t, os.RemoveAll(dir))
	f.Keep(12, []byte("nowhere")) // is logged, and the block goes on
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
