package score

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func big64(x uint64) *big.Int { return new(big.Int).SetUint64(x) }

// The formulas of the design once more, in unbounded integers and in units as fractions, to check the arithmetic
// in 64 bits.
func referenceScore(t Tally) uint64 {
	u := big64(1_000_000)
	num := new(big.Int).Add(big64(t.Good), u)
	den := new(big.Int).Add(new(big.Int).Add(big64(t.Good), big64(t.Bad)), new(big.Int).Mul(big.NewInt(5), u))
	return num.Quo(num.Mul(num, big.NewInt(1_000_000)), den).Uint64()
}

func referenceLower(t Tally) uint64 {
	s := big64(referenceScore(t))
	// s (10^6 - s) / n with n = (a + b + u) / u units, as one fraction.
	variance := new(big.Int).Mul(s, new(big.Int).Sub(big.NewInt(1_000_000), s))
	n := new(big.Rat).SetFrac(new(big.Int).Add(new(big.Int).Add(big64(t.Good), big64(t.Bad)), big64(1_000_000)), big64(1_000_000))
	ratio := new(big.Rat).Quo(new(big.Rat).SetInt(variance), n)
	root := new(big.Int).Sqrt(new(big.Int).Quo(ratio.Num(), ratio.Denom()))
	lower := new(big.Int).Sub(s, root.Mul(root, big.NewInt(2)))
	if lower.Sign() < 0 {
		return 0
	}
	return lower.Uint64()
}

func referenceWeight(burn, unit int64, limit, pair uint64) uint64 {
	w := new(big.Int).Mul(big.NewInt(burn), big.NewInt(1_000_000))
	w.Quo(w, big.NewInt(unit))
	if w.Cmp(big64(limit)) > 0 {
		w = big64(limit)
	}
	w.Mul(w, big.NewInt(8_000))
	return w.Quo(w, new(big.Int).Add(big.NewInt(8_000), big64(pair))).Uint64()
}

func TestNewcomer(t *testing.T) {
	if s, l := (Tally{}).Score(), (Tally{}).Lower(); s != 200_000 || l != 0 {
		t.Errorf("a newcomer has %d, lower %d", s, l)
	}
}

// Numbers that can be checked by hand.
func TestByHand(t *testing.T) {
	for _, c := range []struct {
		name         string
		tally        Tally
		score, lower uint64
	}{
		{"15 good units", Tally{15 * Unit, 0}, 800_000, 600_000},           // 16/20; sqrt(0.16 / 16) = 0.1
		{"3 good units", Tally{3 * Unit, 0}, 500_000, 0},                   // 4/8; sqrt(0.25 / 4) = 0.25
		{"35 good units", Tally{35 * Unit, 0}, 900_000, 800_000},           // 36/40; sqrt(0.09 / 36) = 0.05
		{"15 good, 10 bad", Tally{15 * Unit, 10 * Unit}, 533_333, 337_655}, // 16/30; sqrt(0.24889 / 26) = 0.097839
		{"saturated", Tally{MaxTally, 0}, 999_999, 999_999},
		{"hopeless", Tally{0, MaxTally}, 0, 0},
	} {
		if s, l := c.tally.Score(), c.tally.Lower(); s != c.score || l != c.lower {
			t.Errorf("%s: score %d, lower %d; want %d, %d", c.name, s, l, c.score, c.lower)
		}
	}
	for _, c := range []struct {
		burn, unit  int64
		limit, pair uint64
		want        uint64
	}{
		{1_000, 1_000, Unit, 0, Unit},
		{500, 1_000, Unit, 0, Unit / 2},
		{5_000, 1_000, Unit, 0, Unit},
		{1_000, 1_000, Unit, 8 * MilliLease, Unit / 2},
		{1_000, 1_000, Unit, 24 * MilliLease, Unit / 4},
		{0, 1_000, Unit, 0, 0},
		{-1, 1_000, Unit, 0, 0},
		{1 << 62, 1, Unit, 0, Unit},
		{1<<63 - 1, 1<<63 - 1, MaxWeight, 0, Unit},
	} {
		if got := Weight(c.burn, c.unit, c.limit, c.pair); got != c.want {
			t.Errorf("Weight(%d, %d, %d, %d) = %d, want %d", c.burn, c.unit, c.limit, c.pair, got, c.want)
		}
	}
	if got := (Tally{3 * Unit, 0}).Add(false, Unit); got != (Tally{2 * Unit, 10 * Unit}) {
		t.Errorf("a bad outcome gives %+v", got)
	}
	if got := (Tally{MaxTally, MaxTally}).Add(true, MaxWeight).Add(false, MaxWeight); got.Good > MaxTally || got.Bad != MaxTally {
		t.Errorf("not saturated: %+v", got)
	}
}

