package auction

import (
	"errors"
	"fmt"
)

// Bounds. Together they keep every sum inside int64:
//
//	welfare   |w| <= MaxLimit = 4*10^12 per shard, times BoundShards = 2^20 shards: 4.2*10^18 < 2^62
//	capacity  need <= MaxCapacity = 2^40, times a lease's or an entry's shards <= 2^20: 2^60
//	price     under 2^128 anex before the one rounding (see price); above MaxLimit it is "unpayable"
//	lock      price * count <= 4*10^12 * BoundLease = 4*10^15; times LockPPM in 128 bits: <= 4*10^17 unex
//
// A test computes the extremes.
const (
	// MaxAsk bounds an ask: 10 NEX per unit and second, in anex.
	MaxAsk = uint64(10_000_000_000_000_000_000)
	// MaxCapacity bounds a need or a capacity, in the resource's unit.
	MaxCapacity = int64(1) << 40
	// MaxRunSeconds bounds a shape's and an offer's run time: 30 days.
	MaxRunSeconds = int64(30 * 24 * 3600)
	// MaxLimit bounds a shard's all-in limit: 4 million NEX, in unex.
	MaxLimit = int64(4_000_000_000_000)
	// MaxWordBytes bounds each name (runtime, arch, region, GPU model), in bytes.
	MaxWordBytes = 64
	// MaxRegions bounds a shape's regions.
	MaxRegions = 64
	// MaxRuntimes bounds a NexCore's runtimes.
	MaxRuntimes = 16
	// MaxExcluded bounds an entry's excluded NexCores.
	MaxExcluded = 64

	// BoundShards is the most that Params.MaxShards, and one entry's last index, may be.
	BoundShards = int64(1) << 20
	// BoundLease is the most that Params.LeaseMax may be.
	BoundLease = int64(1_024)
	// BoundEdges bounds shapes times supplies of one model, and so its memory: 32 bytes each.
	BoundEdges = int64(1) << 22
)

// Errors of items of a book. Rejections wrap them.
var (
	ErrParams = errors.New("invalid parameters")
	ErrAsk    = errors.New("invalid ask")
	ErrShape  = errors.New("invalid shape")
	ErrLimit  = errors.New("invalid limit")
	ErrSupply = errors.New("invalid supply")
	ErrEntry  = errors.New("invalid entry")
)

// Validate checks each parameter against its bounds.
func (p Params) Validate() error {
	for _, b := range [...]struct {
		name            string
		value, min, max int64
	}{
		{"burn_ppm", p.BurnPPM, 0, PPM},
		{"penalty_k_ppm", p.PenaltyKPPM, 0, 10 * PPM},
		{"lock_ppm", p.LockPPM, 0, 100 * PPM},
		{"lease_max", p.LeaseMax, 1, BoundLease},
		{"max_shapes", p.MaxShapes, 1, 1 << 16},
		{"max_supplies", p.MaxSupplies, 1, 1 << 20},
		{"max_entries", p.MaxEntries, 1, BoundShards},
		{"max_shards", p.MaxShards, 1, BoundShards},
		{"max_matches", p.MaxMatches, 1, BoundShards},
	} {
		if b.value < b.min || b.value > b.max {
			return fmt.Errorf("%w: %s is %d, allowed are %d to %d", ErrParams, b.name, b.value, b.min, b.max)
		}
	}
	return nil
}

// ValidateAsk checks that each ask is at most MaxAsk. Zero is allowed: it is free.
func ValidateAsk(a Ask) error {
	for i, v := range a {
		if v > MaxAsk {
			return fmt.Errorf("%w: %s is %d anex per second, at most %d", ErrAsk, ResourceName(i), v, MaxAsk)
		}
	}
	return nil
}

// ValidateLimit checks that a limit per shard, in unex, is in 1..MaxLimit.
func ValidateLimit(limit int64) error {
	if limit < 1 || limit > MaxLimit {
		return fmt.Errorf("%w: %d unex, allowed are 1 to %d", ErrLimit, limit, MaxLimit)
	}
	return nil
}

