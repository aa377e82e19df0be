// Package network runs the chain inside a test: the real application with one validator, real signed
// transactions and real blocks, but no CometBFT, no sockets and no clock. Height and time move only when
// a test says so, and the same options give the same app hashes every time. It is imported by tests only and
// never fakes a keeper.
//
// A test makes a Chain, accounts by name, and blocks:
//
//	c := network.New(t, network.Options{})
//	alice, bob := c.Account("alice"), c.Account("bob")     // both funded at genesis
//	res := c.Deliver(alice, &banktypes.MsgSend{...})       // one signed transaction, one block
//	require.Zero(t, res.Code, res.Log)
//	c.Advance(10)                                          // ten empty blocks
//	c.Skip(time.Hour)                                      // the next block is an hour later
//	blk := c.Block(c.Sign(alice, m1), c.Sign(alice, m2), c.Sign(bob, m3))
//	params, err := taskstypes.NewQueryClient(c.Conn()).Params(ctx, &taskstypes.QueryParamsRequest{})
//	job, err := c.App.TasksKeeper.GetJob(c.Context(), 1)   // keepers, on committed state
//
// An account of any name exists; those in Options.Accounts hold Options.Funds (without a list: alice, bob,
// carol, dave). Signing counts sequence numbers within a block, so several transactions of one account
// may share it.
//
// # Shadows
//
// Unless Options.NoShadows is set, every block also drives three more applications, each with a
// database of its own, and the test fails at the first height where their app hashes or results differ:
//
//   - follower sees decided blocks only, as a node that just replays does;
//   - validator sees every CheckTx and both proposal calls, twice over, as in a height of several rounds;
//   - crasher runs the block, is killed before it commits, is built anew from its database and runs the
//     block again, so that every block it commits is the first after a restart.
//
// State kept in memory, map order, state written by a proposal or by CheckTx, and work that only one
// kind of node does all show up as a difference.
//
// # Random sequences
//
// TB is what both *testing.T and *rapid.T offer, so a Chain can be made inside rapid.Check. Making one
// costs about a quarter of a second and a restart of the crasher some 60 ms; RestartEvery thins those out.
package network

import (
	"encoding/json"
	"fmt"
	"time"

	"cosmossdk.io/log/v2"
	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/app"
)

// TB is the part of testing.TB that *rapid.T has too.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
}

const (
	// ChainID is every test chain's name.
	ChainID = "nexara-test-1"
	// ValidatorName is the account behind the one validator.
	ValidatorName = "validator"
	// ValidatorStake is its stake, in NEX.
	ValidatorStake = 100
)

// GenesisTime is when every test chain begins.
func GenesisTime() time.Time { return time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC) }

// Options shape a test chain; the zero value is a chain with the default genesis.
type Options struct {
	// Accounts are the names funded at genesis; nil is alice, bob, carol, dave.
	Accounts []string
	// Funds is what each holds; zero is 1,000,000 NEX.
	Funds sdk.Coins
	// Genesis changes the state before the chain begins, after accounts and validator are in it.
	Genesis func(app.Encoding, app.GenesisState) error
	// Patch is a JSON merge patch (RFC 7386) on app_state, applied before Genesis, as nexarad testnet
	// takes it: {"tasks":{"params":{"dispute_window":"5"}}}.
	Patch json.RawMessage
	// State replaces the default genesis, accounts and validator included: for import tests.
	State app.GenesisState
	// Validators goes with State: the set that the state's staking module holds.
	Validators []abci.ValidatorUpdate
	// ConsensusParams are CometBFT's; nil is app.ConsensusParams.
	ConsensusParams *cmtproto.ConsensusParams
	// InitialHeight is the first block's height; zero is 1.
	InitialHeight int64
	// Continued gives the first block a last commit too, as if the chain had not stopped: an import can
	// then be compared with the chain that went on.
	Continued bool
	// StartTime is the genesis time; zero is GenesisTime.
	StartTime time.Time
	// BlockTime is between two blocks; zero is one second.
	BlockTime time.Duration
	// NoShadows leaves the three shadow applications out: for benchmarks.
	NoShadows bool
	// RestartEvery kills the crasher in every so many blocks; zero is in each.
	RestartEvery int64
	// Logger gets the application's log; nil discards it.
	Logger log.Logger
	// BaseApp are further options of the SDK for each application.
	BaseApp []func(*baseapp.BaseApp)
	// Wire changes each application after it is made, the one under test first, a restarted one again.
	Wire func(*app.App)
}

