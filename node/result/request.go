package result

import (
	"encoding/binary"
	"fmt"

	"github.com/nexara/nexara/x/tasks/verdict"
)

// RequestDomain separates requests for custody from all else that a node key signs.
const RequestDomain = "nexara/custody-request/v1"

// Bounds on the addresses of a request.
const (
	// MaxRequestAddrs bounds how many there are.
	MaxRequestAddrs = 16
	// MaxAddrBytes bounds each.
	MaxAddrBytes = 512
)

// RequestMessage gives the bytes that a NexCore signs with its node key when it asks for custody of c: who else
// could ask would have a gateway fetch, keep and dial what they like in the NexCore's name. addrs are where the
// NexCore can be reached now. Layout, integers big-endian, text preceded by its length as uint32:
//
//	text RequestDomain | text message of c | uint32 number of addrs | text of each
//
// ErrCustody of the verdict room when a value is out of range.
func RequestMessage(c verdict.Custody, addrs []string) ([]byte, error) {
	inner, err := c.Message()
	if err != nil {
		return nil, err
	}
	if len(addrs) > MaxRequestAddrs {
		return nil, fmt.Errorf("%w: %d addresses, at most %d", verdict.ErrCustody, len(addrs), MaxRequestAddrs)
	}
	b := appendText(appendText(nil, RequestDomain), string(inner))
	b = binary.BigEndian.AppendUint32(b, uint32(len(addrs)))
	for _, a := range addrs {
		if a == "" || len(a) > MaxAddrBytes {
			return nil, fmt.Errorf("%w: address of %d bytes, allowed are 1 to %d", verdict.ErrCustody, len(a), MaxAddrBytes)
		}
		b = appendText(b, a)
	}
	return b, nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}
