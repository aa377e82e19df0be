// Package denom holds the units of money that every room shares: the base denom that bank
// moves and the micro-NEX in which the market computes. It is pure and imports nothing of the chain.
package denom

import (
	"fmt"

	"cosmossdk.io/math"
)

const (
	// Base is the denom in state: 10^-18 NEX.
	Base = "anex"
	// Display is the denom for people.
	Display = "NEX"
	// Exponent is how many decimal places Display has over Base.
	Exponent = 18
	// Bech32Prefix starts every account address.
	Bech32Prefix = "nexa"

	// AnexPerUnex is how many anex one micro-NEX has.
	AnexPerUnex = 1_000_000_000_000
	// UnexPerNEX is how many micro-NEX one NEX has.
	UnexPerNEX = 1_000_000
	// MaxUnex bounds every amount of the market: 10^9 NEX. Sums of up to 9,000 of them stay inside int64.
	MaxUnex = int64(1_000_000_000) * UnexPerNEX
	// PPM is one whole in millionths.
	PPM = 1_000_000
)

// Anex converts micro-NEX into anex, exactly.
func Anex(unex int64) math.Int { return math.NewInt(unex).MulRaw(AnexPerUnex) }

// String prints micro-NEX for people, such as "0.001250 NEX".
func String(unex int64) string {
	sign := ""
	if unex < 0 {
		sign, unex = "-", -unex
	}
	return fmt.Sprintf("%s%d.%06d %s", sign, unex/UnexPerNEX, unex%UnexPerNEX, Display)
}
