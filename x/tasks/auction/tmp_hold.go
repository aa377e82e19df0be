package auction

func (s *search) network() (Allocation, bool) { return Allocation{}, false }

func (s *search) directed() (Allocation, error) {
	return Greedy{}.Solve(s.m, Budget{Steps: s.left})
}
