package auction

// What a clearing does when its allocation needs more leases than MaxMatches. No price of capacity says which leases
// to leave out: finding the best MaxMatches of them is another problem, and a hard one. So the best flow and Greedy
// compete, each with its leases of least welfare left out. The prices of the whole optimum bound both, for they bound
// every allocation however many leases it needs: the gap then holds what the cut cost.

// short ends a search whose optimum was cut.
func (s *search) short() (Allocation, error) {
	a := *s.cut
	g, err := Greedy{}.Solve(s.m, Budget{Steps: max(s.left, 1)})
	if err != nil {
		return Allocation{}, err
	}
	s.left -= g.Work
	if better(&g, &a) {
		g.Certificate, g.Cut = a.Certificate, true
		a = g
	}
	s.certify(&a)
	return a, nil
}

// roomy says which NexCores could take one more shard after an allocation: a lease, the least need of their edges in
// every resource, the least lock.
func (m *Model) roomy(a *Allocation) []bool {
	rooms := m.rooms()
	for i := range a.Matches {
		match := &a.Matches[i]
		need := &m.shapes[m.entries[m.holding(match.JobID, match.First)].ShapeIndex].Need
		rooms[m.findSupply(match.NexCoreID)].take(need, match.Price, match.Count, &m.params)
	}
	least, _ := m.leastNeeds()
	price := make([]int64, len(m.supplies))
	for i := range price {
		price[i] = unpayable
	}
	for i := range m.edges {
		e := &m.edges[i]
		price[e.Supply] = min(price[e.Supply], e.Price)
	}
	out := make([]bool, len(rooms))
	for i := range rooms {
		out[i] = price[i] < unpayable && rooms[i].fit(&least[i], price[i], &m.params) > 0
	}
	return out
}
