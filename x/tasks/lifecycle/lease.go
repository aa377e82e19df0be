package lifecycle

import "fmt"

// LeaseState is where a lease stands. The numbers equal the wire's.
type LeaseState uint8

// The states of a lease. Settled is an end with money, Closed one without a result.
const (
	LeaseAssigned LeaseState = iota + 1
	LeaseAcknowledged
	LeaseDelivered
	LeaseFinal
	LeaseSettled
	LeaseClosed
)

// String returns the state's name.
func (s LeaseState) String() string {
	switch s {
	case LeaseAssigned:
		return "assigned"
	case LeaseAcknowledged:
		return "acknowledged"
	case LeaseDelivered:
		return "delivered"
	case LeaseFinal:
		return "final"
	case LeaseSettled:
		return "settled"
	case LeaseClosed:
		return "closed"
	}
	return fmt.Sprintf("lease(%d)", uint8(s))
}

// Live says that a lease takes capacity: it is assigned or acknowledged.
func (s LeaseState) Live() bool { return s == LeaseAssigned || s == LeaseAcknowledged }

// leaseTable is the whole life of a lease. Capacity frees when it leaves Live, the lock of the bond when
// it is settled or closed.
var leaseTable = []Move[LeaseState]{
	{LeaseAssigned, Acknowledge, LeaseAcknowledged, "acknowledged"},
	{LeaseAssigned, Deliver, LeaseDelivered, "delivered"},
	{LeaseAssigned, Decline, LeaseClosed, "declined"},
	{LeaseAssigned, Silence, LeaseClosed, "silent"},
	{LeaseAssigned, Jail, LeaseClosed, "jailed"},
	{LeaseAssigned, Cancel, LeaseClosed, "cancelled"},

	{LeaseAcknowledged, Deliver, LeaseDelivered, "delivered"},
	{LeaseAcknowledged, Lose, LeaseClosed, "lost"},
	{LeaseAcknowledged, Miss, LeaseClosed, "missed"},
	{LeaseAcknowledged, Jail, LeaseClosed, "jailed"},
	{LeaseAcknowledged, Cancel, LeaseSettled, "cancelled_paid"},

	{LeaseDelivered, Close, LeaseFinal, "final"},
	{LeaseFinal, Settle, LeaseSettled, "paid"},
}

// StepLease returns the state after an event and the reason code, or ErrIllegal.
func StepLease(from LeaseState, event Event) (LeaseState, string, error) {
	move, err := step(leaseTable, from, event)
	return move.To, move.Reason, err
}

// LeaseMoves returns a copy of the table, for tests and documents.
func LeaseMoves() []Move[LeaseState] { return append([]Move[LeaseState](nil), leaseTable...) }

// LeaseDiagram draws the table.
func LeaseDiagram() string {
	return diagram(leaseTable, LeaseAssigned, LeaseSettled, LeaseState.String, LeaseClosed)
}
