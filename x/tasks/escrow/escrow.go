// Package escrow holds the market's arithmetic of money in escrow, in micro-NEX (unex, int64): what a settled
// lease pays to whom, what the book charges. It is pure and has no rounding that makes or loses a coin: every
// split adds up to what it splits. What a price may be under a limit, and its burn, is the auction's.
package escrow

import (
	"errors"

	"github.com/nexara/nexara/x/denom"
)

// ErrRange says that an amount is negative or above denom.MaxUnex.
var ErrRange = errors.New("amount out of range")

// Split says who gets what of the escrow of n shards.
type Split struct {
	Paid     int64 // to the operator
	Burned   int64 // for ever
	Pooled   int64 // for audits and probes
	Refunded int64 // to the requester
}

// Total is what leaves escrow.
func (s Split) Total() int64 { return s.Paid + s.Burned + s.Pooled + s.Refunded }

// Settle splits the escrow of n delivered shards. remaining is what escrow still holds for each
// (limit less book charges); price + burn never exceed it.
func Settle(n, remaining, price, burn, poolSharePPM int64) (Split, error) {
	if n < 0 || price < 0 || burn < 0 || remaining < price+burn {
		return Split{}, ErrRange
	}
	share := mulDiv(burn*n, poolSharePPM, denom.PPM)
	return Split{
		Paid:     price * n,
		Burned:   burn*n - share,
		Pooled:   share,
		Refunded: (remaining - price - burn) * n,
	}, nil
}

// WithRent adds the rent of n shards for scarce capacity to a split: it goes to the pool by poolPPM and burns, never
// to the operator. The split must have been made with the rent taken off what remained.
func (s Split) WithRent(n, rent, poolPPM int64) (Split, error) {
	if n < 0 || rent < 0 || rent > denom.MaxUnex || n > 0 && rent > denom.MaxUnex/n {
		return Split{}, ErrRange
	}
	share := mulDiv(rent*n, poolPPM, denom.PPM)
	s.Pooled += share
	s.Burned += rent*n - share
	return s, nil
}

// BookCharge is what a shard owes for blocks in the book, at most what is left of its limit.
func BookCharge(perBlock, blocks, remaining int64) int64 {
	if blocks <= 0 || perBlock <= 0 || remaining <= 0 {
		return 0
	}
	if blocks > remaining/perBlock {
		return remaining
	}
	return perBlock * blocks
}

// Total is shards * limit, or ErrRange above denom.MaxUnex.
func Total(shards, limit int64) (int64, error) {
	if shards <= 0 || limit <= 0 || limit > denom.MaxUnex || shards > denom.MaxUnex/limit {
		return 0, ErrRange
	}
	return shards * limit, nil
}

// Share is floor(amount * ppm / 10^6).
func Share(amount, ppm int64) int64 { return mulDiv(amount, ppm, denom.PPM) }
