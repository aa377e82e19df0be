// Package types holds the messages, records, errors, parameters and store keys of the market.
package types

import (
	"cosmossdk.io/collections"
)

const (
	// ModuleName is also the account that holds escrow.
	ModuleName = "tasks"
	// StoreKey is the market's store.
	StoreKey = ModuleName
	// PoolName is the account that pays for audits and probes.
	PoolName = "tasks_pool"
)

// Prefixes of the store. Never reused.
var (
	ParamsKey      = collections.NewPrefix(0)
	TotalsKey      = collections.NewPrefix(1)
	SeedKey        = collections.NewPrefix(2)
	ClearingKey    = collections.NewPrefix(3)
	NextJobKey     = collections.NewPrefix(4)
	NextLeaseKey   = collections.NewPrefix(5)
	NextShapeKey   = collections.NewPrefix(6)
	BookCursorKey  = collections.NewPrefix(7)
	OfferCursorKey = collections.NewPrefix(8)
	OffersKey      = collections.NewPrefix(10)
	StandingsKey   = collections.NewPrefix(11)
	ShapesKey      = collections.NewPrefix(12)
	ShapeDigestKey = collections.NewPrefix(13)
	JobsKey        = collections.NewPrefix(14)
	JobsByOwnerKey = collections.NewPrefix(15)
	BookKey        = collections.NewPrefix(16)
	RangesKey      = collections.NewPrefix(17)
	LeasesKey      = collections.NewPrefix(18)
	LeasesByJobKey = collections.NewPrefix(19)
	LiveByNodeKey  = collections.NewPrefix(20)
	LiveByJobKey   = collections.NewPrefix(21)
	PayoutsKey     = collections.NewPrefix(22)
	QueueKey       = collections.NewPrefix(23)
	SettleQueueKey = collections.NewPrefix(24)
	TombstonesKey  = collections.NewPrefix(25)
	PruneQueueKey  = collections.NewPrefix(26)
)

// QueueKind says what is due. Numbers are in state and never reused.
type QueueKind = uint64

// What the time queue holds.
const (
	DueAcknowledge QueueKind = 1 // lease: no acknowledgement in time
	DueDeliver     QueueKind = 2 // lease: no result in time
	DueFinal       QueueKind = 3 // lease: dispute window ends
	DueJob         QueueKind = 4 // job: waited long enough, or was ended
	DueOffer       QueueKind = 5 // offer: expires
	DueJail        QueueKind = 6 // NexCore: jailed, its leases end
)

// CustodyGas is the gas of checking the signature of a custody receipt, the same as for an account's.
const CustodyGas = uint64(1_000)

// Bounds of message fields that are not parameters.
const (
	MaxNameBytes      = 64
	MaxCIDBytes       = 128
	MaxRuntimes       = 8
	MaxRegions        = 16
	MaxWordBytes      = 32
	MaxAckLeases      = 64
	MaxDeliveries     = 16
	MaxFetchBytes     = int64(1) << 40
	MaxResultBytes    = int64(1) << 40
	RootBytes         = 32
	PubkeyBytes       = 33
	SignatureBytes    = 64
	MaxUnavailable    = 16
	MaxAttemptsBound  = 16
	MaxAssignments    = 1_000 // live leases of one NexCore: its daemon reads them in one answer
	MaxGateways       = 64
	SeedBytes         = 32
	MaxLeaseShards    = 256
	MaxShardsPerJob   = 1_000_000
	MaxRunSecondsCap  = 30 * 24 * 3600
	MaxBlocksBound    = 100_000_000
	MaxPerBlockBound  = 1_000_000
	MaxLeasesPerBlock = 10_000
)
