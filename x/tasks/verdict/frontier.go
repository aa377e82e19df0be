package verdict

// Frontier computes the Merkle root of any number of leaves one by one, in logarithmic space, so that a
// long list of records can be folded over many blocks. Its root equals Root's of the same leaves.
// The zero value has no leaves.
type Frontier struct {
	// Count is how many leaves were added.
	Count uint64
	// Peaks are the roots of the complete subtrees, largest first: one for each set bit of Count.
	Peaks []Hash
}

// Add appends a leaf.
func (f *Frontier) Add(data []byte) {
	node := LeafHash(data)
	for n := f.Count; n&1 == 1; n >>= 1 {
		last := len(f.Peaks) - 1
		node = NodeHash(f.Peaks[last], node)
		f.Peaks = f.Peaks[:last]
	}
	f.Peaks = append(f.Peaks, node)
	f.Count++
}

// Root folds the peaks from the smallest up; the zero hash when there is no leaf.
func (f *Frontier) Root() Hash {
	if len(f.Peaks) == 0 {
		return Hash{}
	}
	node := f.Peaks[len(f.Peaks)-1]
	for i := len(f.Peaks) - 2; i >= 0; i-- {
		node = NodeHash(f.Peaks[i], node)
	}
	return node
}
