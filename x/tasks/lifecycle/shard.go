package lifecycle

import "fmt"

// ShardState is where a shard stands. The numbers equal the wire's.
type ShardState uint8

// The states of a shard. Settled is the only end; its reason says how.
const (
	ShardOpen ShardState = iota + 1
	ShardLeased
	ShardRunning
	ShardDelivered
	ShardFinal
	ShardSettled
)

// String returns the state's name.
func (s ShardState) String() string {
	switch s {
	case ShardOpen:
		return "open"
	case ShardLeased:
		return "leased"
	case ShardRunning:
		return "running"
	case ShardDelivered:
		return "delivered"
	case ShardFinal:
		return "final"
	case ShardSettled:
		return "settled"
	}
	return fmt.Sprintf("shard(%d)", uint8(s))
}

// shardTable is the whole life of a shard. A result may overtake its acknowledgement, so leased shards
// can be delivered. A lost shard is open again in the same block.
var shardTable = []Move[ShardState]{
	{ShardOpen, Match, ShardLeased, "matched"},
	{ShardOpen, Cancel, ShardSettled, "cancelled"},
	{ShardOpen, Expire, ShardSettled, "expired"},
	{ShardOpen, Exhaust, ShardSettled, "attempts_exhausted"},
	{ShardOpen, Unavailable, ShardSettled, "input_unavailable"},
	{ShardOpen, Spend, ShardSettled, "limit_spent"},

	{ShardLeased, Acknowledge, ShardRunning, "acknowledged"},
	{ShardLeased, Deliver, ShardDelivered, "delivered"},
	{ShardLeased, Decline, ShardOpen, "declined"},
	{ShardLeased, Silence, ShardOpen, "silent"},
	{ShardLeased, Lose, ShardOpen, "lost"},
	{ShardLeased, Jail, ShardOpen, "jailed"},
	{ShardLeased, Cancel, ShardSettled, "cancelled"},

	{ShardRunning, Deliver, ShardDelivered, "delivered"},
	{ShardRunning, Lose, ShardOpen, "lost"},
	{ShardRunning, Miss, ShardOpen, "missed"},
	{ShardRunning, Jail, ShardOpen, "jailed"},
	{ShardRunning, Cancel, ShardSettled, "cancelled_paid"},

	{ShardDelivered, Close, ShardFinal, "final"},
	{ShardFinal, Settle, ShardSettled, "paid"},
}

// StepShard returns the state after an event and the reason code, or ErrIllegal.
func StepShard(from ShardState, event Event) (ShardState, string, error) {
	move, err := step(shardTable, from, event)
	return move.To, move.Reason, err
}

// ShardMoves returns a copy of the table, for tests and documents.
func ShardMoves() []Move[ShardState] { return append([]Move[ShardState](nil), shardTable...) }

// ShardDiagram draws the table.
func ShardDiagram() string {
	return diagram(shardTable, ShardOpen, ShardSettled, ShardState.String)
}
