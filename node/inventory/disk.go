package inventory

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	diskChunk = 1 << 20
	// diskBytes is written and read at most.
	diskBytes = 64 << 20
	// diskTime bounds each direction on a slow disk.
	diskTime = 4 * time.Second
	// diskSpare must stay free: a measurement must not fill a disk.
	diskSpare = 256 << 20

	netBytes = 32 << 20
	netTime  = 4 * time.Second
)

var errNoSpace = errors.New("too little free space to measure")

// freeBytes is what this process may still write in dir.
func freeBytes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("%s: %w", dir, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

// measureDisk writes and reads one temporary file in dir. Rates are in MiB/s.
func measureDisk(ctx context.Context, dir string, free int64) (write, read int64, err error) {
	if free < diskBytes+diskSpare {
		return 0, 0, errNoSpace
	}
	f, err := os.CreateTemp(dir, ".nexara-disk-*")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()

	// A disk that compresses or deduplicates must not look faster than it is.
	chunk := make([]byte, diskChunk)
	state := uint64(1)
	var written int64
	start := time.Now()
	for written < diskBytes && time.Since(start) < diskTime && ctx.Err() == nil {
		for i := 0; i < len(chunk); i += 8 {
			state = splitmix(state)
			binary.LittleEndian.PutUint64(chunk[i:], state)
		}
		n, err := f.Write(chunk)
		if err != nil {
			return 0, 0, err
		}
		written += int64(n)
	}
	if err := f.Sync(); err != nil {
		return 0, 0, err
	}
	write = rate(written, time.Since(start))

	if err := dropCache(f); err != nil {
		return write, 0, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return write, 0, err
	}
	var got int64
	start = time.Now()
	for got < written && time.Since(start) < diskTime && ctx.Err() == nil {
		n, err := f.Read(chunk)
		got += int64(n)
		if err != nil && !errors.Is(err, io.EOF) {
			return write, 0, err
		}
		if n == 0 {
			break
		}
	}
	return write, rate(got, time.Since(start)), ctx.Err()
}

// measureNet downloads up to netBytes from where source says. The rate is in MiB/s.
func measureNet(ctx context.Context, client *http.Client, source func(context.Context) (string, error)) (int64, error) {
	url, err := source(ctx)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, netTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s answers %s", req.URL.Redacted(), resp.Status)
	}
	// The clock starts with the body: set-up is latency, not rate.
	start := time.Now()
	n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, netBytes))
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return 0, err
	}
	return rate(n, time.Since(start)), nil
}

// rate is MiB a second, at least 1 when anything was moved: 0 means not measured.
func rate(bytes int64, d time.Duration) int64 {
	if bytes <= 0 {
		return 0
	}
	perSecond := float64(bytes) / max(d.Seconds(), 1e-6)
	return max(int64(perSecond/(1<<20)), 1)
}
