package flow

// verdict is how a run of pivots ended.
type verdict uint8

const (
	optimal verdict = iota
	exhausted
	unbounded
)

// minBlock is the least number of arcs looked at before one enters the tree.
const minBlock = 32

// run pivots until no arc has a negative reduced cost or the budget ends.
func (e *engine) run() verdict {
	for {
		if e.maxPivots > 0 && e.pivots >= e.maxPivots {
			return exhausted
		}
		k, rc, ended := e.search()
		switch {
		case ended:
			return exhausted
		case rc >= 0:
			return optimal
		}
		a := e.arcs[k]
		if !e.pivot(k, a.from, a.to, rc, e.caps[k], 0) {
			return unbounded
		}
	}
}

// search returns the arc of least reduced cost among the first block, going round from where it last stopped,
// that holds a negative one; rc is 0 when there is none anywhere. ended says that the budget ended before.
func (e *engine) search() (best int32, rc int64, ended bool) {
	pi := e.pi
	i := e.at
	for left := len(e.arcs); left > 0; {
		n := min(e.block, left, len(e.arcs)-i)
		if e.maxScanned > 0 {
			if int64(n) > e.maxScanned-e.scanned {
				return 0, 0, true
			}
		}
		found := -1
		for j, arcs := 0, e.arcs[i:i+n]; j < len(arcs); j++ {
			a := &arcs[j]
			if c := a.cost + pi[a.from] - pi[a.to]; c < rc {
				rc, found = c, j
			}
		}
		e.scanned += int64(n)
		if found >= 0 {
			best = int32(i + found)
			left = 0
		}
		left -= n
		if i += n; i == len(e.arcs) {
			i = 0
		}
	}
	e.at = i
	return best, rc, false
}

// setBlock cuts the arcs into equal blocks of about three times the square root of their number: looking at an
// arc is cheap next to a pivot. On dense graphs, where many arcs of one node compete, a third of the nodes is enough.
func (e *engine) setBlock() {
	m := len(e.arcs)
	block := 1
	for block*block < m {
		block++
	}
	block = max(min(3*block, len(e.nodes)/3), minBlock)
	if blocks := (m + block - 1) / block; blocks > 0 {
		block = (m + blocks - 1) / blocks
	}
	e.block, e.at = max(block, 1), 0
}
