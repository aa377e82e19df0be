// Package inventory measures the machine a NexCore runs on: what it has (cores,
// memory, disk, GPUs) and how fast it is.
//
// It reads and times; it never offers, prices, reserves or limits anything, and
// never changes the machine beyond one temporary file and its own cache. Figures
// of speed inform requesters, they earn nothing, so nothing here defends against
// an operator who lies to itself.
//
// Limits of the process's own cgroup count as the machine's limits: a daemon in a
// container offers what the container may use.
//
// Place in the flow: Measure -> the spec a NexCore registers with, and the bound
// of what its offers may promise; doctor prints it.
package inventory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"time"
)

// ErrMeasure means that a figure without which nothing can be offered could not
// be had: memory or disk.
var ErrMeasure = errors.New("machine could not be measured")

// GPU is a number of identical accelerators.
type GPU struct {
	// Model is a lower-case word such as a100, or unknown.
	Model string `json:"model"`
	Count int64  `json:"count"`
	// MemoryMiB is of one of them; 0 when it is not known.
	MemoryMiB int64 `json:"memory_mib"`
}

// Benchmark is how fast the machine is.
type Benchmark struct {
	// SingleCore and MultiCore are thousands of operations a second of the
	// workload in speed.go, on one core and on all.
	SingleCore int64 `json:"single_core"`
	MultiCore  int64 `json:"multi_core"`
	// DiskWriteMiBs and DiskReadMiBs are sequential rates in MiB a second, with
	// fsync and past the page cache where the system allows it. 0: not measured.
	DiskWriteMiBs int64 `json:"disk_write_mib_s"`
	DiskReadMiBs  int64 `json:"disk_read_mib_s"`
	// NetMiBs is the download rate from Config.NetURL. 0: not measured.
	NetMiBs int64 `json:"net_mib_s"`
}

// Machine is the result.
type Machine struct {
	// Arch is a Go architecture name.
	Arch string `json:"arch"`
	// CPUMilli is in thousandths of a core, after affinity and cgroup quota.
	CPUMilli int64 `json:"cpu_milli"`
	// MemoryMiB is after the cgroup's limit.
	MemoryMiB int64 `json:"memory_mib"`
	// DiskMiB is free in Config.Dir for this process.
	DiskMiB   int64     `json:"disk_mib"`
	GPUs      []GPU     `json:"gpus"`
	Benchmark Benchmark `json:"benchmark"`
	// Warnings are for people: what could not be measured, and why.
	Warnings []string `json:"warnings"`
}

// Config says what to measure.
type Config struct {
	// Dir is where runs will write. It must exist.
	Dir string
	// CachePath keeps the benchmark between starts; empty for none.
	CachePath string
	// CacheAge is how old a cached benchmark may be; 0 means 30 days.
	CacheAge time.Duration
	// NetURL gives what is fetched to measure the network, and is asked only when it is
	// measured; nil for not at all.
	NetURL func(context.Context) (string, error)
	// HTTP fetches NetURL; nil means a client of its own.
	HTTP *http.Client
	// Log receives warnings; nil means none are logged.
	Log *slog.Logger
	// Now is the clock for the cache; nil means time.Now.
	Now func() time.Time

	// root is where /proc, /sys, /etc and /var are found; tests put samples there.
	root string
	// nvidiaSMI is the program asked for GPUs.
	nvidiaSMI string
	// speedTime is how long each of the two speed measurements takes.
	speedTime time.Duration
}

func (c *Config) fill() {
	if c.CacheAge <= 0 {
		c.CacheAge = 30 * 24 * time.Hour
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.root == "" {
		c.root = "/"
	}
	if c.nvidiaSMI == "" {
		c.nvidiaSMI = "nvidia-smi"
	}
	if c.speedTime <= 0 {
		c.speedTime = 250 * time.Millisecond
	}
}

// Measure looks at the machine, and times it unless a cached benchmark fits. It
// takes a second or so without a cache, longer with a slow disk or network, and
// is bounded by about 20 s. A missing GPU tool or an unreachable NetURL is a warning.
func Measure(ctx context.Context, cfg Config) (*Machine, error) {
	cfg.fill()
	m := &Machine{Arch: runtime.GOARCH, GPUs: []GPU{}, Warnings: []string{}}
	warn := func(what string, err error) {
		m.Warnings = append(m.Warnings, what+": "+err.Error())
		cfg.Log.Warn("inventory: "+what, "err", err)
	}

	limits, err := readCgroup(cfg.root)
	if err != nil {
		warn("cgroup limits", err)
	}
	m.CPUMilli = int64(runtime.NumCPU()) * 1000
	if limits.cpuMilli > 0 {
		m.CPUMilli = min(m.CPUMilli, limits.cpuMilli)
	}
	memory, err := memoryBytes(cfg.root)
	if err != nil {
		return nil, fmt.Errorf("%w: memory: %w", ErrMeasure, err)
	}
	if limits.memoryBytes > 0 {
		memory = min(memory, limits.memoryBytes)
	}
	m.MemoryMiB = memory >> 20
	free, err := freeBytes(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: disk: %w", ErrMeasure, err)
	}
	m.DiskMiB = free >> 20

	m.GPUs, err = findGPUs(ctx, cfg)
	if err != nil {
		warn("GPUs", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}

	mark := fingerprint(m, cfg)
	b, at, known := loadCache(cfg, mark)
	if m.Benchmark = b; known && (b.NetMiBs > 0 || cfg.NetURL == nil) {
		return m, nil
	}
	complete := true
	if !known {
		at = cfg.Now()
		m.Benchmark.SingleCore, m.Benchmark.MultiCore = measureSpeed(ctx, runtime.NumCPU(), cfg.speedTime)
		if m.Benchmark.DiskWriteMiBs, m.Benchmark.DiskReadMiBs, err = measureDisk(ctx, cfg.Dir, free); err != nil {
			complete = false
			warn("disk rate", err)
		}
	}
	if cfg.NetURL != nil {
		if m.Benchmark.NetMiBs, err = measureNet(ctx, cfg.HTTP, cfg.NetURL); err != nil {
			warn("network rate", err)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// What failed is tried again at the next start. A network that was away is asked
	// again by whoever has a NetURL, and the rest need not be measured again for it.
	if complete && cfg.CachePath != "" {
		if err := saveCache(cfg, mark, at, m.Benchmark); err != nil {
			warn("benchmark cache", err)
		}
	}
	return m, nil
}
