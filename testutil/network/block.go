package network

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sort"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/app"
)

// Block is what a block did.
type Block struct {
	// Height and Time are the block's.
	Height int64
	Time   time.Time
	// Txs are the results, in the order given to Block.
	Txs []*abci.ExecTxResult
	// Events are those of the block's beginning and end, not of its transactions.
	Events []abci.Event
	// AppHash is the state's after it.
	AppHash []byte
}

// Height returns the last block's height.
func (c *Chain) Height() int64 { return c.height }

// Time returns the last block's time.
func (c *Chain) Time() time.Time { return c.now }

// LastBlock returns what the last block did, that of New included.
func (c *Chain) LastBlock() Block { return c.last }

// AppHash returns the state's hash after the last block.
func (c *Chain) AppHash() []byte { return c.appHash }

// Deliver signs messages of one account into one transaction, runs a block with it alone, and returns its result,
// whatever that is.
func (c *Chain) Deliver(from *Account, msgs ...sdk.Msg) *abci.ExecTxResult {
	c.tb.Helper()
	return c.Block(c.Sign(from, msgs...)).Txs[0]
}

// MustDeliver is Deliver; it ends the test if the transaction failed.
func (c *Chain) MustDeliver(from *Account, msgs ...sdk.Msg) *abci.ExecTxResult {
	c.tb.Helper()
	res := c.Deliver(from, msgs...)
	if !res.IsOK() {
		c.tb.Fatalf("height %d: transaction of %s failed with %s/%d: %s", c.height, from.Name, res.Codespace, res.Code, res.Log)
	}
	return res
}

// Advance runs n empty blocks.
func (c *Chain) Advance(n int) {
	c.tb.Helper()
	for range n {
		c.Block()
	}
}

// AdvanceTo runs empty blocks up to a height.
func (c *Chain) AdvanceTo(height int64) {
	c.tb.Helper()
	for c.height < height {
		c.Block()
	}
}

// Skip runs one empty block that is d later than the last.
func (c *Chain) Skip(d time.Duration) Block {
	c.tb.Helper()
	return c.run(nil, d, true)
}

// Block runs one block of transactions as a network would: CheckTx on each, a proposal, the vote on it,
// the decided block, the commit. A transaction that fails CheckTx is in the block all the same, so that tests can
// see it fail there; one that the rules of a block leave out ends the test.
func (c *Chain) Block(txs ...[]byte) Block {
	c.tb.Helper()
	return c.run(txs, c.opts.BlockTime, true)
}

// DecidedBlock runs a block of any bytes that the network is taken to have decided, without CheckTx
// and proposals: for what a hostile majority could bring.
func (c *Chain) DecidedBlock(txs ...[]byte) Block {
	c.tb.Helper()
	return c.run(txs, c.opts.BlockTime, false)
}

func (c *Chain) run(txs [][]byte, later time.Duration, proposed bool) Block {
	c.tb.Helper()
	d := c.decide(txs, later)
	if proposed && !c.opts.NoShadows {
		if err := propose(c.App, d); err != nil {
			c.tb.Fatalf("height %d: %v", d.Height, err)
		}
	}
	res, err := commit(c.App, d)
	if err != nil {
		c.tb.Fatalf("height %d: %v", d.Height, err)
	}
	for _, s := range c.shadows {
		if err := s.follow(d, res, proposed); err != nil {
			c.tb.Fatalf("height %d: shadow %s: %v", d.Height, s.kind, err)
		}
	}
	c.height, c.now, c.appHash = d.Height, d.Time, res.AppHash
	if err := c.updateValidators(res.ValidatorUpdates); err != nil {
		c.tb.Fatalf("height %d: %v", d.Height, err)
	}
	for _, a := range c.accounts {
		a.pending = 0
	}
	c.last = Block{Height: d.Height, Time: d.Time, Txs: res.TxResults, Events: res.Events, AppHash: res.AppHash}
	return c.last
}

