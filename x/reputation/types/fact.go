package types

import (
	"strconv"
	"strings"
)

// Fact is one objective outcome of a lease, as the market reports it. It is about the NexCore, or about
// the requester when AboutRequester is set.
type Fact struct {
	// NexCoreID is the NexCore of the lease.
	NexCoreID uint64
	// Operator and Requester are the two parties: dealing often with each other makes an outcome lighter.
	Operator, Requester string
	// Dimension is which score moves.
	Dimension Dimension
	// Good says which way.
	Good bool
	// Burn is what the lease burned, in micro-NEX: it sets the outcome's weight.
	Burn int64
	// LeaseID is the lease.
	LeaseID uint64
	// Reason is the code of the outcome, such as "delivered".
	Reason string
	// AboutRequester moves the requester's score instead of the NexCore's.
	AboutRequester bool
}

const (
	nexcorePrefix   = "nexcore/"
	requesterPrefix = "requester/"
)

// NexCoreSubject names a NexCore as the subject of a score.
func NexCoreSubject(id uint64) string { return nexcorePrefix + strconv.FormatUint(id, 10) }

// RequesterSubject names a requester as the subject of a score.
func RequesterSubject(address string) string { return requesterPrefix + address }

// Subject returns whom the fact is about.
func (f Fact) Subject() string {
	if f.AboutRequester {
		return RequesterSubject(f.Requester)
	}
	return NexCoreSubject(f.NexCoreID)
}

// Validate checks the form of a fact; ErrFact says what is wrong.
func (f Fact) Validate() error {
	if f.Burn < 0 {
		return ErrFact.Wrapf("burn is %d", f.Burn)
	}
	for _, name := range []string{f.Operator, f.Requester} {
		if !isName(name) {
			return ErrFact.Wrapf("party %q is not an address", name)
		}
	}
	if len(f.Reason) > MaxReasonBytes {
		return ErrFact.Wrapf("reason has %d bytes, at most %d", len(f.Reason), MaxReasonBytes)
	}
	for _, d := range Dimensions(f.AboutRequester) {
		if d == f.Dimension {
			return nil
		}
	}
	return ErrFact.Wrapf("dimension %s of %s", f.Dimension, f.Subject())
}

// Dimensions lists the scores that a requester, or a NexCore, has.
func Dimensions(requester bool) []Dimension {
	if requester {
		return []Dimension{DIMENSION_REQUESTER}
	}
	return []Dimension{DIMENSION_COMPLETION, DIMENSION_TIMELINESS, DIMENSION_AVAILABILITY}
}

// ParseSubject reads "nexcore/ID" or "requester/ADDRESS" and says whether it is a requester.
func ParseSubject(subject string) (requester bool, err error) {
	if id, ok := strings.CutPrefix(subject, nexcorePrefix); ok {
		n, err := strconv.ParseUint(id, 10, 64)
		if err != nil || NexCoreSubject(n) != subject {
			return false, ErrSubject.Wrapf("%q: a NexCore is named nexcore/NUMBER", clip(subject))
		}
		return false, nil
	}
	if address, ok := strings.CutPrefix(subject, requesterPrefix); ok && isName(address) {
		return true, nil
	}
	return false, ErrSubject.Wrapf("%q: want nexcore/NUMBER or requester/ADDRESS", clip(subject))
}

// isName accepts the characters of a bech32 address. A zero byte in particular would break store keys.
func isName(s string) bool {
	if s == "" || len(s) > MaxNameBytes {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func clip(s string) string { return s[:min(len(s), MaxNameBytes)] }
