// Package bond holds the decisions of the registry: the arithmetic of one NexCore's bond, the state machine
// of its status and the bytes its node key signs at registration. It is pure: values in, values out. It
// never moves coins, reads no state and knows no accounts. Its place in the flow is the first step: register, bond.
package bond

import (
	"errors"
	"fmt"
)

// Max bounds every amount and every account, in micro-NEX: 10^9 NEX. Two such amounts never overflow int64.
const Max = int64(1_000_000_000_000_000)

// Why an operation on an account is refused. A refused operation leaves the account as it was.
var (
	// ErrAmount is an amount below zero or above Max.
	ErrAmount = errors.New("amount out of range")
	// ErrFree is more than the free bond.
	ErrFree = errors.New("more than the free bond")
	// ErrKeep is an unbonding that leaves less than must stay.
	ErrKeep = errors.New("less would remain than must stay bonded")
	// ErrMax is an account that would exceed Max.
	ErrMax = errors.New("account above the maximum")
	// ErrBroken is an account that breaks its invariant, or an operation that would break it: records
	// disagree with each other.
	ErrBroken = errors.New("records of the bond disagree")
)

// Account is the money of one NexCore, in micro-NEX. Invariant: 0 <= Locked <= Bond <= Max and
// 0 <= Unbonding <= Max. What the module holds for it is Bond + Unbonding; locks are a part of Bond.
type Account struct {
	Bond, Locked, Unbonding int64
}

// Free is what can be locked or unbonded.
func (a Account) Free() int64 { return a.Bond - a.Locked }

// Check returns ErrBroken unless the invariant holds.
func (a Account) Check() error {
	if a.Locked < 0 || a.Locked > a.Bond || a.Bond > Max || a.Unbonding < 0 || a.Unbonding > Max {
		return fmt.Errorf("%w: bond %d, locked %d, unbonding %d", ErrBroken, a.Bond, a.Locked, a.Unbonding)
	}
	return nil
}

// become returns b if it keeps the invariant, else the account as it was.
func (a Account) become(b Account) (Account, error) {
	if err := b.Check(); err != nil {
		return a, err
	}
	return b, nil
}

// Add puts amount into the bond.
func (a Account) Add(amount int64) (Account, error) {
	if err := inRange(amount, 1); err != nil {
		return a, err
	}
	if a.Bond > Max-amount {
		return a, fmt.Errorf("%w: %d and %d more, at most %d", ErrMax, a.Bond, amount, Max)
	}
	b := a
	b.Bond += amount
	return a.become(b)
}

// Lock holds amount of the free bond against a promise. Zero is a lease without a price.
func (a Account) Lock(amount int64) (Account, error) {
	if err := inRange(amount, 0); err != nil {
		return a, err
	}
	if amount > a.Free() {
		return a, fmt.Errorf("%w: %d, free are %d", ErrFree, amount, a.Free())
	}
	b := a
	b.Locked += amount
	return a.become(b)
}

// Release ends a lock of amount.
func (a Account) Release(amount int64) (Account, error) {
	b := a
	b.Locked -= amount
	if err := inRange(amount, 0); err != nil {
		return a, err
	}
	return a.become(b)
}

// Slash ends a lock and takes amount, at most the lock, out of the bond.
func (a Account) Slash(lock, amount int64) (after Account, taken int64, err error) {
	if amount < 0 {
		return a, 0, fmt.Errorf("%w: %d", ErrAmount, amount)
	}
	taken = min(amount, lock)
	b, err := a.Release(lock)
	if err != nil {
		return a, 0, err
	}
	b.Bond -= taken
	if b, err = a.become(b); err != nil {
		return a, 0, err
	}
	return b, taken, nil
}

// Unbond moves amount of the free bond into unbonding; at least keep must stay bonded.
func (a Account) Unbond(amount, keep int64) (Account, error) {
	if err := inRange(amount, 1); err != nil {
		return a, err
	}
	if amount > a.Free() {
		return a, fmt.Errorf("%w: %d, free are %d", ErrFree, amount, a.Free())
	}
	if a.Bond-amount < keep {
		return a, fmt.Errorf("%w: %d of %d would leave less than %d", ErrKeep, amount, a.Bond, keep)
	}
	if a.Unbonding > Max-amount {
		return a, fmt.Errorf("%w: %d unbonding and %d more, at most %d", ErrMax, a.Unbonding, amount, Max)
	}
	b := a
	b.Bond -= amount
	b.Unbonding += amount
	return a.become(b)
}

// Leave moves the whole bond into unbonding; nothing may be locked.
func (a Account) Leave() (after Account, left int64, err error) {
	if a.Locked != 0 {
		return a, 0, fmt.Errorf("%w: %d are locked", ErrFree, a.Locked)
	}
	if a.Bond == 0 {
		return a, 0, a.Check()
	}
	after, err = a.Unbond(a.Bond, 0)
	return after, a.Bond, err
}

// Pay takes a matured unbonding out.
func (a Account) Pay(amount int64) (Account, error) {
	b := a
	b.Unbonding -= amount
	if err := inRange(amount, 1); err != nil {
		return a, err
	}
	return a.become(b)
}

// Sum adds to a running total, ErrBroken when it would leave int64 or fall below zero. No honest total
// can: all coins of the chain fit.
func Sum(total, change int64) (int64, error) {
	after := total + change
	if total < 0 || after < 0 || (change > 0 && after < total) {
		return total, fmt.Errorf("%w: total %d changed by %d", ErrBroken, total, change)
	}
	return after, nil
}

func inRange(amount, least int64) error {
	if amount < least || amount > Max {
		return fmt.Errorf("%w: %d, allowed are %d to %d", ErrAmount, amount, least, Max)
	}
	return nil
}
