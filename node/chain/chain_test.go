package chain

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	txv1beta1 "cosmossdk.io/api/cosmos/tx/v1beta1"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/nexara/nexara/node/key"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

func TestStatusAndQueries(t *testing.T) {
	n := newNode(t)
	c := n.client(t)
	ctx := t.Context()
	st, err := c.Status(ctx)
	require.NoError(t, err)
	require.Equal(t, int64(7), st.Head.Height)
	require.True(t, st.TxIndex)

	a, err := c.Assignments(ctx, 3)
	require.NoError(t, err)
	require.Equal(t, int64(7), a.GetHeight())
	require.Equal(t, uint64(5), a.GetAssignments()[0].GetLease().GetId())
	_, err = c.Assignments(ctx, 4)
	require.ErrorIs(t, err, ErrQuery)
	_, err = c.Lease(ctx, 4)
	require.ErrorIs(t, err, ErrNotFound)

	_, err = n.client(t, func(c *Config) { c.ChainID = "other" }).Status(ctx)
	require.ErrorIs(t, err, ErrWrongChain)
	n.mu.Lock()
	n.syncing = true
	n.mu.Unlock()
	_, err = c.Status(ctx)
	require.ErrorIs(t, err, ErrSyncing)
}

func TestBadAnswersAreTyped(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want error
	}{
		"not json":    {"<html>", ErrResponse},
		"rpc error":   {`{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"Internal error","data":"x"}}`, ErrQuery},
		"too large":   {`{"result":"` + strings.Repeat("x", 4096) + `"}`, ErrResponse},
		"wrong shape": {`{"result":[1]}`, ErrResponse},
		"bad number":  {`{"result":{"sync_info":{"latest_block_height":"x"}}}`, ErrResponse},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.answer = func(string) (string, bool) { return tc.body, true }
			_, err := n.client(t, func(c *Config) { c.MaxResponseBytes = 2048 }).Status(t.Context())
			require.ErrorIs(t, err, tc.want)
		})
	}
	n := newNode(t)
	c := n.client(t)
	n.Close()
	_, err := c.Status(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []Config{
		{},
		{RPC: "127.0.0.1:26657", ChainID: "x"},
		{RPC: "tcp://127.0.0.1:1", ChainID: "x"},
		{RPC: "http://127.0.0.1:1"},
		{RPC: "http://127.0.0.1:1", ChainID: "x", Poll: -1},
	} {
		_, err := New(cfg)
		require.ErrorIs(t, err, ErrConfig)
	}
}

// Watch sees each block by event, goes on by polling without events, and subscribes again after a loss.
func TestWatchSurvivesLostEvents(t *testing.T) {
	n := newNode(t)
	c := n.client(t)
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var seen []int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Watch(ctx, func(h Header) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, h.Height)
		})
	}()
	last := func() int64 {
		mu.Lock()
		defer mu.Unlock()
		if len(seen) == 0 {
			return 0
		}
		return seen[len(seen)-1]
	}
	eventually(t, "subscription", func() bool { return n.subscribed() == 1 })
	n.block()
	eventually(t, "event", func() bool { return last() == 8 })
	n.mu.Lock()
	n.noEvents = true
	n.mu.Unlock()
	n.block()
	eventually(t, "poll", func() bool { return last() == 9 })
	n.mu.Lock()
	n.noEvents = false
	n.mu.Unlock()
	n.dropSubs()
	eventually(t, "second subscription", func() bool { return n.subscribed() == 1 })
	n.block()
	eventually(t, "event after the loss", func() bool { return last() == 10 })
	cancel()
	<-done
	mu.Lock()
	defer mu.Unlock()
	for i := 1; i < len(seen); i++ {
		require.Greater(t, seen[i], seen[i-1], "a height twice")
	}
}

func TestEventsFromStrangers(t *testing.T) {
	for _, raw := range []string{"", "x", `{"result":5}`, `{"result":{"data":{"value":{"header":{"height":"x"}}}}}`, `{"error":{"code":1}}`} {
		_, _, err := decodeEvent([]byte(raw))
		require.Error(t, err, raw)
	}
	_, ok, err := decodeEvent([]byte(`{"result":{}}`))
	require.NoError(t, err)
	require.False(t, ok)
}

