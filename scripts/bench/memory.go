package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nexara/nexara/testutil/scenario"
)

const (
	// idleRest is how long daemons idle before and while they are measured.
	idleRest = 60 * time.Second
	// memoryJobs are run between two looks at a daemon's memory, at memoryRate a second.
	memoryJobs, memoryRate = 1_000, 10
)

// idle is the memory and CPU of each of three NexCores that are connected with each other and the gateway and
// have nothing to do: after 60 s of rest, over 60 s.
func (b *bench) idle(ctx context.Context) (_ any, err error) {
	o := b.options("idle", 3)
	o.Mesh = true
	w, err := scenario.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	defer stopped(w, &err)
	const want = 3 // two other NexCores and the gateway
	if err := scenario.Until(ctx, 2*time.Minute, "connections", func(ctx context.Context) (bool, error) {
		for _, m := range w.Machines {
			n, err := peers(ctx, w, m)
			if err != nil || n < want {
				return false, err
			}
		}
		return true, nil
	}); err != nil {
		return nil, err
	}
	if err := rest(ctx); err != nil {
		return nil, err
	}
	before, begin := make([]float64, len(w.Machines)), time.Now()
	for i, m := range w.Machines {
		before[i] = cpuSeconds(m.PID())
	}
	if err := rest(ctx); err != nil {
		return nil, err
	}
	var list []map[string]any
	var memory, cpu float64
	for i, m := range w.Machines {
		used := 100 * (cpuSeconds(m.PID()) - before[i]) / time.Since(begin).Seconds()
		mib := rssMiB(m.PID())
		n, err := peers(ctx, w, m)
		if err != nil {
			return nil, err
		}
		list = append(list, map[string]any{"peers": n, "rss_mib": mib, "cpu_percent_of_a_core": used})
		memory, cpu = max(memory, mib), max(cpu, used)
	}
	return map[string]any{"nexcores": list, "worst_rss_mib": memory, "worst_cpu_percent_of_a_core": cpu, "over_s": idleRest.Seconds()}, nil
}

// peers counts a daemon's connected peers.
func peers(ctx context.Context, w *scenario.World, m *scenario.Machine) (int, error) {
	s, err := w.Status(ctx, m)
	list, _ := s["peers"].([]any)
	return len(list), err
}

// memory is one NexCore's memory before and after 1,000 jobs of one shard each.
func (b *bench) memory(ctx context.Context) (_ any, err error) {
	w, err := b.world(ctx, "memory", 1)
	if err != nil {
		return nil, err
	}
	defer stopped(w, &err)
	l, err := newLoad(ctx, w)
	if err != nil {
		return nil, err
	}
	pid := w.Machines[0].PID()
	if err := rest(ctx); err != nil {
		return nil, err
	}
	before := rssMiB(pid)
	template, err := b.warm(ctx, w, l)
	if err != nil {
		return nil, err
	}
	ticker := time.NewTicker(time.Second / memoryRate)
	defer ticker.Stop()
	most := before
	for range memoryJobs - 1 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ticker.C:
		}
		if _, err := l.sender.Submit(ctx, template); err != nil {
			return nil, err
		}
		most = max(most, rssMiB(pid))
	}
	if _, err := l.settled(ctx, memoryJobs); err != nil {
		return nil, err
	}
	just := rssMiB(pid)
	if err := rest(ctx); err != nil {
		return nil, err
	}
	after := rssMiB(pid)
	return map[string]any{
		"jobs": memoryJobs, "idle_rss_mib": before, "highest_rss_mib": max(most, just), "rss_mib_after_settling": just,
		"rss_mib_at_rest_after": after, "ratio": after / before,
	}, nil
}

// rest lets time pass: what is measured is what daemons do when there is nothing to do.
func rest(ctx context.Context) error {
	timer := time.NewTimer(idleRest)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rssMiB is a process's resident memory.
func rssMiB(pid int) float64 {
	bz, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if f := strings.Fields(string(bz)); err == nil && len(f) > 1 {
		pages, _ := strconv.ParseFloat(f[1], 64)
		return pages * float64(os.Getpagesize()) / (1 << 20)
	}
	return 0
}

// cpuSeconds is what a process has used so far.
func cpuSeconds(pid int) float64 {
	bz, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(bz), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100
}
