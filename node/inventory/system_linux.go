package inventory

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// memoryBytes is the machine's memory.
func memoryBytes(root string) (int64, error) {
	b, err := readSystemFile(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return 0, err
	}
	return parseMeminfo(b)
}

func parseMeminfo(b []byte) (int64, error) {
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			v, err := strconv.ParseInt(f[1], 10, 64)
			if err == nil && v > 0 && v < 1<<50 {
				return v << 10, nil
			}
		}
	}
	return 0, fmt.Errorf("%w: /proc/meminfo", errSystemFile)
}

// dropCache asks the system to forget the pages of a file, so that reading it
// means reading the disk.
func dropCache(f *os.File) error {
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}
