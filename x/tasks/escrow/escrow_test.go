package escrow

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/nexara/nexara/x/denom"
)

func TestSettleConserves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 1_000_000_000).Draw(t, "limit")
		pool := rapid.Int64Range(0, denom.PPM).Draw(t, "pool_ppm")
		price := rapid.Int64Range(0, limit).Draw(t, "price")
		burn := rapid.Int64Range(0, limit-price).Draw(t, "burn")
		n := rapid.Int64Range(0, 256).Draw(t, "n")
		split, err := Settle(n, limit, price, burn, pool)
		if err != nil {
			t.Fatal(err)
		}
		if split.Total() != n*limit {
			t.Fatalf("split %+v of %d", split, n*limit)
		}
		if split.Paid < 0 || split.Burned < 0 || split.Pooled < 0 || split.Refunded < 0 {
			t.Fatalf("negative part in %+v", split)
		}
	})
}

func TestRentConserves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 1_000_000_000).Draw(t, "limit")
		price := rapid.Int64Range(0, limit).Draw(t, "price")
		burn := rapid.Int64Range(0, limit-price).Draw(t, "burn")
		rent := rapid.Int64Range(0, limit-price-burn).Draw(t, "rent")
		n := rapid.Int64Range(0, 256).Draw(t, "n")
		plain, err := Settle(n, limit-rent, price, burn, rapid.Int64Range(0, denom.PPM).Draw(t, "pool_ppm"))
		if err != nil {
			t.Fatal(err)
		}
		split, err := plain.WithRent(n, rent, rapid.Int64Range(0, denom.PPM).Draw(t, "rent_ppm"))
		if err != nil {
			t.Fatal(err)
		}
		if split.Total() != n*limit {
			t.Fatalf("split %+v of %d", split, n*limit)
		}
		if split.Paid != plain.Paid || split.Refunded != plain.Refunded || split.Burned < plain.Burned || split.Pooled < plain.Pooled {
			t.Fatalf("a rent of %d made %+v of %+v", rent, split, plain)
		}
	})
}

func TestRefusals(t *testing.T) {
	for _, bad := range [][2]int64{{-1, 1}, {1, -1}, {1, denom.MaxUnex + 1}, {2, denom.MaxUnex}, {1 << 62, 4}} {
		if _, err := (Split{}).WithRent(bad[0], bad[1], 0); !errors.Is(err, ErrRange) {
			t.Errorf("WithRent(%d, %d): %v", bad[0], bad[1], err)
		}
	}
	if _, err := Settle(1, 10, 10, 1, 0); !errors.Is(err, ErrRange) {
		t.Errorf("more than is held was paid: %v", err)
	}
	for _, bad := range [][2]int64{{0, 1}, {1, 0}, {-1, 1}, {2, denom.MaxUnex}, {1 << 62, 4}} {
		if _, err := Total(bad[0], bad[1]); !errors.Is(err, ErrRange) {
			t.Errorf("Total(%d, %d): %v", bad[0], bad[1], err)
		}
	}
}

func TestBookCharge(t *testing.T) {
	for _, c := range []struct{ per, blocks, remaining, want int64 }{
		{1, 0, 10, 0}, {1, 3, 10, 3}, {4, 3, 10, 10}, {1, 1 << 62, 10, 10}, {0, 5, 10, 0}, {3, 3, 9, 9}, {5, 1, 0, 0},
	} {
		if got := BookCharge(c.per, c.blocks, c.remaining); got != c.want {
			t.Errorf("BookCharge(%d, %d, %d) = %d, want %d", c.per, c.blocks, c.remaining, got, c.want)
		}
	}
}