// decide makes the request of the next block. Its hash is a function of height, time and transactions
// alone, so that a chain and its import see the same one.
func (c *Chain) decide(txs [][]byte, later time.Duration) *abci.RequestFinalizeBlock {
	height, at := c.height+1, c.now.Add(later)
	h := sha256.New()
	var buf [16]byte
	binary.BigEndian.PutUint64(buf[:8], uint64(height))
	binary.BigEndian.PutUint64(buf[8:], uint64(at.UnixNano()))
	h.Write(buf[:])
	for _, tx := range txs {
		sum := sha256.Sum256(tx)
		h.Write(sum[:])
	}
	req := &abci.RequestFinalizeBlock{Txs: txs, Height: height, Time: at, Hash: h.Sum(nil)}
	votes := c.votes()
	if len(votes) > 0 {
		req.ProposerAddress = votes[0].Validator.Address
	}
	if height > c.opts.InitialHeight || c.opts.Continued {
		req.DecidedLastCommit.Votes = votes
	}
	return req
}

// votes is the last commit: every validator signed.
func (c *Chain) votes() []abci.VoteInfo {
	out := make([]abci.VoteInfo, 0, len(c.validators))
	for _, v := range c.validators {
		out = append(out, abci.VoteInfo{Validator: v, BlockIdFlag: cmtproto.BlockIDFlagCommit})
	}
	sort.Slice(out, func(i, j int) bool {
		return bytes.Compare(out[i].Validator.Address, out[j].Validator.Address) < 0
	})
	return out
}

func (c *Chain) updateValidators(updates []abci.ValidatorUpdate) error {
	for _, u := range updates {
		key, err := cryptocodec.FromCmtProtoPublicKey(u.PubKey)
		if err != nil {
			return fmt.Errorf("decode a validator's key: %w", err)
		}
		addr := key.Address()
		if u.Power == 0 {
			delete(c.validators, string(addr))
			continue
		}
		c.validators[string(addr)] = abci.Validator{Address: addr, Power: u.Power}
	}
	return nil
}

// propose shows an application a block as a validator sees it before the decision.
func propose(a *app.App, d *abci.RequestFinalizeBlock) error {
	for i, tx := range d.Txs {
		if _, err := a.CheckTx(&abci.RequestCheckTx{Tx: tx, Type: abci.CheckTxType_New}); err != nil {
			return fmt.Errorf("check transaction %d: %w", i, err)
		}
	}
	prepared, err := a.PrepareProposal(&abci.RequestPrepareProposal{
		MaxTxBytes: app.MaxBlockBytes, Txs: d.Txs, Height: d.Height, Time: d.Time, ProposerAddress: d.ProposerAddress,
	})
	if err != nil {
		return fmt.Errorf("prepare the proposal: %w", err)
	}
	if len(prepared.Txs) != len(d.Txs) {
		return fmt.Errorf("the proposal leaves out %d of %d transactions", len(d.Txs)-len(prepared.Txs), len(d.Txs))
	}
	processed, err := a.ProcessProposal(&abci.RequestProcessProposal{
		Txs: d.Txs, Height: d.Height, Time: d.Time, Hash: d.Hash, ProposerAddress: d.ProposerAddress,
		ProposedLastCommit: d.DecidedLastCommit,
	})
	if err != nil {
		return fmt.Errorf("process the proposal: %w", err)
	}
	if !processed.IsAccepted() {
		return fmt.Errorf("the proposal of %d transactions is refused", len(d.Txs))
	}
	return nil
}

func commit(a *app.App, d *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	res, err := a.FinalizeBlock(d)
	if err != nil {
		return nil, fmt.Errorf("finalise the block: %w", err)
	}
	if _, err := a.Commit(); err != nil {
		return nil, fmt.Errorf("commit the block: %w", err)
	}
	return res, nil
}
