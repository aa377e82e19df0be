package lease

import (
	"errors"
	"fmt"
	"strings"
)

// ErrIllegal says that an event cannot happen in a stage: a bug, never an input.
var ErrIllegal = errors.New("lease: illegal move")

// Stage is how far this daemon is with a lease. The chain has its own states; the
// two meet only in the reconciler. Numbers are in the journal and never reused.
type Stage uint8

// The stages.
const (
	// Seen: the lease is in the journal, nothing has been done.
	Seen Stage = iota + 1
	// Fetching: job document, image and inputs are being brought to this disk.
	Fetching
	// Running: shards run. The acknowledgement travels beside them.
	Running
	// Sealing: every shard has ended; the result is put together.
	Sealing
	// Vouching: somebody else is asked to hold the result and to sign that.
	Vouching
	// Delivering: the result is on its way to the chain and can no longer change.
	Delivering
	// Declining: the chain is told that nothing will come: by a refusal before the
	// acknowledgement, by a result without a shard after it.
	Declining
	// Stopping: the chain has ended the lease; runs are ended and removed.
	Stopping
	// Done: nothing is left to do.
	Done
)

var stageNames = [...]string{
	Seen: "seen", Fetching: "fetching", Running: "running", Sealing: "sealing", Vouching: "vouching",
	Delivering: "delivering", Declining: "declining", Stopping: "stopping", Done: "done",
}

// String is the stage's name in logs, the status API and metrics.
func (s Stage) String() string {
	if s >= Seen && s <= Done {
		return stageNames[s]
	}
	return fmt.Sprintf("stage(%d)", uint8(s))
}

// Event is something that happens to a lease on this machine.
type Event uint8

// The events.
const (
	// Begin takes the lease up.
	Begin Event = iota + 1
	// Fetched: everything is on disk.
	Fetched
	// Unfetchable: document, image or inputs cannot be had as the job declares them.
	Unfetchable
	// Broken: this machine cannot run it.
	Broken
	// Ended: every shard has ended.
	Ended
	// Sealed: the result is fixed and pinned.
	Sealed
	// Vouched: a custodian has signed.
	Vouched
	// Refused: the chain did not accept the custody receipt.
	Refused
	// Confirmed: the chain's state shows what was sent.
	Confirmed
	// Closed: the chain has ended the lease.
	Closed
	// Cleaned: no run of it is left.
	Cleaned
	lastEvent
)

var eventNames = [...]string{
	Begin: "begin", Fetched: "fetched", Unfetchable: "unfetchable", Broken: "broken", Ended: "ended", Sealed: "sealed",
	Vouched: "vouched", Refused: "refused", Confirmed: "confirmed", Closed: "closed", Cleaned: "cleaned",
}

// String is the event's name.
func (e Event) String() string {
	if e >= Begin && e < lastEvent {
		return eventNames[e]
	}
	return fmt.Sprintf("event(%d)", uint8(e))
}

type move struct {
	from   Stage
	event  Event
	to     Stage
	reason string
}

// table is the whole life of a lease on this machine.
var table = []move{
	{Seen, Begin, Fetching, "taken_up"},
	{Seen, Broken, Declining, "no_capacity"},
	{Seen, Closed, Stopping, "closed_by_chain"},

	{Fetching, Fetched, Running, "data_on_disk"},
	{Fetching, Unfetchable, Declining, "input_unavailable"},
	{Fetching, Broken, Declining, "no_capacity"},
	{Fetching, Closed, Stopping, "closed_by_chain"},

	{Running, Ended, Sealing, "all_shards_ended"},
	{Running, Closed, Stopping, "closed_by_chain"},

	{Sealing, Sealed, Vouching, "result_fixed"},
	{Sealing, Broken, Declining, "no_shard_to_deliver"},
	{Sealing, Closed, Stopping, "closed_by_chain"},

	{Vouching, Vouched, Delivering, "custody_signed"},
	{Vouching, Closed, Stopping, "closed_by_chain"},

	{Delivering, Refused, Vouching, "custody_refused"},
	{Delivering, Confirmed, Done, "delivered"},
	{Delivering, Closed, Stopping, "closed_by_chain"},

	{Declining, Closed, Stopping, "declined"},

	{Stopping, Cleaned, Done, "cleaned_up"},
}

// Step returns the stage after an event and the reason code, or ErrIllegal.
func Step(from Stage, event Event) (Stage, string, error) {
	for _, m := range table {
		if m.from == from && m.event == event {
			return m.to, m.reason, nil
		}
	}
	return from, "", fmt.Errorf("%w: %s in %s", ErrIllegal, event, from)
}

// Diagram draws the table.
func Diagram() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n")
	fmt.Fprintf(&b, "    [*] --> %s\n", Seen)
	for _, m := range table {
		fmt.Fprintf(&b, "    %s --> %s: %s (%s)\n", m.from, m.to, m.event, m.reason)
	}
	fmt.Fprintf(&b, "    %s --> [*]\n", Done)
	return b.String()
}
