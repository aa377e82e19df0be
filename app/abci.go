package app

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"cosmossdk.io/log/v2"
	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
)

// Why a proposed block is refused. These never enter state: they are for the log and for tests.
var (
	// ErrTxBytes is a transaction above MaxTxBytes.
	ErrTxBytes = errors.New("transaction too large")
	// ErrTxUndecodable is bytes that are no transaction of this chain.
	ErrTxUndecodable = errors.New("transaction cannot be decoded")
	// ErrTxDuplicate is the same bytes twice in one block.
	ErrTxDuplicate = errors.New("transaction twice in one block")
	// ErrBlockGas is a block whose gas limits sum above the consensus limit.
	ErrBlockGas = errors.New("block gas above the limit")
	// ErrBlockBytes is a block whose transactions are larger than the consensus limit.
	ErrBlockBytes = errors.New("block bytes above the limit")
	// ErrTxPanic is a panic caught while looking at a transaction.
	ErrTxPanic = errors.New("panic while checking a transaction")
)

// proposalRules are the rules of a block, the same when proposing and when judging another's
// proposal. They look at bytes alone, never at state, so that every validator judges alike. The
// SDK enforces no gas limit on whole blocks: without these a proposer could fill one with any work.
type proposalRules struct {
	decode sdk.TxDecoder
	logger log.Logger
}

// block is how much of its limits one proposal has used.
type block struct {
	maxGas, maxBytes uint64 // zero is unlimited, as in the consensus parameters
	gas, bytes       uint64
	seen             map[[sha256.Size]byte]struct{}
}

func newBlock(ctx sdk.Context) *block {
	b := &block{seen: make(map[[sha256.Size]byte]struct{})}
	if p := ctx.ConsensusParams().Block; p != nil {
		b.maxGas, b.maxBytes = positive(p.MaxGas), positive(p.MaxBytes)
	}
	return b
}

func positive(n int64) uint64 {
	if n <= 0 {
		return 0
	}
	return uint64(n)
}

// add takes one transaction into the block, or says which rule it breaks and takes nothing. A panic
// while decoding is one transaction's fault, so it is caught here: when proposing, the SDK would
// answer a panic with the unchecked list, which every other validator then refuses.
func (r proposalRules) add(b *block, raw []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrTxPanic, p)
		}
	}()
	if len(raw) > MaxTxBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTxBytes, len(raw), MaxTxBytes)
	}
	size := uint64(cmttypes.ComputeProtoSizeForTxs([]cmttypes.Tx{raw}))
	if b.maxBytes > 0 && b.bytes+size > b.maxBytes {
		return fmt.Errorf("%w: at most %d", ErrBlockBytes, b.maxBytes)
	}
	hash := sha256.Sum256(raw)
	if _, twice := b.seen[hash]; twice {
		return fmt.Errorf("%w: %X", ErrTxDuplicate, hash)
	}
	tx, err := r.decode(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTxUndecodable, err)
	}
	gasTx, ok := tx.(sdk.GasTx)
	if !ok {
		return fmt.Errorf("%w: %T has no gas limit", ErrTxUndecodable, tx)
	}
	// Compared by subtraction: a gas limit near 2^64 must not wrap round.
	if gas := gasTx.GetGas(); b.maxGas > 0 && (gas > b.maxGas || b.gas > b.maxGas-gas) {
		return fmt.Errorf("%w: %d after %d, at most %d", ErrBlockGas, gas, b.gas, b.maxGas)
	}
	b.gas += gasTx.GetGas()
	b.bytes += size
	b.seen[hash] = struct{}{}
	return nil
}

// prepare proposes, in CometBFT's order, every transaction that keeps the block within the rules. It
// skips one that breaks a rule and goes on: a full block does not lose its last gap to one big transaction.
func (r proposalRules) prepare(ctx sdk.Context, req *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	b := newBlock(ctx)
	if limit := positive(req.MaxTxBytes); limit > 0 && (b.maxBytes == 0 || limit < b.maxBytes) {
		b.maxBytes = limit
	}
	txs := make([][]byte, 0, len(req.Txs))
	for _, raw := range req.Txs {
		if err := r.add(b, raw); err != nil {
			r.logger.Debug("transaction left out of the proposal", "height", req.Height, "err", err)
			continue
		}
		txs = append(txs, raw)
	}
	return &abci.ResponsePrepareProposal{Txs: txs}, nil
}

// process accepts a block that keeps the rules and refuses any other. It never panics and never
// returns an error: both would stop this node for another's fault.
func (r proposalRules) process(ctx sdk.Context, req *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	if err := r.check(ctx, req); err != nil {
		r.logger.Error("proposal refused", "height", req.Height, "proposer", fmt.Sprintf("%X", req.ProposerAddress), "err", err)
		return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}, nil
	}
	return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
}

func (r proposalRules) check(ctx sdk.Context, req *abci.RequestProcessProposal) error {
	b := newBlock(ctx)
	for i, raw := range req.Txs {
		if err := r.add(b, raw); err != nil {
			return fmt.Errorf("transaction %d of %d: %w", i, len(req.Txs), err)
		}
	}
	return nil
}
