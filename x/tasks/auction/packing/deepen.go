package packing

import "slices"

// deepen is an iterated local search over subsets of bins: first until no pair and no three of them can be shared
// better, then again after a few bins were shared at random nearly as well. Where it leads to is kept when it is
// not much worse than the best.
type deepen struct {
	x      *subset
	w      *meter
	order  []int32 // bins that an active unit may be in
	clock  int64
	change []int64               // per bin: the last change
	passed [subsetMost + 1]int64 // per size: when the last complete pass began
	nodes  int64                 // of one search
	cur    []int32               // places to go back to
	cost   int64                 // of cur
}

const (
	deepenBins = 1 << 6 // most bins: there are some 40,000 subsets of three
	deepNodes  = 100_000
	kickNodes  = 20_000
	noiseMost  = int64(1) << 50
	noisePart  = 4 // of the loss of the subset, per place
	nearPart   = 2 // of the loss of the best: how much worse an allocation may be to go on from
)

// deepen searches until the budget ends or the best allocation meets the floor.
func (t *tabu) deepen(floor int64, w *meter) {
	if len(t.price) > deepenBins || len(t.active) == 0 {
		return
	}
	d := &deepen{x: newSubset(t), w: w, change: make([]int64, len(t.price)), cur: slices.Clone(t.at), cost: t.cost}
	for b := range t.price {
		if len(t.want[b]) > 0 {
			d.order = append(d.order, int32(b))
		}
	}
	d.nodes = max(100, min(deepNodes, w.left/64))
	for len(d.order) > 1 && t.least > floor && d.descend() {
		if t.cost <= d.cost || t.cost-t.least <= (t.least-floor)/nearPart {
			copy(d.cur, t.at)
			d.cost = t.cost
		} else {
			d.back()
		}
		if !d.kick() {
			return
		}
	}
}

// descend ends when no subset of bins can be shared better; false when the budget does.
func (d *deepen) descend() bool {
	for k := 2; k <= min(subsetMost, len(d.order)); {
		began := d.clock
		better, ok := d.pass(k)
		switch {
		case !ok:
			return false
		case better:
			k = 2
		default:
			d.passed[k] = began + 1
			k++
		}
	}
	return true
}

// pass tries the subsets of k bins in which something has changed since they were tried last. A pass over three
// ends at the first success: pairs are cheaper.
func (d *deepen) pass(k int) (better, ok bool) {
	var at [subsetMost]int
	for i := range k {
		at[i] = i
	}
	for {
		var bins [subsetMost]int32
		fresh := false
		for i := range k {
			bins[i] = d.order[at[i]]
			fresh = fresh || d.change[bins[i]] >= d.passed[k]
		}
		if fresh && d.search(bins[:k], d.nodes, 0) {
			if better = true; k > 2 {
				return true, d.w.left > 0
			}
		}
		if !d.w.spend(1) {
			return better, false
		}
		i := k - 1
		for i >= 0 && at[i] == len(d.order)-k+i {
			i--
		}
		if i < 0 {
			return better, true
		}
		at[i]++
		for i++; i < k; i++ {
			at[i] = at[i-1] + 1
		}
	}
}

func (d *deepen) search(bins []int32, nodes, noise int64) bool {
	changed, steps := d.x.search(bins, min(nodes, max(1, d.w.left/nodeSteps)), noise)
	d.w.spend(steps)
	d.clock++
	if changed {
		for _, b := range bins {
			d.change[b] = d.clock
		}
	}
	return changed
}

// kick shares a few bins at random, nearly as well as they are.
func (d *deepen) kick() bool {
	t := d.x.t
	k := min(subsetMost, len(d.order))
	for d.w.left > 0 {
		for i := range k {
			j := i + t.m.draw(len(d.order)-i)
			d.order[i], d.order[j] = d.order[j], d.order[i]
		}
		var bins [subsetMost]int32
		copy(bins[:], d.order[:k])
		if d.search(bins[:k], kickNodes, min(noiseMost, d.x.lossOf(bins[:k])/noisePart+1)) {
			return true
		}
	}
	return false
}

// back returns to where the last kick began.
func (d *deepen) back() {
	t := d.x.t
	d.clock++
	for j, k := range d.cur {
		if t.at[j] != k {
			for _, b := range [2]int32{t.now[j].bin, t.unit[j].place[k].bin} {
				if int(b) < len(d.change) {
					d.change[b] = d.clock
				}
			}
			t.enter(j, k)
		}
	}
}
