package auction

import "math/bits"

const (
	// PPM is one whole in millionths.
	PPM = 1_000_000
	// anexPerUnex is how many anex one unex has.
	anexPerUnex = 1_000_000_000_000
	// unpayable is a price or cost above every limit.
	unpayable = MaxLimit + 1
)

// Usable is the most a price may be so that price and burn stay within limit:
// floor(limit * 10^6 / (10^6 + burnPPM)). limit is in unex; a limit of 0 or less leaves nothing.
func Usable(limit, burnPPM int64) int64 {
	if limit <= 0 || burnPPM < 0 {
		return 0
	}
	return mulDivFloor(limit, PPM, PPM+burnPPM)
}

// Burn is what a price burns on top of itself, rounded up: ceil(price * burnPPM / 10^6), unex.
// For price <= Usable(limit, burnPPM) it is price*(10^6+burnPPM) <= limit*10^6, so price*burnPPM/10^6 <=
// limit-price; the right side is whole, hence the ceiling too: price + Burn(price) <= limit.
func Burn(price, burnPPM int64) int64 { return mulDivCeil(price, burnPPM, PPM) }

// LeastLimit is the least limit whose usable part reaches cost: ceil(cost * (10^6+burnPPM) / 10^6), unex.
func LeastLimit(cost, burnPPM int64) int64 { return cost + Burn(cost, burnPPM) }

// Lock is the bond a lease of count shards at price holds, rounded up, unex.
func Lock(price, count, lockPPM int64) int64 {
	if lockPPM == PPM {
		return max(price*count, 0) // the usual lock
	}
	return mulDivCeil(price*count, lockPPM, PPM)
}

// Price is what one shard of a shape costs at an ask: the sum over resources of ask * need * run seconds,
// exact, rounded up once to whole unex. ok is false above MaxLimit, which no limit can pay.
func Price(ask Ask, s Shape) (unex int64, ok bool) {
	p := price(&ask, &s.Need, s.RunSeconds)
	return p, p <= MaxLimit
}

// price is exact in 128 bits: ask <= MaxAsk < 2^63.2, need <= MaxCapacity = 2^40, seconds < 2^22, four terms:
// the sum of ask*need stays under 2^105.2 and the whole under 2^127.2. Callers validated these bounds.
func price(ask *Ask, need *Resources, seconds int64) int64 {
	var hi, lo, carry uint64
	for i := range need {
		h, l := bits.Mul64(ask[i], uint64(need[i]))
		lo, carry = bits.Add64(lo, l, 0)
		hi += h + carry
	}
	h, l := bits.Mul64(lo, uint64(seconds))
	h += hi * uint64(seconds)
	if h >= anexPerUnex {
		return unpayable
	}
	q, r := bits.Div64(h, l, anexPerUnex)
	if r > 0 {
		q++
	}
	if q > uint64(MaxLimit) {
		return unpayable
	}
	return int64(q)
}

// span is what a shard needs times how long, per resource: below 2^62.
type span [NumResources]uint64

func (s *Shape) span() (out span) {
	for i, v := range s.Need {
		out[i] = uint64(v) * uint64(s.RunSeconds)
	}
	return out
}

// price is price for an ask and a span, where the sum stays in 64 bits: most do, and then the division is one by a
// constant. ok is false elsewhere.
func (s *span) price(ask *Ask) (unex int64, ok bool) {
	h0, l0 := bits.Mul64(ask[0], s[0])
	h1, l1 := bits.Mul64(ask[1], s[1])
	h2, l2 := bits.Mul64(ask[2], s[2])
	h3, l3 := bits.Mul64(ask[3], s[3])
	sum, c1 := bits.Add64(l0, l1, 0)
	sum, c2 := bits.Add64(sum, l2, 0)
	sum, c3 := bits.Add64(sum, l3, 0)
	if h0|h1|h2|h3|c1|c2|c3 != 0 {
		return 0, false
	}
	return int64(ceilUnex(sum)), true
}

// ceilUnex is anex in whole unex, rounded up.
func ceilUnex(anex uint64) uint64 {
	q := anex / anexPerUnex
	if anex-q*anexPerUnex > 0 {
		q++
	}
	return q
}

// cost adds the score penalty, rounded up, to a price. weight is k * (10^6 - L), at most 10^13.
func cost(price int64, weight uint64) int64 {
	if price > MaxLimit {
		return unpayable
	}
	h, l := bits.Mul64(uint64(price), weight)
	if h == 0 { // most costs
		return min(price+int64(ceilUnex(l)), unpayable)
	}
	q, r := bits.Div64(h, l, anexPerUnex) // h < 2^43*2^44/2^64 < anexPerUnex
	if r > 0 {
		q++
	}
	if total := price + int64(q); total <= MaxLimit {
		return total
	}
	return unpayable
}

// mulDivFloor is floor(a*b/c) for non-negative a and b and positive c, exact in 128 bits; it saturates
// at the largest int64. Negative or zero factors give 0.
func mulDivFloor(a, b, c int64) int64 {
	q, _ := mulDiv(a, b, c)
	return q
}

// mulDivCeil is mulDivFloor rounded up.
func mulDivCeil(a, b, c int64) int64 {
	q, r := mulDiv(a, b, c)
	if r > 0 && q < maxInt64 {
		q++
	}
	return q
}

const maxInt64 = 1<<63 - 1

func mulDiv(a, b, c int64) (quotient int64, remainder uint64) {
	if a <= 0 || b <= 0 || c <= 0 {
		return 0, 0
	}
	h, l := bits.Mul64(uint64(a), uint64(b))
	if h >= uint64(c) {
		return maxInt64, 0
	}
	q, r := bits.Div64(h, l, uint64(c))
	if q > maxInt64 {
		return maxInt64, 0
	}
	return int64(q), r
}