// ValidateShape checks the bounds and the canonical form of a shape.
func ValidateShape(s Shape) error {
	some := false
	for i, v := range s.Need {
		if v < 0 || v > MaxCapacity {
			return fmt.Errorf("%w: %s is %d, allowed are 0 to %d", ErrShape, ResourceName(i), v, MaxCapacity)
		}
		some = some || v > 0
	}
	switch {
	case !some:
		return fmt.Errorf("%w: it needs no resource", ErrShape)
	case s.RunSeconds < 1 || s.RunSeconds > MaxRunSeconds:
		return fmt.Errorf("%w: run_seconds is %d, allowed are 1 to %d", ErrShape, s.RunSeconds, MaxRunSeconds)
	case s.MinScorePPM < 0 || s.MinScorePPM > PPM:
		return fmt.Errorf("%w: min_score_ppm is %d, allowed are 0 to %d", ErrShape, s.MinScorePPM, PPM)
	case s.Runtime == "":
		return fmt.Errorf("%w: runtime is empty", ErrShape)
	case s.GPUModel != "" && s.Need[GPUs] == 0:
		return fmt.Errorf("%w: gpu_model without gpus", ErrShape)
	case len(s.Regions) > MaxRegions:
		return fmt.Errorf("%w: %d regions, at most %d", ErrShape, len(s.Regions), MaxRegions)
	}
	if !isWord(s.Runtime) || !isWord(s.Arch) || !isWord(s.GPUModel) {
		return fmt.Errorf("%w: runtime, arch or gpu_model is no printable name of up to %d bytes", ErrShape, MaxWordBytes)
	}
	for i, r := range s.Regions {
		if r == "" || !isWord(r) {
			return fmt.Errorf("%w: regions[%d] is no printable name of 1 to %d bytes", ErrShape, i, MaxWordBytes)
		}
		if i > 0 && s.Regions[i-1] >= r {
			return fmt.Errorf("%w: regions are not strictly ascending", ErrShape)
		}
	}
	return nil
}

// ValidateSupply checks the bounds of what a NexCore offers.
func ValidateSupply(s Supply) error {
	for i := range s.Capacity {
		if s.Capacity[i] < 0 || s.Capacity[i] > MaxCapacity {
			return fmt.Errorf("%w: capacity %s is %d, allowed are 0 to %d", ErrSupply, ResourceName(i), s.Capacity[i], MaxCapacity)
		}
		if s.Free[i] > s.Capacity[i] {
			return fmt.Errorf("%w: free %s is %d, above its capacity %d", ErrSupply, ResourceName(i), s.Free[i], s.Capacity[i])
		}
	}
	switch {
	case s.ID == 0: // a proof's word for "no NexCore"
		return fmt.Errorf("%w: its number is 0", ErrSupply)
	case s.ScorePPM < 0 || s.ScorePPM > PPM:
		return fmt.Errorf("%w: score is %d ppm", ErrSupply, s.ScorePPM)
	case s.MaxRunSeconds < 0 || s.MaxRunSeconds > MaxRunSeconds:
		return fmt.Errorf("%w: max_run_seconds is %d", ErrSupply, s.MaxRunSeconds)
	case len(s.Runtimes) > MaxRuntimes:
		return fmt.Errorf("%w: %d runtimes, at most %d", ErrSupply, len(s.Runtimes), MaxRuntimes)
	case !isWord(s.Arch) || !isWord(s.Region) || !isWord(s.GPUModel):
		return fmt.Errorf("%w: arch, region or gpu_model is no printable name", ErrSupply)
	}
	for i, r := range s.Runtimes {
		if r == "" || !isWord(r) {
			return fmt.Errorf("%w: runtimes[%d] is no printable name", ErrSupply, i)
		}
	}
	if err := ValidateAsk(s.Ask); err != nil {
		return fmt.Errorf("%w: %w", ErrSupply, err)
	}
	return nil
}

// ValidateEntry checks the bounds of an entry in a book of so many shapes.
func ValidateEntry(e Entry, shapes int) error {
	switch {
	case e.ShapeIndex < 0 || e.ShapeIndex >= shapes:
		return fmt.Errorf("%w: no shape %d", ErrEntry, e.ShapeIndex)
	case e.First < 0 || e.Count < 1 || e.First > BoundShards || e.Count > BoundShards-e.First:
		return fmt.Errorf("%w: shards %d and on, %d of them", ErrEntry, e.First, e.Count)
	case len(e.Excluded) > MaxExcluded:
		return fmt.Errorf("%w: %d NexCores excluded, at most %d", ErrEntry, len(e.Excluded), MaxExcluded)
	}
	for i := 1; i < len(e.Excluded); i++ {
		if e.Excluded[i-1] >= e.Excluded[i] {
			return fmt.Errorf("%w: excluded NexCores are not strictly ascending", ErrEntry)
		}
	}
	if err := ValidateLimit(e.Limit); err != nil {
		return fmt.Errorf("%w: %w", ErrEntry, err)
	}
	return nil
}

// isWord accepts the empty name too: callers say where it is allowed.
func isWord(s string) bool {
	if len(s) > MaxWordBytes {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
