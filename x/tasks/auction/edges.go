package auction

import "slices"

// seller is what the rules about a pair read of a NexCore that may trade, close together.
type seller struct {
	fit      Resources // the less of what is free and of the whole
	ask      Ask
	penalty  uint64
	seconds  int64
	score    int64
	bond     int64
	asked    int64
	id       uint64
	runtimes []uint32
	arch     uint32
	region   uint32
	gpuModel uint32
	supply   int32
	network  bool
}

// sellers lists the NexCores that may trade, by supply.
func (m *Model) sellers() []seller {
	out := make([]seller, 0, len(m.supplies))
	for i := range m.supplies {
		s := &m.supplies[i]
		if !s.standing {
			continue
		}
		x := seller{
			ask: s.Ask, penalty: s.penalty, seconds: s.MaxRunSeconds, score: s.ScorePPM, bond: s.FreeBond, asked: s.AskHeight, id: s.ID,
			runtimes: s.runtimes, arch: s.arch, region: s.region, gpuModel: s.gpuModel, supply: int32(i), network: s.Network,
		}
		for r := range x.fit {
			x.fit[r] = min(s.Free[r], s.Capacity[r])
		}
		out = append(out, x)
	}
	return out
}

// suits says whether the rules about what a NexCore is hold for a shape, and takes whether those about its size and
// this moment do, but for the bond: the table of rules, written out, because a model asks them about every pair. A test
// compares both.
func (x *seller) suits(s *shapeRow) bool {
	return x.score >= s.MinScorePPM && (x.network || !s.Network) && (s.arch == 0 || s.arch == x.arch) &&
		(s.gpuModel == 0 || s.gpuModel == x.gpuModel) && (len(s.regions) == 0 || contains(s.regions, x.region)) && contains(x.runtimes, s.runtime)
}

func (x *seller) takes(s *shapeRow) bool { return s.Need.Fits(&x.fit) && s.RunSeconds <= x.seconds }

// asksLike says whether two shapes ask the same of what a NexCore is.
func (s *shapeRow) asksLike(o *shapeRow) bool {
	return s.MinScorePPM == o.MinScorePPM && s.Network == o.Network && s.arch == o.arch && s.gpuModel == o.gpuModel &&
		s.runtime == o.runtime && slices.Equal(s.regions, o.regions)
}

// kinds lists for shapes which sellers suit them. Many shapes differ in size alone and share a list.
type kinds struct {
	sellers []seller
	shapes  []*shapeRow // the last ones with a list of their own
	lists   [][]int32   // of them
}

// maxKinds bounds how many lists are searched for one that fits.
const maxKinds = 64

func (k *kinds) suiting(s *shapeRow) []int32 {
	for i, o := range k.shapes {
		if s.asksLike(o) {
			return k.lists[i]
		}
	}
	list := make([]int32, 0, len(k.sellers))
	for j := range k.sellers {
		if k.sellers[j].suits(s) {
			list = append(list, int32(j))
		}
	}
	if len(k.shapes) == maxKinds {
		k.shapes, k.lists = k.shapes[:0], k.lists[:0]
	}
	k.shapes, k.lists = append(k.shapes, s), append(k.lists, list)
	return list
}

// addEdges asks the rules about each pair of a used shape and a NexCore that may trade.
func (m *Model) addEdges(seed [32]byte) {
	for i := range m.entries {
		e := &m.entries[i]
		s := &m.shapes[e.ShapeIndex]
		s.maxUsable = max(s.maxUsable, e.usable)
	}
	k := kinds{sellers: m.sellers()}
	order, begin := m.entriesByShape()
	most := 0
	for i := range m.shapes {
		most += len(k.suiting(&m.shapes[i]))
	}
	edges := make([]Edge, 0, min(most, 1<<18))
	var young []int32
	for i := range m.shapes {
		s := &m.shapes[i]
		s.tie = seedKey(seed, "tie", s.digest[:])
		s.edgeFrom = len(edges)
		entries := order[begin[i]:begin[i+1]]
		heights := m.heights(entries)
		young = young[:0] // edges that not every entry sees
		oldest := int64(maxInt64)
		if len(heights) > 0 {
			oldest = heights[0]
		}
		span, tie, least := s.span(), s.tie, int64(unpayable)
		for _, j := range k.suiting(s) {
			x := &k.sellers[j]
			if !x.takes(s) {
				continue
			}
			unex, ok := span.price(&x.ask)
			if !ok {
				unex = price(&x.ask, &s.Need, s.RunSeconds)
			}
			if Lock(unex, 1, m.params.LockPPM) > x.bond {
				continue
			}
			all := cost(unex, x.penalty)
			if all > s.maxUsable {
				continue
			}
			least = min(least, all)
			if x.asked >= oldest {
				young = append(young, int32(len(edges)))
			}
			edges = append(edges, Edge{Price: unex, Cost: all, Tie: rankOf(tie, x.id), Supply: x.supply})
		}
		s.edgeTo, s.minCost = len(edges), least
		m.edges = edges
		m.addLevels(heights, young, entries)
	}
}
