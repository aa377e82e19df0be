package verdict

import "math/bits"

// Outcomes is a lease's bitmap: bit i (least significant first) is set when the
// i-th shard of the lease was delivered. It has exactly ceil(n/8) bytes for n
// shards and its spare bits are zero, so that one outcome has one encoding.
type Outcomes []byte

// NewOutcomes is a bitmap for n shards with nothing delivered.
func NewOutcomes(n int) (Outcomes, error) {
	if n < 1 || n > MaxLeaseShards {
		return nil, ErrOutcomes
	}
	return make(Outcomes, (n+7)/8), nil
}

// AllDelivered is a bitmap for n shards with every one delivered.
func AllDelivered(n int) (Outcomes, error) {
	o, err := NewOutcomes(n)
	if err != nil {
		return nil, err
	}
	for i := range n {
		o[i/8] |= 1 << (i % 8)
	}
	return o, nil
}

// Check says whether o is the canonical form of a bitmap for n shards.
func (o Outcomes) Check(n int) error {
	if n < 1 || n > MaxLeaseShards || len(o) != (n+7)/8 {
		return ErrOutcomes
	}
	if spare := n % 8; spare != 0 && o[len(o)-1]>>spare != 0 {
		return ErrOutcomes
	}
	return nil
}

// Set marks shard i as delivered.
func (o Outcomes) Set(i int) error {
	if i < 0 || i/8 >= len(o) {
		return ErrIndex
	}
	o[i/8] |= 1 << (i % 8)
	return nil
}

// Delivered says whether shard i was delivered; false outside the bitmap.
func (o Outcomes) Delivered(i int) bool {
	return i >= 0 && i/8 < len(o) && o[i/8]&(1<<(i%8)) != 0
}

// Count is how many shards were delivered.
func (o Outcomes) Count() int {
	n := 0
	for _, b := range o {
		n += bits.OnesCount8(b)
	}
	return n
}

// Range is a run of neighbouring shards of a lease with one outcome.
type Range struct {
	// First is the index of the first shard inside the lease.
	First int
	// Count is how many shards follow, the first included.
	Count int
	// Delivered is their common outcome.
	Delivered bool
}

// Ranges cuts the first n shards into runs of equal outcome, in order. A caller
// does one step per run instead of one per shard.
func (o Outcomes) Ranges(n int) []Range {
	var out []Range
	for i := 0; i < n; i++ {
		d := o.Delivered(i)
		if len(out) > 0 && out[len(out)-1].Delivered == d {
			out[len(out)-1].Count++
			continue
		}
		out = append(out, Range{First: i, Count: 1, Delivered: d})
	}
	return out
}
