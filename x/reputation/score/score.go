// Package score computes reputation: weights, tallies, their decay, the score and its lower bound, in
// integers and from outcomes alone. It is pure: values in, values out; it knows no subjects, blocks or store.
// Its place in the flow is the last step, settle.
//
// Units: u is one unit of weight, Unit micro-units. Tallies and weights are in micro-units, scores in
// millionths. Every division rounds down, the lower bound's square root too.
package score

import "math/bits"

const (
	// Unit is how many micro-units one unit of weight has.
	Unit = uint64(1_000_000)
	// PPM is one whole in millionths.
	PPM = uint64(1_000_000)
	// MaxTally bounds a side of a tally: additions saturate there, so that no sum below overflows.
	MaxTally = uint64(1) << 60
	// MaxWeight bounds one outcome's weight: ten times it is far below MaxTally.
	MaxWeight = uint64(1_000_000_000_000)
	// MilliLease is how many thousandths one lease of a pair has.
	MilliLease = uint64(1_000)
	// MaxPair bounds the count of a pair.
	MaxPair = uint64(1) << 50

	priorGood  = 1 * Unit // a newcomer: 1 good of 5, that is 20 %
	priorTotal = 5 * Unit
	badFactor  = 10
	pairHalf   = 8 * MilliLease // a pair of 8 recent leases counts half
)

// Tally is the evidence behind one score, in micro-units. Invariant: both sides <= MaxTally.
type Tally struct {
	// Good is a, Bad is b.
	Good, Bad uint64
}

// Weight is what one outcome weighs, in micro-units: w = min(cap, burn / unit) x 8 / (8 + pair). Burn and
// unit are in micro-NEX, unit >= 1; cap <= MaxWeight in micro-units; pair is the recent leases of the two parties
// before this one, in thousandths.
func Weight(burn, unit int64, limit, pair uint64) uint64 {
	if burn <= 0 || unit <= 0 {
		return 0
	}
	limit = min(limit, MaxWeight)
	w := limit
	// burn x Unit can need 84 bits; a quotient of more than 64 is above any limit.
	if hi, lo := bits.Mul64(uint64(burn), Unit); hi < uint64(unit) {
		quotient, _ := bits.Div64(hi, lo, uint64(unit))
		w = min(limit, quotient)
	}
	return w * pairHalf / (pairHalf + min(pair, MaxPair))
}

// Add returns the tally after an outcome of a weight: good a += w; bad a = 2a/3, b += 10w.
func (t Tally) Add(good bool, weight uint64) Tally {
	weight = min(weight, MaxWeight)
	if good {
		return Tally{Good: min(t.Good+weight, MaxTally), Bad: t.Bad}
	}
	return Tally{Good: t.Good * 2 / 3, Bad: min(t.Bad+badFactor*weight, MaxTally)}
}

// Decay halves the tally a number of times. Halving twice by m and n is halving by m+n, so it may be done
// when the tally is next looked at, however long that is.
func (t Tally) Decay(halvings uint64) Tally {
	return Tally{Good: Halve(t.Good, halvings), Bad: Halve(t.Bad, halvings)}
}

// Zero says that nothing is left: the tally equals one never written.
func (t Tally) Zero() bool { return t == Tally{} }

// Score is the estimate in millionths: 10^6 (a + 1u) / (a + b + 5u). A newcomer has 200,000.
func (t Tally) Score() uint64 {
	hi, lo := bits.Mul64(PPM, t.Good+priorGood)
	ppm, _ := bits.Div64(hi, lo, t.Good+t.Bad+priorTotal) // < 10^6, because a + u < a + b + 5u
	return ppm
}

// Lower is the lower confidence bound that ranking uses, in millionths: with s the score, the estimate less two
// standard deviations, max(0, s - 2 isqrt(s (10^6 - s) / ((a + b + 1u) / u))).
//
// A share p estimated from n outcomes has the deviation sqrt(p (1-p) / n). In millionths, p = s/10^6, that is
// sqrt(s (10^6 - s) / n) millionths; n is the weight in units with one of the prior, (a + b + u) / u.
func (t Tally) Lower() uint64 {
	s := t.Score()
	// s (10^6 - s) <= 2.5 x 10^11, times u <= 2.5 x 10^17: inside 64 bits.
	deviation := 2 * sqrt(s*(PPM-s)*Unit/(t.Good+t.Bad+Unit))
	if deviation >= s {
		return 0
	}
	return s - deviation
}

// Halve divides by 2^n, rounded down.
func Halve(x, n uint64) uint64 {
	if n >= 64 {
		return 0
	}
	return x >> n
}

// Halvings is how many half-lives end after epoch from and not after epoch to. They end at fixed epochs, the
// multiples of every, so the sum over parts of a time equals that of the whole. Zero when to is not after from.
func Halvings(from, to, every uint64) uint64 {
	if to <= from || every == 0 {
		return 0
	}
	return to/every - from/every
}

// sqrt is the integer square root, rounded down, by Newton's method from above: each step falls until the root.
func sqrt(x uint64) uint64 {
	if x < 2 {
		return x
	}
	r := uint64(1) << ((bits.Len64(x) + 1) / 2) // >= the root
	for {
		next := (r + x/r) / 2
		if next >= r {
			return r
		}
		r = next
	}
}
