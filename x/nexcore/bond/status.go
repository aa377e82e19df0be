package bond

import (
	"errors"
	"fmt"
	"strings"
)

// ErrIllegal says that an event cannot happen in a status.
var ErrIllegal = errors.New("illegal move")

// Status is the standing of a NexCore. The numbers equal the wire's.
type Status uint8

// The statuses. New is before registration and never stored.
const (
	New Status = iota
	Active
	Draining
	Jailed
	Deregistered
)

// String returns the status's name.
func (s Status) String() string {
	switch s {
	case New:
		return "new"
	case Active:
		return "active"
	case Draining:
		return "draining"
	case Jailed:
		return "jailed"
	case Deregistered:
		return "deregistered"
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// Event is something that happens to a NexCore's status.
type Event uint8

// The events.
const (
	// Register brings it into the market.
	Register Event = iota + 1
	// Drain stops new leases.
	Drain
	// Undrain allows them again.
	Undrain
	// Jail takes it out of the market for broken promises.
	Jail
	// Unjail brings it back after its time. It leads to active from wherever it was jailed: the operator says
	// that it works again.
	Unjail
	// Deregister leaves the market for good.
	Deregister
)

// String returns the event's name.
func (e Event) String() string {
	switch e {
	case Register:
		return "register"
	case Drain:
		return "drain"
	case Undrain:
		return "undrain"
	case Jail:
		return "jail"
	case Unjail:
		return "unjail"
	case Deregister:
		return "deregister"
	}
	return fmt.Sprintf("event(%d)", uint8(e))
}

// Move is one row of the table. Reason is the code that events carry.
type Move struct {
	From   Status
	Event  Event
	To     Status
	Reason string
}

// table is the whole life of a NexCore. A jailed one can be jailed again, which prolongs it, and may leave: what it
// owes is under locks, and deregistration needs all locks gone. Nothing leaves deregistered: the record goes
// with its last unbonding.
var table = []Move{
	{New, Register, Active, "registered"},

	{Active, Drain, Draining, "drained"},
	{Active, Jail, Jailed, "jailed"},
	{Active, Deregister, Deregistered, "deregistered"},

	{Draining, Undrain, Active, "undrained"},
	{Draining, Jail, Jailed, "jailed"},
	{Draining, Deregister, Deregistered, "deregistered"},

	{Jailed, Jail, Jailed, "jailed_again"},
	{Jailed, Unjail, Active, "unjailed"},
	{Jailed, Deregister, Deregistered, "deregistered"},
}

// Step returns the status after an event and the reason code, or ErrIllegal.
func Step(from Status, event Event) (to Status, reason string, err error) {
	for _, m := range table {
		if m.From == from && m.Event == event {
			return m.To, m.Reason, nil
		}
	}
	return from, "", fmt.Errorf("%w: %s while %s", ErrIllegal, event, from)
}

// Moves returns a copy of the table, for tests and documents.
func Moves() []Move { return append([]Move(nil), table...) }

// Diagram draws the table as a Mermaid state diagram.
func Diagram() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n")
	for _, m := range table {
		from := m.From.String()
		if m.From == New {
			from = "[*]"
		}
		fmt.Fprintf(&b, "    %s --> %s: %s (%s)\n", from, m.To, m.Event, m.Reason)
	}
	fmt.Fprintf(&b, "    %s --> [*]\n", Deregistered)
	return b.String()
}
