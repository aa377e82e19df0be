package chain

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	authv1beta1 "cosmossdk.io/api/cosmos/auth/v1beta1"
	abciv1beta1 "cosmossdk.io/api/cosmos/base/abci/v1beta1"
	txv1beta1 "cosmossdk.io/api/cosmos/tx/v1beta1"
	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/nexara/nexara/node/key"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node answers as CometBFT does; the shapes were recorded from version 0.40.
type node struct {
	*httptest.Server
	mu       sync.Mutex
	height   int64
	time     time.Time
	chain    string
	syncing  bool
	subs     map[*websocket.Conn]bool
	noEvents bool
	txs      [][]byte
	txCode   map[string][2]any // hash -> codespace, code in block
	door     [2]any            // codespace, code at the door
	included bool
	answer   func(method string) (string, bool)
}

func newNode(t *testing.T) *node {
	n := &node{height: 7, time: time.Now().UTC(), chain: "test-1", subs: map[*websocket.Conn]bool{}, txCode: map[string][2]any{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/", n.rpc)
	mux.HandleFunc("/websocket", n.websocket)
	n.Server = httptest.NewServer(mux)
	t.Cleanup(func() { n.dropSubs(); n.Close() })
	return n
}

func (n *node) client(t *testing.T, change ...func(*Config)) *Client {
	cfg := Config{RPC: n.URL, ChainID: "test-1", Timeout: 2 * time.Second, Poll: 50 * time.Millisecond}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func (n *node) rpc(w http.ResponseWriter, r *http.Request) {
	var q struct {
		ID     int64                      `json:"id"`
		Method string                     `json:"method"`
		Params map[string]json.RawMessage `json:"params"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.answer != nil {
		if s, ok := n.answer(q.Method); ok {
			fmt.Fprint(w, s)
			return
		}
	}
	str := func(name string) string {
		var s string
		_ = json.Unmarshal(q.Params[name], &s)
		return s
	}
	result := "{}"
	switch q.Method {
	case "status":
		result = fmt.Sprintf(`{"node_info":{"network":%q,"moniker":"v0","other":{"tx_index":"on","rpc_address":"tcp://x"}},`+
			`"sync_info":{"latest_block_hash":"AB","latest_block_height":"%d","latest_block_time":%q,"catching_up":%v},"validator_info":{}}`,
			n.chain, n.height, n.time.Format(time.RFC3339Nano), n.syncing)
	case "abci_query":
		data, _ := hex.DecodeString(str("data"))
		result = n.query(str("path"), data)
	case "broadcast_tx_sync":
		tx, _ := base64.StdEncoding.DecodeString(str("tx"))
		space, code := "", 0
		if n.door[0] != nil {
			space, code = n.door[0].(string), n.door[1].(int)
		} else {
			n.txs = append(n.txs, tx)
		}
		result = fmt.Sprintf(`{"code":%d,"data":"","log":"said no","codespace":%q,"hash":%q}`, code, space, key.TxHash(tx))
	case "tx_search":
		hash := strings.TrimSuffix(strings.TrimPrefix(str("query"), "tx.hash='"), "'")
		result = `{"txs":[],"total_count":"0"}`
		if n.included {
			space, code := "", 0
			if v, ok := n.txCode[hash]; ok {
				space, code = v[0].(string), v[1].(int)
			}
			result = fmt.Sprintf(`{"txs":[{"hash":%q,"height":"9","index":0,"tx_result":{"code":%d,"data":null,"log":"","info":"",`+
				`"gas_wanted":"200000","gas_used":"123456","events":[],"codespace":%q},"tx":"AA=="}],"total_count":"1"}`, hash, code, space)
		}
	default:
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%d,"error":{"code":-32601,"message":"Method not found","data":""}}`, q.ID)
		return
	}
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%d,"result":%s}`, q.ID, result)
}

func (n *node) query(path string, data []byte) string {
	value := func(m proto.Message) string {
		b, err := proto.Marshal(m)
		if err != nil {
			panic(err)
		}
		return fmt.Sprintf(`{"response":{"code":0,"log":"","info":"","index":"0","key":null,"value":%q,"proofOps":null,"height":"%d","codespace":""}}`,
			base64.StdEncoding.EncodeToString(b), n.height)
	}
	fail := func(space string, code int) string {
		return fmt.Sprintf(`{"response":{"code":%d,"log":"gone","info":"","index":"0","key":null,"value":null,"proofOps":null,"height":"%d","codespace":%q}}`,
			code, n.height, space)
	}
	switch path {
	case "/nexara.tasks.v1.Query/Assignments":
		var q tasksv1.QueryAssignmentsRequest
		if proto.Unmarshal(data, &q) != nil || q.NexcoreId != 3 {
			return fail("sdk", 18)
		}
		return value(&tasksv1.QueryAssignmentsResponse{Height: n.height, Assignments: []*tasksv1.Assignment{{Lease: &tasksv1.Lease{Id: 5}}}})
	case "/cosmos.auth.v1beta1.Query/AccountInfo":
		return value(&authv1beta1.QueryAccountInfoResponse{Info: &authv1beta1.BaseAccount{AccountNumber: 42}})
	case "/cosmos.tx.v1beta1.Service/Simulate":
		return value(&txv1beta1.SimulateResponse{GasInfo: &abciv1beta1.GasInfo{GasUsed: 1_000_000}})
	default:
		return fail("sdk", 22)
	}
}

func (n *node) websocket(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	var q struct {
		ID     int64             `json:"id"`
		Method string            `json:"method"`
		Params map[string]string `json:"params"`
	}
	if conn.ReadJSON(&q) != nil || q.Method != "subscribe" || q.Params["query"] != headerQuery {
		conn.Close()
		return
	}
	n.mu.Lock()
	_ = conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"result":{}}`, q.ID))
	n.subs[conn] = true
	n.mu.Unlock()
	for { // reads until the peer leaves, as the real server does
		if _, _, err := conn.ReadMessage(); err != nil {
			n.mu.Lock()
			delete(n.subs, conn)
			n.mu.Unlock()
			conn.Close()
			return
		}
	}
}

func (n *node) dropSubs() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.subs {
		c.Close()
	}
}

func (n *node) subscribed() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.subs)
}

func (n *node) block() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.height++
	n.time = time.Now().UTC()
	if n.noEvents {
		return
	}
	for c := range n.subs {
		_ = c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil,
			`{"jsonrpc":"2.0","id":1,"result":{"query":%q,"data":{"type":"tendermint/event/NewBlockHeader","value":{"header":`+
				`{"version":{"block":"11"},"chain_id":"test-1","height":"%d","time":%q}}},"events":{"tm.event":["NewBlockHeader"]}}}`,
			headerQuery, n.height, n.time.Format(time.RFC3339Nano)))
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

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
		{}, {RPC: "127.0.0.1:26657", ChainID: "x"}, {RPC: "tcp://127.0.0.1:1", ChainID: "x"},
		{RPC: "http://127.0.0.1:1"}, {RPC: "http://127.0.0.1:1", ChainID: "x", Poll: -1},
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
		{"sdk", 4, ErrUnauthorized}, {"sdk", 13, ErrFee}, {"sdk", 20, ErrBusy}, {"feegrant", 5, ErrFunds},
		{"tasks", 10, ErrLease}, {"tasks", 12, ErrResult}, {"tasks", 999, ErrTx}, {"unknown", 1, ErrTx},
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
