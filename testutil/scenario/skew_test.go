package scenario

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

// skewed stands between one NexCore and the node and moves every block time that passes, so that the
// machine's clock is ahead of the chain's by so much, or behind when negative. Everything else passes as it
// is. A real machine with a wrong clock sees the same: times of blocks that do not agree with its own.
type skewed struct {
	node   *url.URL
	ahead  atomic.Int64 // nanoseconds
	server *httptest.Server
}

// maxAnswer bounds what the proxy reads of one answer of the node.
const maxAnswer = 16 << 20

func newSkewed(t *testing.T) *skewed {
	s := &skewed{}
	s.server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		s.server.CloseClientConnections()
		s.server.Close()
	})
	return s
}

// via starts the proxy before the node and gives its address.
func (s *skewed) via(rpc string) (string, error) {
	var err error
	s.node, err = url.Parse(rpc)
	s.server.Start()
	return s.server.URL, err
}

func (s *skewed) serve(w http.ResponseWriter, r *http.Request) {
	if websocket.IsWebSocketUpgrade(r) {
		s.events(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	proxy := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(s.node)
			p.Out.Header.Set("Accept-Encoding", "identity")
		},
		ModifyResponse: func(res *http.Response) error {
			answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
			if err == nil {
				answer, err = s.answer(body, answer)
			}
			res.Body = io.NopCloser(bytes.NewReader(answer))
			res.ContentLength = int64(len(answer))
			res.Header.Set("Content-Length", strconv.Itoa(len(answer)))
			return err
		},
	}
	proxy.ServeHTTP(w, r)
}

// events passes the websocket of block events.
func (s *skewed) events(w http.ResponseWriter, r *http.Request) {
	node, res, err := websocket.DefaultDialer.DialContext(r.Context(), "ws://"+s.node.Host+r.URL.Path, nil)
	if res != nil && res.Body != nil {
		defer res.Body.Close()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer node.Close()
	daemon, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer daemon.Close()
	go func() {
		defer node.Close()
		pass(node, daemon, func(b []byte) []byte { return b })
	}()
	pass(daemon, node, s.shift)
}

// pass copies messages until one side is gone.
func pass(to, from *websocket.Conn, change func([]byte) []byte) {
	for {
		kind, raw, err := from.ReadMessage()
		if err != nil || to.WriteMessage(kind, change(raw)) != nil {
			return
		}
	}
}

// blockTime is a block time in the node's JSON: of the status and of headers.
var blockTime = regexp.MustCompile(`"(latest_block_time|time)":\s*"([^"]+)"`)

func (s *skewed) shift(raw []byte) []byte {
	return blockTime.ReplaceAllFunc(raw, func(match []byte) []byte {
		part := blockTime.FindSubmatch(match)
		at, err := time.Parse(time.RFC3339Nano, string(part[2]))
		if err != nil {
			return match
		}
		return []byte(`"` + string(part[1]) + `":"` + at.Add(-time.Duration(s.ahead.Load())).Format(time.RFC3339Nano) + `"`)
	})
}

// answer moves the times in the answer of one call. Assignments carry block time inside their bytes.
func (s *skewed) answer(request, answer []byte) ([]byte, error) {
	if !strings.Contains(string(request), "/nexara.tasks.v1.Query/Assignments") {
		return s.shift(answer), nil
	}
	var envelope map[string]json.RawMessage
	var result map[string]map[string]any
	if err := json.Unmarshal(answer, &envelope); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(envelope["result"], &result); err != nil {
		return answer, nil //nolint:nilerr // an error of the node passes as it is
	}
	text, _ := result["response"]["value"].(string)
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) == 0 {
		return answer, err
	}
	var list tasksv1.QueryAssignmentsResponse
	if err := proto.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	list.TimeUnixMs -= time.Duration(s.ahead.Load()).Milliseconds()
	if raw, err = proto.Marshal(&list); err != nil {
		return nil, err
	}
	result["response"]["value"] = base64.StdEncoding.EncodeToString(raw)
	if envelope["result"], err = json.Marshal(result); err != nil {
		return nil, err
	}
	return json.Marshal(envelope)
}

// A NexCore whose clock is 5 s off works, in both directions. One that is 10 minutes off is told so by doctor
// and refuses to start, and works again once its clock is right.
func TestClockSkew(t *testing.T) {
	proxy := newSkewed(t)
	list := machines(1)
	list[0].Via = proxy.via
	proxy.ahead.Store(int64(5 * time.Second))
	w, ctx := startWith(t, Options{Dir: t.TempDir(), Driver: "wasm", NexCores: list})
	m := w.Machines[0]
	works := func(ahead time.Duration) {
		t.Helper()
		id, err := w.Submit(ctx, jobFile(t, 2, 1, ""))
		require.NoError(t, err)
		settle(t, ctx, w, id)
		leases, err := w.Leases(ctx, id)
		require.NoError(t, err)
		require.Len(t, leases, 1, "%+v", leases)
		status, err := w.Status(ctx, m)
		require.NoError(t, err)
		require.InDelta(t, ahead.Milliseconds(), status["skew_ms"], 3_000, "the daemon sees this skew and block time's own lag")
	}
	// clock is what doctor finds about the clock, and whether it passes as a whole.
	clock := func() (level, text string, fit bool) {
		t.Helper()
		cmd := exec.CommandContext(ctx, w.bin("nexcore"), "doctor", "--home", m.Home, "--output", "json")
		out, err := cmd.Output()
		if exit := (*exec.ExitError)(nil); err != nil {
			require.ErrorAs(t, err, &exit)
		}
		var findings []struct{ Level, Check, Text string }
		require.NoError(t, json.Unmarshal(out, &findings), "%s", out)
		for _, f := range findings {
			if f.Check == "clock" {
				return f.Level, f.Text, err == nil
			}
		}
		require.Fail(t, "no finding about the clock", "%s", out)
		return "", "", false
	}

	works(5 * time.Second)
	level, _, fit := clock()
	require.Equal(t, "ok", level)
	require.True(t, fit)
	proxy.ahead.Store(int64(-5 * time.Second))
	require.NoError(t, m.Stop(stopTimeout))
	require.NoError(t, m.Start())
	works(-5 * time.Second)

	require.NoError(t, m.Stop(stopTimeout))
	for _, c := range []struct {
		ahead time.Duration
		says  string
	}{{10 * time.Minute, "ahead of the chain's"}, {-10 * time.Minute, "behind the chain's"}} {
		proxy.ahead.Store(int64(c.ahead))
		level, text, fit := clock()
		require.Equal(t, "fail", level)
		require.Contains(t, text, c.says)
		require.False(t, fit)
		_, err := w.run(ctx, "nexcore", "start", "--home", m.Home)
		exit := (*exec.ExitError)(nil)
		require.ErrorAs(t, err, &exit, "it does not start")
		require.Equal(t, 1, exit.ExitCode())
		require.ErrorContains(t, err, c.says)
	}

	proxy.ahead.Store(0)
	require.NoError(t, m.Start())
	works(0)
}
