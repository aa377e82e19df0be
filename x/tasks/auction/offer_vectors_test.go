package auction

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// The vectors were computed from the chapter, with integers of any size, not by this package.
func TestOfferVectors(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "spec", "vectors", "offer.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Ask, Need  [NumResources]string
		RunSeconds int64 `json:"run_seconds"`
		Price      int64 `json:",string"`
		Matches    bool  `json:"matches_a_limit"`
		BurnPPM    int64 `json:"burn_ppm"`
		Burn       int64 `json:",string"`
		LeastLimit int64 `json:"least_limit,string"`
		Usable     int64 `json:"usable_of_least_limit,string"`
		Count      int64
		Lock       int64 `json:",string"`
	}
	if err := json.Unmarshal(raw, &vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("%d vectors: %v", len(vectors), err)
	}
	for i, v := range vectors {
		var ask Ask
		shape := Shape{RunSeconds: v.RunSeconds}
		for r := range NumResources {
			var e1, e2 error
			ask[r], e1 = strconv.ParseUint(v.Ask[r], 10, 64)
			shape.Need[r], e2 = strconv.ParseInt(v.Need[r], 10, 64)
			if e1 != nil || e2 != nil {
				t.Fatal(i, e1, e2)
			}
		}
		price, ok := Price(ask, shape)
		if price != v.Price || ok != v.Matches {
			t.Errorf("%d: price %d, %t; not %d, %t", i, price, ok, v.Price, v.Matches)
		}
		if !v.Matches {
			continue
		}
		if got := Burn(price, v.BurnPPM); got != v.Burn {
			t.Errorf("%d: burn %d, not %d", i, got, v.Burn)
		}
		if got := LeastLimit(price, v.BurnPPM); got != v.LeastLimit {
			t.Errorf("%d: least limit %d, not %d", i, got, v.LeastLimit)
		}
		if got := Usable(v.LeastLimit, v.BurnPPM); got != v.Usable || got < price {
			t.Errorf("%d: usable %d, not %d", i, got, v.Usable)
		}
		if got := Lock(price, v.Count, PPM); got != v.Lock {
			t.Errorf("%d: lock %d, not %d", i, got, v.Lock)
		}
	}
}