func TestSenderBuildsUnorderedTransactions(t *testing.T) {
	n := newNode(t)
	c := n.client(t)
	k, err := key.Generate()
	require.NoError(t, err)
	granter, err := key.Generate()
	require.NoError(t, err)
	s, err := NewSender(c, k, SenderConfig{FeeGranter: granter.Address(), GasPrice: 1000})
	require.NoError(t, err)
	ack := &tasksv1.MsgAcknowledge{Node: k.Address(), LeaseIds: []uint64{1, 2}}
	var hashes []string
	for range 3 {
		sent, err := s.Submit(t.Context(), ack)
		require.NoError(t, err)
		require.WithinDuration(t, n.time.Add(TxLifetime), sent.Expires, 2*time.Second)
		hashes = append(hashes, sent.Hash)
	}
	require.Len(t, n.txs, 3)
	stamps := map[string]bool{}
	for i, raw := range n.txs {
		require.Equal(t, key.TxHash(raw), hashes[i])
		var tx txv1beta1.TxRaw
		var body txv1beta1.TxBody
		var auth txv1beta1.AuthInfo
		require.NoError(t, proto.Unmarshal(raw, &tx))
		require.NoError(t, proto.Unmarshal(tx.BodyBytes, &body))
		require.NoError(t, proto.Unmarshal(tx.AuthInfoBytes, &auth))
		require.True(t, body.Unordered)
		require.Equal(t, granter.Address(), auth.Fee.Granter)
		require.Equal(t, uint64(gasTx+2*gasAcknowledge), auth.Fee.GasLimit)
		require.Equal(t, fmt.Sprint((gasTx+2*gasAcknowledge)*1000), auth.Fee.Amount[0].Amount)
		stamps[body.TimeoutTimestamp.AsTime().String()] = true
	}
	require.Len(t, stamps, 3, "timestamps are the nonces")

	_, err = s.Confirm(t.Context(), hashes[0])
	require.ErrorIs(t, err, ErrPending)
	n.mu.Lock()
	n.included = true
	n.txCode[hashes[1]] = [2]any{"tasks", 13}
	n.txCode[hashes[2]] = [2]any{"sdk", 11}
	n.mu.Unlock()
	got, err := s.Confirm(t.Context(), hashes[0])
	require.NoError(t, err)
	require.Equal(t, Receipt{Hash: hashes[0], Height: 9, GasWanted: 200000, GasUsed: 123456}, got)
	_, err = s.Confirm(t.Context(), hashes[1])
	require.ErrorIs(t, err, ErrCustody)
	require.ErrorIs(t, err, ErrTx)
	_, err = s.Confirm(t.Context(), hashes[2])
	require.ErrorIs(t, err, ErrOutOfGas)
	_, err = s.Confirm(t.Context(), "x' OR tx.height>0 AND tx.hash='")
	require.ErrorIs(t, err, ErrConfig)

	// After running out of gas the next transaction is simulated.
	_, err = s.Submit(t.Context(), ack)
	require.NoError(t, err)
	var tx txv1beta1.TxRaw
	var auth txv1beta1.AuthInfo
	require.NoError(t, proto.Unmarshal(n.txs[len(n.txs)-1], &tx))
	require.NoError(t, proto.Unmarshal(tx.AuthInfoBytes, &auth))
	require.Equal(t, uint64(1_500_000), auth.Fee.GasLimit)
}

func TestRefusalsAtTheDoorAreTyped(t *testing.T) {
	n := newNode(t)
	c := n.client(t)
	k, err := key.Generate()
	require.NoError(t, err)
	s, err := NewSender(c, k, SenderConfig{GasPrice: 1})
	require.NoError(t, err)
	for _, tc := range []struct {
		space string
		code  int
		want  error
	}{
		{"sdk", 4, ErrUnauthorized},
		{"sdk", 13, ErrFee},
		{"sdk", 20, ErrBusy},
		{"feegrant", 5, ErrFunds},
		{"tasks", 10, ErrLease},
		{"tasks", 12, ErrResult},
		{"tasks", 999, ErrTx},
		{"unknown", 1, ErrTx},
	} {
		n.mu.Lock()
		n.door = [2]any{tc.space, tc.code}
		n.mu.Unlock()
		_, err := s.Submit(t.Context(), &tasksv1.MsgRefreshOffer{Node: k.Address()})
		require.ErrorIs(t, err, tc.want, "%s/%d", tc.space, tc.code)
		var te *TxError
		require.ErrorAs(t, err, &te)
		require.Equal(t, uint32(tc.code), te.Code)
	}
	_, err = NewSender(c, k, SenderConfig{FeeGranter: "nexa1bad"})
	require.ErrorIs(t, err, ErrConfig)
}

func TestSkew(t *testing.T) {
	now := time.Now()
	for _, tc := range []struct {
		off  time.Duration
		skew bool
	}{{0, false}, {5 * time.Second, false}, {-5 * time.Second, false}, {10 * time.Minute, true}, {-10 * time.Minute, true}, {MaxSkew, true}} {
		err := CheckSkew(Header{Height: 1, Time: now, Seen: now.Add(tc.off)})
		require.Equal(t, tc.skew, errors.Is(err, ErrClockSkew), "%s", tc.off)
	}
}

// A chain that stands still says nothing about the clock.
func TestFreshHeaderNeedsANewBlock(t *testing.T) {
	n := newNode(t)
	n.time = time.Now().Add(-time.Hour)
	c := n.client(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.FreshHeader(ctx, 5*time.Millisecond)
	require.ErrorIs(t, err, ErrStale)

	found := make(chan Header, 1)
	go func() {
		h, err := c.FreshHeader(t.Context(), 5*time.Millisecond)
		if err == nil {
			found <- h
		}
	}()
	var h Header
	eventually(t, "fresh header", func() bool {
		n.block()
		select {
		case h = <-found:
			return true
		default:
			return false
		}
	})
	require.NoError(t, CheckSkew(h))
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add([]byte(`{"result":{"data":{"value":{"header":{"height":"8","time":"2026-01-01T00:00:00Z"}}}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, ok, err := decodeEvent(raw)
		if ok && (err != nil || h.Height <= 0) {
			t.Fatalf("accepted %q as height %d", raw, h.Height)
		}
	})
}
