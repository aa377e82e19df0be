package auction

import (
	"errors"
	"testing"

	"cosmossdk.io/math"
	"pgregory.net/rapid"
)

func drawAsk(t *rapid.T) (a Ask) {
	for i := range a {
		a[i] = rapid.OneOf(rapid.Uint64Range(0, MaxAsk), rapid.Uint64Range(0, 1_000_000_000_000)).Draw(t, "ask")
	}
	return a
}

func drawNeed(t *rapid.T) (r Resources) {
	for i := range r {
		r[i] = rapid.OneOf(rapid.Int64Range(0, MaxCapacity), rapid.Int64Range(0, 64_000)).Draw(t, "need")
	}
	return r
}

// The 128-bit arithmetic agrees with arbitrary precision on the whole range that validation admits.
func TestPriceAndCostAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ask, need := drawAsk(t), drawNeed(t)
		seconds := rapid.Int64Range(1, MaxRunSeconds).Draw(t, "seconds")
		k := rapid.Int64Range(0, 10*PPM).Draw(t, "k")
		score := rapid.Int64Range(0, PPM).Draw(t, "score")

		sum := math.ZeroInt()
		for i := range need {
			sum = sum.Add(math.NewIntFromUint64(ask[i]).MulRaw(need[i]).MulRaw(seconds))
		}
		want := ceilQuo(sum, math.NewInt(anexPerUnex))
		got, ok := Price(ask, Shape{Need: need, RunSeconds: seconds})
		if ok != want.LTE(math.NewInt(MaxLimit)) {
			t.Fatalf("price %s: ok is %v", want, ok)
		}
		if ok && !want.Equal(math.NewInt(got)) {
			t.Fatalf("price is %d, want %s", got, want)
		}
		total := want.Add(ceilQuo(want.MulRaw(k).MulRaw(PPM-score), math.NewInt(PPM*PPM)))
		if total.GT(math.NewInt(MaxLimit)) {
			total = math.NewInt(unpayable)
		}
		if c := cost(got, uint64(k)*uint64(PPM-score)); !total.Equal(math.NewInt(c)) {
			t.Fatalf("cost is %d, want %s", c, total)
		}
	})
}

func ceilQuo(a, b math.Int) math.Int { return a.Add(b).SubRaw(1).Quo(b) }

// The extremes of all bounds together neither panic nor wrap.
func TestPriceAtTheBounds(t *testing.T) {
	most := Ask{MaxAsk, MaxAsk, MaxAsk, MaxAsk}
	need := Resources{MaxCapacity, MaxCapacity, MaxCapacity, MaxCapacity}
	if p, ok := Price(most, Shape{Need: need, RunSeconds: MaxRunSeconds}); ok || p != unpayable {
		t.Errorf("price is %d, %v", p, ok)
	}
	if c := cost(MaxLimit, 10*PPM*PPM); c != unpayable {
		t.Errorf("cost is %d", c)
	}
	if Lock(MaxLimit, BoundLease, 100*PPM) != MaxLimit*BoundLease*100 {
		t.Error("the greatest lock is not exact")
	}
	if MaxLimit > (1<<62)/BoundShards {
		t.Error("MaxLimit * BoundShards reaches 2^62")
	}
	if p, ok := Price(Ask{1}, Shape{Need: Resources{1}, RunSeconds: 1}); !ok || p != 1 {
		t.Errorf("the least price is %d, want 1: rounded up for the payer", p)
	}
}

// Price and burn never pass the limit, the usable limit wastes nothing, and LeastLimit is the least.
func TestBurnStaysWithinLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.OneOf(rapid.Int64Range(1, MaxLimit), rapid.Int64Range(1, 1_000)).Draw(t, "limit")
		burn := rapid.Int64Range(0, PPM).Draw(t, "burn")
		usable := Usable(limit, burn)
		price := rapid.Int64Range(0, usable).Draw(t, "price")
		if price+Burn(price, burn) > limit {
			t.Fatalf("price %d + burn %d > limit %d", price, Burn(price, burn), limit)
		}
		if usable+Burn(usable, burn) > limit {
			t.Fatalf("usable %d + burn %d > limit %d", usable, Burn(usable, burn), limit)
		}
		if usable+1+Burn(usable+1, burn) <= limit {
			t.Fatalf("usable %d could be more", usable)
		}
		cost := rapid.Int64Range(1, MaxLimit).Draw(t, "cost")
		least := LeastLimit(cost, burn)
		if Usable(least, burn) < cost || Usable(least-1, burn) >= cost {
			t.Fatalf("least limit %d for cost %d", least, cost)
		}
	})
}

