package inventory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// cacheVersion changes with the workloads, so that figures stay comparable.
const cacheVersion = 1

type cached struct {
	Version     int       `json:"version"`
	Fingerprint string    `json:"fingerprint"`
	MeasuredAt  time.Time `json:"measured_at"`
	Benchmark   Benchmark `json:"benchmark"`
}

// fingerprint changes when the figures would: other cores or folder.
func fingerprint(m *Machine, cfg Config) string {
	return fmt.Sprintf("%s %d %d %q", m.Arch, m.CPUMilli, runtime.NumCPU(), cfg.Dir)
}

// loadCache gives a benchmark that fits, and when it was taken. Whatever is wrong
// with the file only means measuring again.
func loadCache(cfg Config, mark string) (_ Benchmark, at time.Time, ok bool) {
	if cfg.CachePath == "" {
		return Benchmark{}, at, false
	}
	b, err := readSystemFile(cfg.CachePath)
	if err != nil {
		return Benchmark{}, at, false
	}
	c, err := parseCache(b)
	if err != nil {
		cfg.Log.Warn("inventory: benchmark cache is ignored", "path", cfg.CachePath, "err", err)
		return Benchmark{}, at, false
	}
	age := cfg.Now().Sub(c.MeasuredAt)
	if c.Fingerprint != mark || age < 0 || age > cfg.CacheAge {
		return Benchmark{}, at, false
	}
	return c.Benchmark, c.MeasuredAt, true
}

func parseCache(b []byte) (cached, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var c cached
	if err := dec.Decode(&c); err != nil {
		return cached{}, err
	}
	x := c.Benchmark
	if c.Version != cacheVersion || min(x.SingleCore, x.MultiCore) < 1 || min(x.DiskReadMiBs, x.DiskWriteMiBs, x.NetMiBs) < 0 {
		return cached{}, fmt.Errorf("%w: benchmark cache", errSystemFile)
	}
	return c, nil
}

func saveCache(cfg Config, mark string, at time.Time, x Benchmark) error {
	b, err := json.MarshalIndent(cached{cacheVersion, mark, at.UTC(), x}, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(cfg.CachePath), ".benchmark-*")
	if err != nil {
		return err
	}
	_, werr := tmp.Write(append(b, '\n'))
	if err := errors.Join(werr, tmp.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return os.Rename(tmp.Name(), cfg.CachePath)
}
