package types

import (
	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/reputation/score"
)

// DefaultParams are the starting values; x/reputation/README.md gives bounds and reasons.
func DefaultParams() Params {
	return Params{
		EpochBlocks:    86_400,
		HalfLifeEpochs: 30,
		Unit:           1_000,
		WeightCap:      score.Unit,
		HashRetention:  1_000_000,
	}
}

// Validate checks each parameter against its bounds.
func (p Params) Validate() error {
	if p.Unit < 1 || p.Unit > denom.MaxUnex {
		return ErrParams.Wrapf("unit is %d, allowed are 1 to %d", p.Unit, denom.MaxUnex)
	}
	for _, b := range []struct {
		name            string
		value, min, max uint64
	}{
		{"epoch_blocks", p.EpochBlocks, 1, 100_000_000},
		{"half_life_epochs", p.HalfLifeEpochs, 1, 1_000_000},
		{"weight_cap", p.WeightCap, 1, score.MaxWeight},
		{"hash_retention", p.HashRetention, 1, 1_000_000_000},
	} {
		if b.value < b.min || b.value > b.max {
			return ErrParams.Wrapf("%s is %d, allowed are %d to %d", b.name, b.value, b.min, b.max)
		}
	}
	return nil
}

// ValidateChange checks new parameters against the ones in force. The epoch's length is fixed at genesis:
// tallies remember the number of their epoch, and with another length all of them would decay at once, or not at
// all for long. half_life_epochs is the one to tune.
func (p Params) ValidateChange(next Params) error {
	if err := next.Validate(); err != nil {
		return err
	}
	if next.EpochBlocks != p.EpochBlocks {
		return ErrParams.Wrapf("epoch_blocks is %d since genesis and cannot change; change half_life_epochs", p.EpochBlocks)
	}
	return nil
}

// Epoch is the number of the epoch of a height.
func (p Params) Epoch(height int64) uint64 {
	if height < 0 || p.EpochBlocks == 0 {
		return 0
	}
	return uint64(height) / p.EpochBlocks
}
