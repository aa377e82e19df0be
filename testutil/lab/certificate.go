package lab

import "github.com/nexara/nexara/x/tasks/auction"

// Certificate is what a clearing proves about itself, in the lab's words.
type Certificate struct {
	Bound  int64 // no allocation of the model has more welfare, unex
	GapPPM int64 // (Bound - welfare) / Bound, in millionths
	// Rents are what each shard of a match owes for scarce capacity above the ask, in unex, by index of
	// Allocation.Matches.
	Rents []int64
	// Width is the mean over NexCores with a price of greatest less least slot price among the optimal ones, in unex:
	// the wider, the thinner the market. Negative when unknown.
	Width int64
}

// Proved reads the bound, the rents and the width of prices that an allocation carries. A solver that prices nothing
// has a bound too, at prices of 0: true, and far away where the market is congested.
func Proved(a *auction.Allocation) Certificate {
	c := Certificate{Bound: a.Bound, GapPPM: auction.GapPPM(a.Bound, a.Welfare), Width: -1}
	for i := range a.Matches {
		c.Rents = append(c.Rents, a.Matches[i].Rent)
	}
	if priced := a.Certificate.Prices; a.Certificate.Exact && len(priced) > 0 {
		c.Width = 0
		for i := range priced {
			c.Width += priced[i].Width // at most 2^42 each
		}
		c.Width /= int64(len(priced))
	}
	return c
}

// Engine is a solver under test.
type Engine struct {
	Solver auction.Solver
	// Priced says that it clears a market of like slots exactly, at the least prices: then no requester of one shard
	// gains by a false limit, which an experiment tests.
	Priced bool
}

// Engines lists every solver of the clearing, the best first.
func Engines() []Engine {
	return []Engine{
		{Solver: auction.Optimal{}, Priced: true},
		{Solver: auction.Greedy{}},
	}
}
