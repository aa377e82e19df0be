package chain

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	txv1beta1 "cosmossdk.io/api/cosmos/tx/v1beta1"
	"google.golang.org/protobuf/proto"

	"github.com/nexara/nexara/node/key"
	"github.com/nexara/nexara/x/denom"
)

// TxLifetime is how long after the last header a transaction may be included.
// The chain takes unordered transactions up to 60 s ahead.
const TxLifetime = 30 * time.Second

// headerAge is the age from which the last header is asked for again before
// signing: a timeout built on an old header is over before it is sent.
const headerAge = 10 * time.Second

// Bounds of gas.
const (
	maxTxGas       = 100_000_000
	simulateMargin = 3 // halves: gas = 3/2 of what the simulation used
)

// SenderConfig says how transactions are paid.
type SenderConfig struct {
	// FeeGranter is the address that pays gas by an allowance; empty for the key's own.
	FeeGranter string
	// GasPrice is in anex per unit of gas.
	GasPrice uint64
	// Gas estimates a message's gas; nil means GasOf.
	Gas func(proto.Message) uint64
}

// Sender signs and broadcasts transactions of one key. Transactions are
// unordered: none waits for another and none blocks another.
type Sender struct {
	client *Client
	key    *key.Key
	cfg    SenderConfig

	mu       sync.Mutex
	account  uint64
	known    bool
	last     time.Time
	simulate int
}

// Sent is a transaction that the node took into its mempool.
type Sent struct {
	Hash string
	// Expires is the block time from which it can no longer be included.
	Expires time.Time
}

// Receipt says what became of a transaction in a block.
type Receipt struct {
	Hash               string
	Height             int64
	GasWanted, GasUsed int64
}

// NewSender returns a sender of k's transactions.
func NewSender(c *Client, k *key.Key, cfg SenderConfig) (*Sender, error) {
	if c == nil || k == nil {
		return nil, fmt.Errorf("%w: a sender needs a client and a key", ErrConfig)
	}
	if cfg.FeeGranter != "" {
		if _, err := key.DecodeAddress(cfg.FeeGranter); err != nil {
			return nil, fmt.Errorf("%w: fee granter: %w", ErrConfig, err)
		}
	}
	if cfg.Gas == nil {
		cfg.Gas = GasOf
	}
	return &Sender{client: c, key: k, cfg: cfg}, nil
}

// Address is the signer's.
func (s *Sender) Address() string { return s.key.Address() }

// Submit signs msgs into one transaction and hands it to the node. It is not in a
// block then: ask Confirm, or better the state it should have changed. Refusals
// at the door are *TxError.
func (s *Sender) Submit(ctx context.Context, msgs ...proto.Message) (Sent, error) {
	p, err := s.params(ctx, msgs)
	if err != nil {
		return Sent{}, err
	}
	if s.simulating() {
		if p.GasLimit, err = s.Simulate(ctx, msgs...); err != nil {
			return Sent{}, err
		}
		p.Fee = s.fee(p.GasLimit)
	}
	raw, err := key.BuildTx(p, s.key)
	if err != nil {
		return Sent{}, err
	}
	var r struct {
		Code      uint32 `json:"code"`
		Codespace string `json:"codespace"`
		Log       string `json:"log"`
	}
	hash := key.TxHash(raw)
	params := map[string]any{"tx": base64.StdEncoding.EncodeToString(raw)}
	if err := s.client.call(ctx, "broadcast_tx_sync", params, &r); err != nil {
		if errors.Is(err, ErrQuery) { // an RPC error at the door: a full mempool or a transaction too large for it
			return Sent{}, fmt.Errorf("%w: %w", ErrBusy, err)
		}
		return Sent{}, err
	}
	if r.Code != 0 {
		return Sent{}, s.failed(&TxError{Hash: hash, Codespace: r.Codespace, Code: r.Code, Log: r.Log})
	}
	return Sent{Hash: hash, Expires: p.TimeoutTimestamp}, nil
}

