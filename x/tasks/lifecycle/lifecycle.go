// Package lifecycle holds the two state machines of the market, one of a shard and one of a lease.
// Each is one table of moves and one Step function; keepers ask it and never decide a move themselves.
// It is pure: values in, values out. A job has no machine: its state is derived from its shards.
package lifecycle

import (
	"errors"
	"fmt"
	"strings"
)

// ErrIllegal says that an event cannot happen in a state.
var ErrIllegal = errors.New("illegal move")

// Event is something that happens to a shard or to a lease.
type Event uint8

// The events of both machines.
const (
	// Match binds open shards to a NexCore.
	Match Event = iota + 1
	// Acknowledge says that image and inputs are on the NexCore's disk.
	Acknowledge
	// Decline refuses a lease.
	Decline
	// Silence is no acknowledgement in time.
	Silence
	// Deliver brings a result.
	Deliver
	// Lose is a shard that its NexCore could not run, or a result that holds no shard.
	Lose
	// Miss is no result in time.
	Miss
	// Jail takes the NexCore out of the market.
	Jail
	// Cancel is the requester's end.
	Cancel
	// Close ends a dispute window.
	Close
	// Settle pays.
	Settle
	// Expire ends the wait in the book.
	Expire
	// Exhaust is the last attempt gone.
	Exhaust
	// Unavailable ends a job whose inputs cannot be fetched.
	Unavailable
	// Spend is a limit used up by the book charge.
	Spend
	lastEvent
)

var eventNames = [...]string{
	Match: "match", Acknowledge: "acknowledge", Decline: "decline", Silence: "silence", Deliver: "deliver",
	Lose: "lose", Miss: "miss", Jail: "jail", Cancel: "cancel", Close: "close", Settle: "settle",
	Expire: "expire", Exhaust: "exhaust", Unavailable: "unavailable", Spend: "spend",
}

// String returns the event's name.
func (e Event) String() string {
	if e > 0 && e < lastEvent {
		return eventNames[e]
	}
	return fmt.Sprintf("event(%d)", uint8(e))
}

// Move is one row of a table. Reason is the code that records and events carry.
type Move[S ~uint8] struct {
	From   S
	Event  Event
	To     S
	Reason string
}

// state is what both machines have in common.
type state interface {
	~uint8
	fmt.Stringer
}

// step finds the one move of a table.
func step[S state](table []Move[S], from S, event Event) (Move[S], error) {
	for _, move := range table {
		if move.From == from && move.Event == event {
			return move, nil
		}
	}
	return Move[S]{}, fmt.Errorf("%w: %s when %s", ErrIllegal, event, from)
}

// diagram draws a table as a Mermaid state diagram.
func diagram[S ~uint8](table []Move[S], start, end S, name func(S) string, terminal ...S) string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n")
	fmt.Fprintf(&b, "    [*] --> %s\n", name(start))
	for _, move := range table {
		fmt.Fprintf(&b, "    %s --> %s: %s (%s)\n", name(move.From), name(move.To), move.Event, move.Reason)
	}
	for _, state := range append([]S{end}, terminal...) {
		fmt.Fprintf(&b, "    %s --> [*]\n", name(state))
	}
	return b.String()
}
