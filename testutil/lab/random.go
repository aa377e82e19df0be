package lab

import "sort"

// stream is a seeded source of numbers (SplitMix64), the same on every machine and in every Go release.
type stream struct{ state uint64 }

// newStream gives each use of a seed its own sequence, so that more draws in one place move nothing elsewhere.
func newStream(seed uint64, use string) *stream {
	s := &stream{state: seed}
	for i := range len(use) {
		s.state = s.next() ^ uint64(use[i])
	}
	return s
}

func (s *stream) next() uint64 {
	s.state += 0x9e3779b97f4a7c15
	x := s.state
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

// below draws from 0 to n-1. The bias of a remainder is under n/2^64.
func (s *stream) below(n int64) int64 { return int64(s.next() % uint64(n)) }

// between draws from low to high, both included.
func (s *stream) between(low, high int64) int64 { return low + s.below(high-low+1) }

// quantiles draws from a distribution given by its values at equal steps of probability, linear between them.
func (s *stream) quantiles(at []int64) int64 {
	const fine = 1_000
	u := s.below(int64(len(at)-1) * fine)
	i, part := u/fine, u%fine
	return at[i] + (at[i+1]-at[i])*part/fine
}

// skewed draws from 0 to n-1 with weights falling as 1/(rank+1): few draw much, many draw little.
type skewed struct{ upTo []int64 }

func newSkewed(n int) skewed {
	const whole = 1 << 40
	upTo, sum := make([]int64, n), int64(0)
	for i := range upTo {
		sum += whole / int64(i+1)
		upTo[i] = sum
	}
	return skewed{upTo}
}

func (k skewed) draw(s *stream) int {
	u := s.below(k.upTo[len(k.upTo)-1])
	return sort.Search(len(k.upTo), func(i int) bool { return k.upTo[i] > u })
}
