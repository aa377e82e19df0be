package types

import "github.com/nexara/nexara/x/denom"

// Bounds of the parameters; x/nexcore/README.md says why each.
const (
	maxUnbondingSeconds = int64(365 * 24 * 3_600)
	maxJailBlocks       = int64(100_000_000)
	maxPerOperator      = uint64(100_000)
	maxPerBlock         = uint64(10_000)
)

// DefaultParams are the starting values; x/nexcore/README.md gives bounds and reasons.
func DefaultParams() Params {
	return Params{
		MinBond:                100 * denom.UnexPerNEX,
		UnbondingSeconds:       21 * 24 * 3_600,
		JailBlocks:             600,
		MaxNexcoresPerOperator: 1_000,
		MaxUnbondingsPerBlock:  100,
	}
}

// Validate checks each parameter against its bounds.
func (p Params) Validate() error {
	for _, b := range []struct {
		name            string
		value, min, max int64
	}{
		{"min_bond", p.MinBond, 1, denom.MaxUnex},
		{"unbonding_seconds", p.UnbondingSeconds, 1, maxUnbondingSeconds},
		{"jail_blocks", p.JailBlocks, 1, maxJailBlocks},
	} {
		if b.value < b.min || b.value > b.max {
			return ErrParams.Wrapf("%s is %d, allowed are %d to %d", b.name, b.value, b.min, b.max)
		}
	}
	for _, b := range []struct {
		name            string
		value, min, max uint64
	}{
		{"max_nexcores_per_operator", p.MaxNexcoresPerOperator, 1, maxPerOperator},
		{"max_unbondings_per_block", p.MaxUnbondingsPerBlock, 1, maxPerBlock},
	} {
		if b.value < b.min || b.value > b.max {
			return ErrParams.Wrapf("%s is %d, allowed are %d to %d", b.name, b.value, b.min, b.max)
		}
	}
	return nil
}
