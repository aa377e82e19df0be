// Package types holds the messages, records, errors, parameters and store keys of the registry of
// NexCores. It checks the form of what comes in and never reads state. Its place in the flow is the first
// step: register, bond.
package types

import "cosmossdk.io/collections"

const (
	// ModuleName is also the account that holds bonds and unbondings.
	ModuleName = "nexcore"
	// StoreKey is the registry's store.
	StoreKey = ModuleName
)

// Prefixes of the store. Never reused.
var (
	ParamsKey              = collections.NewPrefix(0)
	BondTotalKey           = collections.NewPrefix(1)
	UnbondingTotalKey      = collections.NewPrefix(2)
	NextNexCoreKey         = collections.NewPrefix(3)
	NextLockKey            = collections.NewPrefix(4)
	NextUnbondingKey       = collections.NewPrefix(5)
	NexCoresKey            = collections.NewPrefix(10)
	ByNodeKey              = collections.NewPrefix(11)
	ByOperatorKey          = collections.NewPrefix(12)
	ByRegionKey            = collections.NewPrefix(13)
	ByRuntimeKey           = collections.NewPrefix(14)
	ByArchKey              = collections.NewPrefix(15)
	OperatorCountKey       = collections.NewPrefix(16)
	LocksKey               = collections.NewPrefix(20)
	LocksByNexCoreKey      = collections.NewPrefix(21)
	UnbondingsKey          = collections.NewPrefix(22)
	UnbondingsByNexCoreKey = collections.NewPrefix(23)
	UnbondingQueueKey      = collections.NewPrefix(24)
)

// FirstID is the first number of NexCores, locks and unbondings: 0 means none in other modules' records.
const FirstID = uint64(1)

// Bounds of message fields that are not parameters. Words and resources have the bounds that the market
// gives to shapes, so that whatever a NexCore may say a job may ask for.
const (
	MaxPeerIDs        = 8
	MaxPeerIDBytes    = 128
	MaxMultiaddrs     = 16
	MaxMultiaddrBytes = 256
	MaxGPUModels      = 16
	MaxGPUs           = 1_024
	MaxRuntimes       = 8
	MaxWordBytes      = 32
	MaxReasonBytes    = 64
	MaxCPUMilli       = uint64(1_000_000)
	MaxMemoryMiB      = uint64(1) << 26
	MaxDiskMiB        = uint64(1) << 30
	MaxBenchmark      = uint64(1) << 50
	PubkeyBytes       = 33
	SignatureBytes    = 64
	// MaxUnbondings is how many unbondings one NexCore may have queued by MsgUnbond. It bounds what one
	// operator can put in front of others in the queue; deregistration may always add one more.
	MaxUnbondings = 16
	// RetrySeconds is how long an unbonding that could not be paid waits for its next try.
	RetrySeconds = int64(3_600)
	// ProofGas is the gas of checking a node key's signature, the same as for an account's.
	ProofGas = uint64(1_000)
)
