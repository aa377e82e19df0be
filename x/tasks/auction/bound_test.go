package auction

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// Both ways to a rent give the exact sum wherever they are used, and dear beyond it.
func TestRentIsExact(t *testing.T) {
	plain := 0
	rapid.Check(t, func(t *rapid.T) {
		var p Prices
		var need Dims
		p.Slot = rapid.Int64Range(0, MaxLimit+2).Draw(t, "slot")
		exact := new(big.Int).Lsh(big.NewInt(p.Slot), priceShift)
		shift := rapid.IntRange(0, 62).Draw(t, "shift")
		for d := range need {
			p.Dims[d] = rapid.Int64Range(0, maxInt64>>shift).Draw(t, "price")
			need[d] = rapid.Int64Range(0, MaxCapacity).Draw(t, "need") >> rapid.IntRange(0, 40).Draw(t, "smaller")
			exact.Add(exact, new(big.Int).Mul(big.NewInt(p.Dims[d]), big.NewInt(need[d])))
		}
		want := dear
		if exact.IsUint64() && exact.Uint64() < dear && p.Slot < unpayable {
			want = exact.Uint64()
		}
		if got := rentOf(&p, &need); got != want {
			t.Fatalf("%d, want %d", got, want)
		}
		if fits(&p, &need) {
			plain++
			if got := plainRent(&p, &need); got != want {
				t.Fatalf("plain %d, want %d", got, want)
			}
		}
	})
	if plain == 0 {
		t.Fatal("the plain way was never taken")
	}
	t.Logf("plain in %d", plain)
}
