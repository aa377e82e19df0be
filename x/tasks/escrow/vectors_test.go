package escrow

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// The vectors were computed from the chapter, with integers of any size, not by this package.
func TestPayoutVectors(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "spec", "vectors", "payout.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Shards               int64
		Limit                int64 `json:",string"`
		BookCharge           int64 `json:"book_charge,string"`
		Blocks               int64
		Charged, Price, Burn int64 `json:",string"`
		Rent                 int64 `json:",string"`
		PoolSharePPM         int64 `json:"pool_share_ppm"`
		RentPoolPPM          int64 `json:"rent_pool_ppm"`
		Paid, Burned         int64 `json:",string"`
		Pooled, Refunded     int64 `json:",string"`
	}
	if err := json.Unmarshal(raw, &vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("%d vectors: %v", len(vectors), err)
	}
	for i, v := range vectors {
		if got := BookCharge(v.BookCharge, v.Blocks, v.Limit); got != v.Charged {
			t.Errorf("%d: book charge %d, not %d", i, got, v.Charged)
		}
		split, err := Settle(v.Shards, v.Limit-v.Charged-v.Rent, v.Price, v.Burn, v.PoolSharePPM)
		if err == nil {
			split, err = split.WithRent(v.Shards, v.Rent, v.RentPoolPPM)
		}
		if want := (Split{v.Paid, v.Burned, v.Pooled, v.Refunded}); err != nil || split != want {
			t.Errorf("%d: %+v, %v; not %+v", i, split, err, want)
		}
		if split.Total() != (v.Limit-v.Charged)*v.Shards {
			t.Errorf("%d: %d leaves escrow, which holds %d", i, split.Total(), (v.Limit-v.Charged)*v.Shards)
		}
	}
}
