package packing

// want is a place of a unit, seen from its bin.
type want struct{ unit, place int32 }

// move is a step under consideration: unit a to place ka and, when b is not negative, unit b to place kb.
type move struct {
	a, b   int
	ka, kb int32
	delta  int64
}

// scan returns the best move that is not held, or held but leads to a new best. Exchanges are found from lists of
// who wants where: most units have few places, so most pairs have none. A move whose costs alone are worse than
// the best so far, all fines of its bins forgiven, is not looked at closer.
func (t *tabu) scan() (best move, steps int64) {
	var none Vector
	best = move{a: -1, b: -1, delta: 1 << 62}
	ties := 0
	bins := int32(len(t.free))
	for b := range t.fine {
		t.fine[b] = t.fineOf(int32(b), &none, &none)
	}
	consider := func(x move, held bool) {
		if held && (t.over != 0 || t.cost+x.delta >= t.least) {
			return
		}
		if x.delta < best.delta {
			best, ties = x, 1
		} else if ties++; t.m.draw(ties) == 0 {
			best = x
		}
	}
	for p := range bins {
		if len(t.member[p]) == 0 {
			continue
		}
		// Who is elsewhere and could be here, by where it is.
		wants := t.want[p]
		for n, x := range wants {
			b := t.now[x.unit].bin
			t.next[n] = t.first[b]
			t.first[b] = int32(n)
		}
		steps += int64(len(wants))
		for _, j32 := range t.member[p] {
			j := int(j32)
			u := &t.unit[j]
			from := &t.now[j]
			leave := t.fineOf(p, &none, &from.need) - t.fine[p] - from.cost
			steps += int64(len(u.place))
			for k := range u.place {
				to := &u.place[k]
				q := to.bin
				if q == p {
					continue
				}
				if delta := to.cost + leave; delta-t.fine[q] <= best.delta {
					if delta += t.fineOf(q, &to.need, &none) - t.fine[q]; delta <= best.delta {
						consider(move{a: j, b: -1, ka: int32(k), delta: delta}, t.held[j][k] > t.round)
					}
				}
				if q < p {
					continue
				}
				base := to.cost - from.cost - t.fine[p] - t.fine[q]
				for n := t.first[q]; n >= 0; n = t.next[n] {
					steps++
					i, ki := int(wants[n].unit), wants[n].place
					other, toI := &t.now[i], &t.unit[i].place[ki]
					delta := base + toI.cost - other.cost
					if delta > best.delta {
						continue
					}
					if delta += t.fineOf(p, &toI.need, &from.need); delta > best.delta {
						continue
					}
					if delta += t.fineOf(q, &to.need, &other.need); delta <= best.delta {
						held := t.held[j][k] > t.round || t.held[i][ki] > t.round
						consider(move{a: j, b: i, ka: int32(k), kb: ki, delta: delta}, held)
					}
				}
			}
		}
		for _, x := range wants {
			t.first[t.now[x.unit].bin] = -1
		}
	}
	return best, steps
}
