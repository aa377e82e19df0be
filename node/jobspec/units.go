package jobspec

import (
	"strconv"
	"strings"
	"time"
)

// problem is what is wrong with a quantity, in words. unit says that it is the
// unit rather than the number.
type problem struct {
	text string
	hint string
	unit bool
}

// measure is a kind of quantity: how it is read, in which unit a Spec holds
// it, and what to write in a file.
type measure struct {
	parse func(string) (int64, *problem)
	unit  string
	hint  string
}

func measureCPU() measure   { return measure{parseCPU, "thousandths of a core", cpuHint} }
func measureSize() measure  { return measure{parseSizeMiB, "MiB", sizeHint} }
func measureTime() measure  { return measure{parseSeconds, "seconds", durationHint} }
func measureMoney() measure { return measure{parseUnex, "unex", priceHint} }

// parseDecimal reads an unsigned decimal into units of 10^-places, exactly.
func parseDecimal(s string, places int) (int64, bool) {
	whole, frac, dot := strings.Cut(s, ".")
	if whole == "" || (dot && frac == "") || len(frac) > places {
		return 0, false
	}
	for _, r := range whole + frac {
		if r < '0' || r > '9' {
			return 0, false
		}
	}
	v, err := strconv.ParseInt(whole+frac+strings.Repeat("0", places-len(frac)), 10, 64)
	return v, err == nil
}

// splitUnit cuts a quantity after its number.
func splitUnit(s string) (number, unit string) {
	i := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimSpace(s[i:])
}

const cpuHint = "write thousandths as 500m, or cores as 0.5 or 2"

func parseCPU(s string) (int64, *problem) {
	number, unit := splitUnit(s)
	places := 3
	switch unit {
	case "m":
		places = 0
	case "":
	default:
		return 0, &problem{text: strconv.Quote(s) + " is not an amount of CPU", hint: cpuHint, unit: number != ""}
	}
	v, ok := parseDecimal(number, places)
	if !ok {
		return 0, &problem{text: strconv.Quote(s) + " is not an amount of CPU", hint: cpuHint}
	}
	return v, nil
}

const sizeHint = "write a whole number with MiB, GiB or TiB, such as 256MiB"

func parseSizeMiB(s string) (int64, *problem) {
	number, unit := splitUnit(s)
	var shift uint
	switch unit {
	case "MiB", "Mi":
	case "GiB", "Gi":
		shift = 10
	case "TiB", "Ti":
		shift = 20
	case "":
		return 0, &problem{text: strconv.Quote(s) + " has no unit", hint: sizeHint, unit: true}
	default:
		return 0, &problem{text: strconv.Quote(unit) + " is not a unit of size here", hint: sizeHint, unit: true}
	}
	v, ok := parseDecimal(number, 0)
	if !ok || v > 1<<40 {
		return 0, &problem{text: strconv.Quote(s) + " is not a size", hint: sizeHint}
	}
	return v << shift, nil
}

const durationHint = "write whole seconds with a unit, such as 120s, 30m or 1h30m"

func parseSeconds(s string) (int64, *problem) {
	if _, unit := splitUnit(s); unit == "" {
		return 0, &problem{text: strconv.Quote(s) + " has no unit", hint: durationHint, unit: true}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, &problem{text: strconv.Quote(s) + " is not a duration", hint: durationHint, unit: true}
	}
	if d%time.Second != 0 {
		return 0, &problem{text: strconv.Quote(s) + " is not a whole number of seconds", hint: durationHint}
	}
	return int64(d / time.Second), nil
}

const priceHint = "write the amount and NEX, such as 0.05 NEX; unex is a millionth of a NEX"

func parseUnex(s string) (int64, *problem) {
	number, unit := splitUnit(s)
	var places int
	switch unit {
	case "NEX":
		places = 6
	case "unex":
		places = 0
	case "":
		return 0, &problem{text: strconv.Quote(s) + " has no unit", hint: priceHint, unit: true}
	default:
		return 0, &problem{text: strconv.Quote(unit) + " is not a unit of money here", hint: priceHint, unit: true}
	}
	v, ok := parseDecimal(number, places)
	if !ok {
		return 0, &problem{text: strconv.Quote(s) + " is not an amount of money in steps of a millionth NEX", hint: priceHint}
	}
	return v, nil
}
