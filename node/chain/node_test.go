package chain

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
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
	var result string
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