// Confirm looks a transaction up. ErrPending when no block holds it (yet),
// *TxError when it failed in its block.
func (s *Sender) Confirm(ctx context.Context, hash string) (Receipt, error) {
	if raw, err := hex.DecodeString(hash); err != nil || len(raw) != 32 {
		return Receipt{}, fmt.Errorf("%w: transaction hash %.80q", ErrConfig, hash)
	}
	var r struct {
		Txs []struct {
			Hash   string `json:"hash"`
			Height number `json:"height"`
			Result struct {
				Code      uint32 `json:"code"`
				Codespace string `json:"codespace"`
				Log       string `json:"log"`
				GasWanted number `json:"gas_wanted"`
				GasUsed   number `json:"gas_used"`
			} `json:"tx_result"`
		} `json:"txs"`
	}
	// tx_search answers an empty list for an unknown hash; tx answers an error that only its text tells apart.
	params := map[string]any{"query": "tx.hash='" + hash + "'", "prove": false}
	if err := s.client.call(ctx, "tx_search", params, &r); err != nil {
		return Receipt{}, err
	}
	for _, t := range r.Txs {
		if !strings.EqualFold(t.Hash, hash) {
			continue
		}
		if t.Result.Code != 0 {
			return Receipt{}, s.failed(&TxError{
				Hash: hash, Height: int64(t.Height), Codespace: t.Result.Codespace, Code: t.Result.Code, Log: t.Result.Log,
			})
		}
		return Receipt{
			Hash: hash, Height: int64(t.Height), GasWanted: int64(t.Result.GasWanted), GasUsed: int64(t.Result.GasUsed),
		}, nil
	}
	return Receipt{}, fmt.Errorf("%w: %s", ErrPending, hash)
}

// Simulate asks the node what msgs would use and adds a margin.
func (s *Sender) Simulate(ctx context.Context, msgs ...proto.Message) (uint64, error) {
	p, err := s.params(ctx, msgs)
	if err != nil {
		return 0, err
	}
	raw, err := key.BuildTx(p, s.key)
	if err != nil {
		return 0, err
	}
	out := &txv1beta1.SimulateResponse{}
	_, err = s.client.Query(ctx, "/cosmos.tx.v1beta1.Service/Simulate", &txv1beta1.SimulateRequest{TxBytes: raw}, out)
	if err != nil {
		return 0, err
	}
	return min(out.GetGasInfo().GetGasUsed()*simulateMargin/2, maxTxGas), nil
}

func (s *Sender) params(ctx context.Context, msgs []proto.Message) (key.TxParams, error) {
	account, err := s.accountNumber(ctx)
	if err != nil {
		return key.TxParams{}, err
	}
	timeout, err := s.timeout(ctx)
	if err != nil {
		return key.TxParams{}, err
	}
	gas := uint64(gasTx)
	for _, m := range msgs {
		gas += s.cfg.Gas(m)
	}
	gas = min(gas, maxTxGas)
	return key.TxParams{
		ChainID: s.client.cfg.ChainID, AccountNumber: account, Unordered: true, TimeoutTimestamp: timeout,
		GasLimit: gas, Fee: s.fee(gas), FeeGranter: s.cfg.FeeGranter, Msgs: msgs,
	}, nil
}

func (s *Sender) fee(gas uint64) []key.Coin {
	amount := new(big.Int).Mul(new(big.Int).SetUint64(gas), new(big.Int).SetUint64(s.cfg.GasPrice))
	if amount.Sign() == 0 {
		return nil
	}
	return []key.Coin{{Denom: denom.Base, Amount: amount.String()}}
}

func (s *Sender) accountNumber(ctx context.Context) (uint64, error) {
	s.mu.Lock()
	n, known := s.account, s.known
	s.mu.Unlock()
	if known {
		return n, nil
	}
	n, err := s.client.AccountNumber(ctx, s.key.Address())
	if errors.Is(err, ErrNotFound) {
		return 0, fmt.Errorf("node key %s has no account yet (the operator's fee grant makes it): %w", s.key.Address(), err)
	}
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	s.account, s.known = n, true
	s.mu.Unlock()
	return n, nil
}

// timeout is unique among this key's transactions: it is their nonce. The random
// part keeps a restarted daemon apart from its former self.
func (s *Sender) timeout(ctx context.Context) (time.Time, error) {
	head := s.client.Head()
	if head.Height == 0 || time.Since(head.Seen) > headerAge {
		st, err := s.client.Status(ctx)
		if err != nil {
			return time.Time{}, err
		}
		s.client.see(st.Head)
		head = st.Head
	}
	t := head.Time.Add(TxLifetime + rand.N(time.Second))
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.After(s.last) {
		t = s.last.Add(1)
	}
	s.last = t
	return t, nil
}

// failed notes what the sender can do better next time. After running out of gas
// the next transactions are simulated first.
func (s *Sender) failed(err *TxError) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, ErrOutOfGas) {
		s.simulate = 8
	}
	if errors.Is(err, ErrUnauthorized) && err.Codespace == "sdk" {
		s.known = false // a chain that was started anew has given the address another number
	}
	return err
}

func (s *Sender) simulating() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.simulate == 0 {
		return false
	}
	s.simulate--
	return true
}
