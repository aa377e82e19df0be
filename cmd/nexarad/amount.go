package main

import (
	"errors"
	"fmt"
	"strings"

	"cosmossdk.io/math"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/denom"
)

// errAmount is an amount of coins that cannot be read.
var errAmount = errors.New("not an amount of NEX")

// parseAmount reads "1000NEX", "0.5NEX", "250unex" or "1000anex" exactly: a fraction of an anex is an error.
func parseAmount(s string) (sdk.Coin, error) {
	cut := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if cut <= 0 {
		return sdk.Coin{}, fmt.Errorf("%w: %q (write it like 1000NEX or 1000anex)", errAmount, s)
	}
	var scale int
	switch unit := s[cut:]; unit {
	case denom.Display:
		scale = denom.Exponent
	case "unex":
		scale = denom.Exponent - 6
	case denom.Base:
		scale = 0
	default:
		return sdk.Coin{}, fmt.Errorf("%w: %q has the unit %q (NEX, unex and anex are known)", errAmount, s, unit)
	}
	n, err := math.LegacyNewDecFromStr(s[:cut])
	if err != nil {
		return sdk.Coin{}, fmt.Errorf("%w: %q: %w", errAmount, s, err)
	}
	n = n.MulInt(math.NewIntWithDecimal(1, scale))
	if !n.IsInteger() {
		return sdk.Coin{}, fmt.Errorf("%w: %q is finer than one anex", errAmount, s)
	}
	return sdk.NewCoin(denom.Base, n.TruncateInt()), nil
}

// showAmount prints anex as people read them.
func showAmount(c sdk.Coin) string {
	s := math.LegacyNewDecFromIntWithPrec(c.Amount, denom.Exponent).String()
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + denom.Display
}