// Looking often or seldom is the same: halvings add up over any cut of a time, and so does decay.
func TestDecayAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := rapid.Uint64Range(1, 50).Draw(t, "every")
		cuts := []uint64{rapid.Uint64Range(0, 1_000).Draw(t, "start")}
		for range rapid.IntRange(1, 6).Draw(t, "cuts") {
			cuts = append(cuts, cuts[len(cuts)-1]+rapid.Uint64Range(0, 1_000).Draw(t, "step"))
		}
		whole := Tally{rapid.Uint64Range(0, MaxTally).Draw(t, "good"), rapid.Uint64Range(0, MaxTally).Draw(t, "bad")}
		parts, sum := whole, uint64(0)
		for i := 1; i < len(cuts); i++ {
			n := Halvings(cuts[i-1], cuts[i], every)
			parts, sum = parts.Decay(n), sum+n
		}
		end := cuts[len(cuts)-1]
		if all := Halvings(cuts[0], end, every); all != sum || parts != whole.Decay(all) {
			t.Fatalf("%d halvings at once, %d in parts", all, sum)
		}
		// One by one, epoch by epoch.
		one := whole
		for e := cuts[0] + 1; e <= end; e++ {
			if e%every == 0 {
				one = Tally{one.Good / 2, one.Bad / 2}
			}
		}
		if one != parts {
			t.Fatalf("%+v epoch by epoch, %+v at once", one, parts)
		}
	})
	if Halvings(5, 4, 1) != 0 || Halvings(0, 1<<63, 0) != 0 || Halvings(0, ^uint64(0), 1) != ^uint64(0) {
		t.Error("edges of Halvings")
	}
	if (Tally{MaxTally, 1}).Decay(^uint64(0)) != (Tally{}) {
		t.Error("a huge gap leaves something")
	}
}

// A good outcome never lowers a score and a bad one never raises it; the lower bound is never above the score.
func TestScoreIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Tally{rapid.Uint64Range(0, MaxTally).Draw(t, "good"), rapid.Uint64Range(0, MaxTally).Draw(t, "bad")}
		w := rapid.Uint64Range(0, MaxWeight).Draw(t, "weight")
		if up := a.Add(true, w); up.Score() < a.Score() {
			t.Fatalf("good lowered %d to %d", a.Score(), up.Score())
		}
		if down := a.Add(false, w); down.Score() > a.Score() {
			t.Fatalf("bad raised %d to %d", a.Score(), down.Score())
		}
		if a.Lower() > a.Score() {
			t.Fatalf("lower %d above %d", a.Lower(), a.Score())
		}
	})
}

func FuzzAgainstReference(f *testing.F) {
	f.Add(uint64(0), uint64(0), int64(0), int64(1), uint64(0), uint64(0))
	f.Add(MaxTally, MaxTally, int64(1)<<62, int64(1), MaxWeight, MaxPair)
	f.Add(15*Unit, uint64(0), int64(999), int64(1_000), Unit, uint64(334))
	f.Add(uint64(1), MaxTally-1, int64(1<<63-1), int64(1<<63-1), uint64(1), uint64(1))
	f.Fuzz(func(t *testing.T, good, bad uint64, burn, unit int64, limit, pair uint64) {
		a := Tally{good % (MaxTally + 1), bad % (MaxTally + 1)}
		if got, want := a.Score(), referenceScore(a); got != want {
			t.Errorf("score of %+v is %d, want %d", a, got, want)
		}
		if got, want := a.Lower(), referenceLower(a); got != want {
			t.Errorf("lower of %+v is %d, want %d", a, got, want)
		}
		if burn >= 0 && unit > 0 {
			limit, pair = limit%(MaxWeight+1), pair%(MaxPair+1)
			if got, want := Weight(burn, unit, limit, pair), referenceWeight(burn, unit, limit, pair); got != want {
				t.Errorf("weight(%d, %d, %d, %d) is %d, want %d", burn, unit, limit, pair, got, want)
			}
		}
		if r := sqrt(good); new(big.Int).Sqrt(big64(good)).Uint64() != r {
			t.Errorf("sqrt(%d) = %d", good, r)
		}
	})
}

func BenchmarkLower(b *testing.B) {
	t := Tally{123_456_789, 12_345_678}
	for b.Loop() {
		t.Lower()
	}
}
