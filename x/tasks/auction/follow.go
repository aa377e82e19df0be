package auction

// follow is a feasible flow close to the best one of a market whose prices are close to the given ones: each class
// uses the edges of least cost plus price that it sees, which are in the network, and entries that can pay it are
// moved among them until they fit, as far as a few passes go.
//
// It returns the flow by arc, the arcs without a gain or a loss at these prices, what prices say about every node, and
// the arcs looked at.
func (t *transport) follow(prices, value []int64) (amount []int64, even []int32, potential []int64, looked int64) {
	f := follower{t: t, amount: make([]int64, len(t.graph.Arcs)), room: append([]int64(nil), t.slots...)}
	potential = make([]int64, len(value))
	for v := range value {
		potential[v] = -value[v]
	}
	for s, p := range prices {
		potential[1+s] = -p
	}
	for k := range t.graph.Arcs {
		a := &t.graph.Arcs[k]
		if a.Cap > 0 && a.Cost+potential[a.From]-potential[a.To] == 0 {
			even = append(even, int32(k))
		}
	}
	f.join(even)
	want := make([]int64, t.graph.Nodes) // shards at each level that can pay more than it costs
	for i := range t.m.classes {
		entries := t.m.classes[i].entries
		for j := range entries {
			e := &entries[j]
			if node := t.level[i] + e.level; e.usable > -potential[node] {
				want[node] += e.count
			}
		}
	}
	sent := f.send(want)
	for i := range t.m.classes {
		entries := t.m.classes[i].entries
		for j := range entries { // in fill order: who can pay most
			e := &entries[j]
			left := &sent[t.level[i]+e.level]
			n := min(*left, e.count)
			f.amount[t.entry[i]+int32(j)] = n
			*left -= n
		}
	}
	return f.amount, even, potential, f.looked
}

// followRounds bounds the work of a follower, and followLooks does, in looks at everything: what is left over then is
// little, and the flow engine does it well.
const (
	followRounds = 12
	followLooks  = 24
)

// follower sends as many shards over even arcs as it can, by Dinic's method: rounds of shortest augmenting paths.
type follower struct {
	t      *transport
	amount []int64 // by arc
	room   []int64 // by supply
	begin  []int32 // of each node in beside, and the end
	beside []step  // even arcs between levels and NexCores, at both ends
	next   []int32 // of each node, the step to try next in this round
	away   []int32 // of each node, steps to the nearest NexCore with room, 0 at it; -1: out of reach
	looked int64
}

// step is an arc at one of its ends: to the other one. Against the arc, shards that came from there go back.
type step struct {
	node int32 // the other end
	arc  int32 // ^arc against its direction
}

// join lists the arcs at their ends: of all even arcs those that are no entry's and no slot's.
func (f *follower) join(even []int32) {
	arcs := f.t.graph.Arcs
	f.begin = make([]int32, f.t.graph.Nodes+2)
	for _, k := range even {
		if a := &arcs[k]; a.From != root && a.To != root {
			f.begin[a.From+2]++
			f.begin[a.To+2]++
		}
	}
	for v := 2; v < len(f.begin); v++ {
		f.begin[v] += f.begin[v-1]
	}
	f.beside = make([]step, f.begin[len(f.begin)-1])
	for _, k := range even {
		if a := &arcs[k]; a.From != root && a.To != root {
			f.beside[f.begin[a.From+1]] = step{a.To, k}
			f.begin[a.From+1]++
			f.beside[f.begin[a.To+1]] = step{a.From, ^k}
			f.begin[a.To+1]++
		}
	}
	f.next, f.away = make([]int32, f.t.graph.Nodes), make([]int32, f.t.graph.Nodes)
}

// send moves as much as it can of what each level wants to NexCores with room and returns what it moved.
func (f *follower) send(want []int64) []int64 {
	sent := make([]int64, len(want))
	queue := make([]int32, 0, len(want))
	for range followRounds {
		if f.looked >= followLooks*f.t.m.looks || !f.measure(want, queue) {
			break
		}
		copy(f.next, f.begin)
		for v := range want {
			for want[v] > 0 && f.away[v] >= 0 && f.looked < followLooks*f.t.m.looks {
				n := f.push(int32(v), want[v])
				if n == 0 {
					break
				}
				want[v] -= n
				sent[v] += n
			}
		}
	}
	return sent
}

// measure finds how far each node is from room; false if none that wants more reaches any.
func (f *follower) measure(want []int64, queue []int32) bool {
	for v := range f.away {
		f.away[v] = -1
	}
	for s, room := range f.room {
		if room > 0 {
			f.away[1+s] = 0
			queue = append(queue, int32(1+s))
		}
	}
	reached := false
	for i := 0; i < len(queue); i++ {
		v := queue[i]
		reached = reached || want[v] > 0
		steps := f.beside[f.begin[v]:f.begin[v+1]]
		for j := range steps {
			s := &steps[j]
			if f.away[s.node] >= 0 || s.arc >= 0 && f.amount[s.arc] == 0 {
				continue // known, or nothing came from here that could come back
			}
			f.away[s.node] = f.away[v] + 1
			queue = append(queue, s.node)
		}
		f.looked += int64(len(steps))
	}
	return reached
}

// push finds a shortest way for up to limit shards from a node to a NexCore with room and sends them. A step that failed
// is not tried again in the same round.
func (f *follower) push(v int32, limit int64) int64 {
	if f.away[v] == 0 {
		n := min(limit, f.room[v-1])
		f.room[v-1] -= n
		f.amount[f.t.slot+v-1] += n
		return n
	}
	for ; f.next[v] < f.begin[v+1]; f.next[v]++ {
		f.looked++
		s := f.beside[f.next[v]]
		if f.away[s.node] != f.away[v]-1 {
			continue
		}
		if s.arc >= 0 {
			if n := f.push(s.node, limit); n > 0 {
				f.amount[s.arc] += n
				return n
			}
		} else if back := f.amount[^s.arc]; back > 0 {
			if n := f.push(s.node, min(limit, back)); n > 0 {
				f.amount[^s.arc] -= n
				return n
			}
		}
	}
	return 0
}
