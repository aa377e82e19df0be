package verdict

import (
	"fmt"
	"testing"
)

// Leaf by leaf gives the same root as all at once, for every size that Root takes.
func TestFrontierEqualsRoot(t *testing.T) {
	var f Frontier
	var leaves [][]byte
	for i := range MaxLeaseShards {
		leaf := fmt.Appendf(nil, "leaf %d", i)
		leaves = append(leaves, leaf)
		f.Add(leaf)
		want, err := Root(leaves)
		if err != nil {
			t.Fatal(err)
		}
		if f.Root() != want || f.Count != uint64(i+1) {
			t.Fatalf("after %d leaves: %x, want %x", f.Count, f.Root(), want)
		}
	}
}
