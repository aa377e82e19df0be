package types

import (
	"github.com/nexara/nexara/x/reputation/score"
)

// DefaultGenesis is a chain on which nobody has a history.
func DefaultGenesis() *GenesisState { return &GenesisState{Params: DefaultParams()} }

// Validate checks that the records are well formed and unique.
func (g *GenesisState) Validate() error {
	if err := g.Params.Validate(); err != nil {
		return err
	}
	type tallyKey struct {
		subject   string
		dimension Dimension
	}
	tallies := make(map[tallyKey]bool, len(g.Tallies))
	for _, t := range g.Tallies {
		key := tallyKey{t.Subject, t.Dimension}
		if err := t.validate(); err != nil {
			return err
		}
		if tallies[key] {
			return ErrGenesis.Wrapf("tally of %s twice", t.Subject)
		}
		tallies[key] = true
	}
	pairs := make(map[[2]string]bool, len(g.Pairs))
	for _, p := range g.Pairs {
		key := [2]string{p.Requester, p.Operator}
		if !isName(p.Requester) || !isName(p.Operator) || p.Count > score.MaxPair || pairs[key] {
			return ErrGenesis.Wrapf("pair of %q and %q", clip(p.Requester), clip(p.Operator))
		}
		pairs[key] = true
	}
	last := int64(-1)
	for _, h := range g.Hashes {
		if h.Height <= last || len(h.Hash) != HashBytes || h.Count == 0 {
			return ErrGenesis.Wrapf("outcome hash of height %d: heights must rise, hashes have %d bytes", h.Height, HashBytes)
		}
		last = h.Height
	}
	return nil
}

func (t Tally) validate() error {
	requester, err := ParseSubject(t.Subject)
	if err != nil {
		return ErrGenesis.Wrap(err.Error())
	}
	known := false
	for _, d := range Dimensions(requester) {
		known = known || d == t.Dimension
	}
	if !known || t.Good > score.MaxTally || t.Bad > score.MaxTally {
		return ErrGenesis.Wrapf("tally of %s in dimension %s", t.Subject, t.Dimension)
	}
	return nil
}