// Dearer asks, greater needs, longer runs and lower scores never cost less.
func TestCostIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ask, need := drawAsk(t), drawNeed(t)
		seconds := rapid.Int64Range(1, MaxRunSeconds).Draw(t, "seconds")
		weight := rapid.Uint64Range(0, 10*PPM*PPM).Draw(t, "weight")
		before := cost(price(&ask, &need, seconds), weight)
		i := rapid.IntRange(0, NumResources-1).Draw(t, "i")
		switch rapid.IntRange(0, 3).Draw(t, "what") {
		case 0:
			ask[i] = rapid.Uint64Range(ask[i], MaxAsk).Draw(t, "more")
		case 1:
			need[i] = rapid.Int64Range(need[i], MaxCapacity).Draw(t, "more")
		case 2:
			seconds = rapid.Int64Range(seconds, MaxRunSeconds).Draw(t, "more")
		case 3:
			weight = rapid.Uint64Range(weight, 10*PPM*PPM).Draw(t, "more")
		}
		if after := cost(price(&ask, &need, seconds), weight); after < before {
			t.Fatalf("cost fell from %d to %d", before, after)
		}
	})
}

func TestValidate(t *testing.T) {
	good := Shape{Need: Resources{CPUMilli: 1}, Runtime: "wasm", RunSeconds: 1}
	with := func(change func(*Shape)) error {
		s := good
		change(&s)
		return ValidateShape(s)
	}
	params := func(change func(*Params)) error {
		p := DefaultParams()
		change(&p)
		return p.Validate()
	}
	supply := func(change func(*Supply)) error {
		s := Supply{ID: 1, Runtimes: []string{"wasm"}}
		change(&s)
		return ValidateSupply(s)
	}
	entry := func(change func(*Entry)) error {
		e := Entry{JobID: 1, Count: 1, Limit: 1}
		change(&e)
		return ValidateEntry(e, 1)
	}
	for name, c := range map[string]struct{ got, want error }{
		"good shape":           {with(func(*Shape) {}), nil},
		"no need":              {with(func(s *Shape) { s.Need = Resources{} }), ErrShape},
		"negative need":        {with(func(s *Shape) { s.Need[GPUs] = -1 }), ErrShape},
		"huge need":            {with(func(s *Shape) { s.Need[GPUs] = MaxCapacity + 1 }), ErrShape},
		"no seconds":           {with(func(s *Shape) { s.RunSeconds = 0 }), ErrShape},
		"too many seconds":     {with(func(s *Shape) { s.RunSeconds = MaxRunSeconds + 1 }), ErrShape},
		"no runtime":           {with(func(s *Shape) { s.Runtime = "" }), ErrShape},
		"model without gpu":    {with(func(s *Shape) { s.GPUModel = "a100" }), ErrShape},
		"regions unsorted":     {with(func(s *Shape) { s.Regions = []string{"b", "a"} }), ErrShape},
		"regions twice":        {with(func(s *Shape) { s.Regions = []string{"a", "a"} }), ErrShape},
		"region empty":         {with(func(s *Shape) { s.Regions = []string{""} }), ErrShape},
		"region not printable": {with(func(s *Shape) { s.Regions = []string{"a\n"} }), ErrShape},
		"score above one":      {with(func(s *Shape) { s.MinScorePPM = PPM + 1 }), ErrShape},
		"ask at bound":         {ValidateAsk(Ask{MaxAsk}), nil},
		"ask above":            {ValidateAsk(Ask{0, MaxAsk + 1}), ErrAsk},
		"limit":                {ValidateLimit(MaxLimit), nil},
		"limit zero":           {ValidateLimit(0), ErrLimit},
		"limit above":          {ValidateLimit(MaxLimit + 1), ErrLimit},
		"params":               {params(func(*Params) {}), nil},
		"params zero":          {Params{}.Validate(), ErrParams},
		"params lease":         {params(func(p *Params) { p.LeaseMax = BoundLease + 1 }), ErrParams},
		"supply":               {supply(func(*Supply) {}), nil},
		"supply overdrawn":     {supply(func(s *Supply) { s.Free[0], s.FreeBond, s.LeaseSlots = -5, -5, -5 }), nil},
		"supply free":          {supply(func(s *Supply) { s.Free[0] = 1 }), ErrSupply},
		"supply ask":           {supply(func(s *Supply) { s.Ask[3] = MaxAsk + 1 }), ErrAsk},
		"supply runtime":       {supply(func(s *Supply) { s.Runtimes = []string{""} }), ErrSupply},
		"entry":                {entry(func(*Entry) {}), nil},
		"entry shape":          {entry(func(e *Entry) { e.ShapeIndex = 1 }), ErrEntry},
		"entry count":          {entry(func(e *Entry) { e.Count = 0 }), ErrEntry},
		"entry far":            {entry(func(e *Entry) { e.First, e.Count = maxInt64, maxInt64 }), ErrEntry},
		"entry limit":          {entry(func(e *Entry) { e.Limit = 0 }), ErrLimit},
		"entry excluded":       {entry(func(e *Entry) { e.Excluded = []uint64{2, 1} }), ErrEntry},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", name, c.got, c.want)
		}
	}
}
