// Package types holds the records, errors, parameters and store keys of the scores. It never reads state
// and never computes a score: that is the pure room score. Its place in the flow is the last step, settle.
package types

import "cosmossdk.io/collections"

const (
	// ModuleName names the module. It has no account: scores are not money.
	ModuleName = "reputation"
	// StoreKey is the store of the scores.
	StoreKey = ModuleName
)

// Prefixes of the store. Never reused.
var (
	ParamsKey      = collections.NewPrefix(0)
	PendingKey     = collections.NewPrefix(1)
	TallyCursorKey = collections.NewPrefix(2)
	PairCursorKey  = collections.NewPrefix(3)
	TalliesKey     = collections.NewPrefix(10)
	PairsKey       = collections.NewPrefix(11)
	HashesKey      = collections.NewPrefix(12)
)

const (
	// HashBytes is the length of a commitment.
	HashBytes = 32
	// MaxNameBytes bounds an address inside a fact.
	MaxNameBytes = 128
	// MaxReasonBytes bounds a reason code.
	MaxReasonBytes = 64
	// PrunePerBlock is how many expired hashes one block forgets: above 1, so that a lowered retention is caught up.
	PrunePerBlock = 16
	// SweepPerBlock is how many tallies, and how many pairs, one block looks at to forget those that decayed to nothing.
	SweepPerBlock = 16
)
