package network

import (
	"bytes"
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	dbm "github.com/cosmos/cosmos-db"

	"github.com/nexara/nexara/app"
)

// The shadows; the package comment says what each is for.
const (
	follower  = "follower"
	validator = "validator"
	crasher   = "crasher"
)

func shadowKinds() []string { return []string{follower, validator, crasher} }

// shadow is a second application that must agree with the first.
type shadow struct {
	kind   string
	app    *app.App
	db     dbm.DB
	reopen func(dbm.DB) (*app.App, error)
	every  int64
	blocks int64
}

func newShadow(c *Chain, kind string, init *abci.RequestInitChain) (*shadow, error) {
	s := &shadow{kind: kind, db: dbm.NewMemDB(), reopen: c.newApp, every: c.opts.RestartEvery}
	var err error
	if s.app, err = s.reopen(s.db); err != nil {
		return nil, err
	}
	if _, err := s.app.InitChain(init); err != nil {
		return nil, fmt.Errorf("initialise the chain: %w", err)
	}
	return s, nil
}

// follow drives the shadow through a decided block and compares what came out.
func (s *shadow) follow(d *abci.RequestFinalizeBlock, want *abci.ResponseFinalizeBlock, proposed bool) error {
	if s.kind == validator && proposed {
		for range 2 {
			if err := propose(s.app, d); err != nil {
				return err
			}
		}
	}
	// The first block cannot be run again: the state of InitChain lives in memory until it commits.
	if s.kind == crasher && s.blocks > 0 && s.blocks%s.every == 0 {
		if err := s.crash(d); err != nil {
			return err
		}
	}
	s.blocks++
	got, err := commit(s.app, d)
	if err != nil {
		return err
	}
	return compare(got, want)
}

// crash runs the block, loses it before the commit, and starts anew from the database: the block that
// follow then runs is the first thing the new application does.
func (s *shadow) crash(d *abci.RequestFinalizeBlock) error {
	if _, err := s.app.FinalizeBlock(d); err != nil {
		return fmt.Errorf("run the block that is lost: %w", err)
	}
	reopened, err := s.reopen(s.db)
	if err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	s.app = reopened
	return nil
}

// compare asks for equal state, which consensus votes on, and then for equal results, since results are what
// clients act on.
func compare(got, want *abci.ResponseFinalizeBlock) error {
	err := compareResults(got, want)
	if !bytes.Equal(got.AppHash, want.AppHash) {
		return errors.Join(fmt.Errorf("app hash %X, want %X", got.AppHash, want.AppHash), err)
	}
	return err
}

func compareResults(got, want *abci.ResponseFinalizeBlock) error {
	if len(got.TxResults) != len(want.TxResults) {
		return fmt.Errorf("%d results, want %d", len(got.TxResults), len(want.TxResults))
	}
	for i := range got.TxResults {
		g, w := got.TxResults[i], want.TxResults[i]
		if g.Code != w.Code || g.Codespace != w.Codespace || g.GasUsed != w.GasUsed || !bytes.Equal(g.Data, w.Data) {
			return fmt.Errorf("transaction %d: %s/%d gas %d (%s), want %s/%d gas %d (%s)",
				i, g.Codespace, g.Code, g.GasUsed, g.Log, w.Codespace, w.Code, w.GasUsed, w.Log)
		}
		if err := compareEvents(g.Events, w.Events); err != nil {
			return fmt.Errorf("transaction %d: %w", i, err)
		}
	}
	if err := compareEvents(got.Events, want.Events); err != nil {
		return fmt.Errorf("block: %w", err)
	}
	return nil
}

func compareEvents(got, want []abci.Event) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d events, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i].String() != want[i].String() {
			return fmt.Errorf("event %d is %s, want %s", i, got[i].String(), want[i].String())
		}
	}
	return nil
}
