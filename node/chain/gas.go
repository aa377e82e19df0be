package chain

import (
	"google.golang.org/protobuf/proto"

	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

// Gas by message type, with a margin of about a third over what was measured (one
// lease: acknowledgement 105,000, result 120,000, offer 80,000, all with the transaction). What is too low corrects itself: after running out
// of gas the sender simulates.
const (
	gasTx          = 60_000 // signature, unordered nonce, fee grant, size
	gasAcknowledge = 80_000
	gasDecline     = 180_000
	gasDelivery    = 110_000
	gasSplit       = 40_000 // per byte of a bitmap with lost shards: more ranges are written
	gasPostOffer   = 90_000
	gasOther       = 90_000
)

// GasOf estimates a message's gas from its type and size.
func GasOf(m proto.Message) uint64 {
	switch m := m.(type) {
	case *tasksv1.MsgAcknowledge:
		return gasAcknowledge * uint64(len(m.GetLeaseIds()))
	case *tasksv1.MsgDeliver:
		var gas uint64
		for _, d := range m.GetDeliveries() {
			gas += gasDelivery
			for _, b := range d.GetResult().GetOutcomes() {
				if b != 0xff {
					gas += gasSplit
				}
			}
		}
		return gas
	case *tasksv1.MsgDecline:
		return gasDecline
	case *tasksv1.MsgPostOffer:
		return gasPostOffer
	default:
		return gasOther
	}
}