func (o *Options) fill() {
	if o.Accounts == nil {
		o.Accounts = []string{"alice", "bob", "carol", "dave"}
	}
	if o.Funds.IsZero() {
		o.Funds = sdk.NewCoins(app.NEX(1_000_000))
	}
	if o.InitialHeight == 0 {
		o.InitialHeight = 1
	}
	if o.StartTime.IsZero() {
		o.StartTime = GenesisTime()
	}
	if o.BlockTime == 0 {
		o.BlockTime = app.BlockTime
	}
	if o.RestartEvery == 0 {
		o.RestartEvery = 1
	}
	if o.Logger == nil {
		o.Logger = log.NewNopLogger()
	}
}

// Chain is a running test chain.
type Chain struct {
	// App is the application under test: it sees CheckTx, proposals and blocks.
	App *app.App
	// Encoding is its codecs.
	Encoding app.Encoding

	tb         TB
	opts       Options
	accounts   map[string]*Account
	validators map[string]abci.Validator // by address; one in practice
	shadows    []*shadow
	height     int64
	now        time.Time
	nonce      int64
	appHash    []byte
	last       Block
}

// New starts a chain and runs its first, empty block, so that state is committed. It ends the test if
// it cannot.
func New(tb TB, opts Options) *Chain {
	tb.Helper()
	c, err := start(tb, opts)
	if err != nil {
		tb.Fatalf("start the test chain: %v", err)
	}
	c.Block()
	return c
}

func start(tb TB, opts Options) (*Chain, error) {
	app.SetConfig()
	opts.fill()
	enc, err := sharedEncoding()
	if err != nil {
		return nil, err
	}
	c := &Chain{
		Encoding: enc, tb: tb, opts: opts,
		accounts: make(map[string]*Account), validators: make(map[string]abci.Validator),
		height: opts.InitialHeight - 1, now: opts.StartTime,
	}
	state := opts.State
	if state == nil {
		if state, err = c.genesis(); err != nil {
			return nil, err
		}
	}
	raw, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("encode the genesis: %w", err)
	}
	params := app.ConsensusParams().ToProto()
	if opts.ConsensusParams != nil {
		params = *opts.ConsensusParams
	}
	init := &abci.RequestInitChain{
		Time: opts.StartTime, ChainId: ChainID, ConsensusParams: &params,
		Validators: opts.Validators, AppStateBytes: raw, InitialHeight: opts.InitialHeight,
	}
	if c.App, err = c.newApp(dbm.NewMemDB()); err != nil {
		return nil, err
	}
	res, err := c.App.InitChain(cloneInit(init))
	if err != nil {
		return nil, fmt.Errorf("initialise the chain: %w", err)
	}
	if err := c.updateValidators(res.Validators); err != nil {
		return nil, err
	}
	if opts.NoShadows {
		return c, nil
	}
	for _, kind := range shadowKinds() {
		s, err := newShadow(c, kind, cloneInit(init))
		if err != nil {
			return nil, fmt.Errorf("start the shadow %s: %w", kind, err)
		}
		c.shadows = append(c.shadows, s)
	}
	return c, nil
}

func (c *Chain) newApp(db dbm.DB) (*app.App, error) {
	options := append([]func(*baseapp.BaseApp){baseapp.SetChainID(ChainID)}, c.opts.BaseApp...)
	made, err := app.New(c.opts.Logger, db, app.Options{Encoding: &c.Encoding, BaseApp: options})
	if err == nil && c.opts.Wire != nil {
		c.opts.Wire(made)
	}
	return made, err
}

// cloneInit copies the request: the application sorts its validators in place.
func cloneInit(req *abci.RequestInitChain) *abci.RequestInitChain {
	out := *req
	out.Validators = append([]abci.ValidatorUpdate(nil), req.Validators...)
	return &out
}

// Start says whether a chain with these options starts, for tests of a genesis that must not.
func Start(tb TB, opts Options) error {
	_, err := start(tb, opts)
	return err
}
