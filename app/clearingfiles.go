package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cosmossdk.io/log/v2"

	taskstypes "github.com/nexara/nexara/x/tasks/types"
)

// DefaultKeptClearings is how many model files of clearings a node keeps.
const DefaultKeptClearings = 1_000

// clearingFiles keeps the model files of the last clearings in a folder, one file for each height. They are no
// state: losing one costs whoever wants to verify that clearing a question to another node. So a write that fails
// is logged and never fails a block.
type clearingFiles struct {
	dir     string
	keep    int
	log     log.Logger
	heights []int64 // kept, ascending
}

const modelSuffix = ".model"

func openClearingFiles(dir string, keep int, logger log.Logger) (*clearingFiles, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("folder of model files: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("folder of model files: %w", err)
	}
	f := &clearingFiles{dir: dir, keep: keep, log: logger}
	for _, e := range entries {
		name, isModel := strings.CutSuffix(e.Name(), modelSuffix)
		if height, err := strconv.ParseInt(name, 10, 64); isModel && err == nil {
			f.heights = append(f.heights, height)
		}
	}
	slices.Sort(f.heights)
	return f, nil
}

func (f *clearingFiles) path(height int64) string {
	return filepath.Join(f.dir, strconv.FormatInt(height, 10)+modelSuffix)
}

// Keep writes a file whole or not at all and removes the oldest beyond the number kept.
func (f *clearingFiles) Keep(height int64, file []byte) {
	temporary := filepath.Join(f.dir, "new.tmp")
	err := os.WriteFile(temporary, file, 0o644)
	if err == nil {
		err = os.Rename(temporary, f.path(height))
	}
	if err != nil {
		f.log.Error("model file of a clearing not kept", "height", height, "error", err)
		return
	}
	if at, known := slices.BinarySearch(f.heights, height); !known {
		f.heights = slices.Insert(f.heights, at, height)
	}
	for len(f.heights) > f.keep {
		if err := os.Remove(f.path(f.heights[0])); err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.log.Error("old model file of a clearing not removed", "height", f.heights[0], "error", err)
		}
		f.heights = f.heights[1:]
	}
}

// Read implements the keeper's ClearingFiles.
func (f *clearingFiles) Read(height, offset int64, limit int) ([]byte, int64, error) {
	file, err := os.Open(f.path(height))
	if err != nil {
		return nil, 0, taskstypes.ErrNotFound.Wrapf("this node keeps no model file of block %d", height)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	data := make([]byte, min(int64(limit), max(info.Size()-offset, 0)))
	n, err := file.ReadAt(data, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	return data[:n], info.Size(), nil
}
