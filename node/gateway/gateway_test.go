package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/blobtest"
	nexcorev1 "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

// stream is a NexCore's log: what was asked, and what it answers.
type stream struct {
	io.Reader
	mu     sync.Mutex
	asked  string
	closed chan struct{}
	once   sync.Once
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked += string(p)
	return len(p), nil
}

func (s *stream) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// endless is a log that never ends, until it is closed.
type endless struct{ s *stream }

func (e endless) Read(p []byte) (int, error) {
	select {
	case <-e.s.closed:
		return 0, io.ErrClosedPipe
	default:
		return len(p), nil
	}
}

type streams struct {
	open func() (io.ReadWriteCloser, error)
	mu   sync.Mutex
	to   []string
}

func (s *streams) OpenStream(_ context.Context, addrs []string, protocol string) (io.ReadWriteCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = append([]string{protocol}, addrs...)
	return s.open()
}

func logLedger() *fakeLedger {
	return &fakeLedger{
		leases:   map[uint64]*tasksv1.Lease{9: {Id: 9, NexcoreId: 5}, 8: {Id: 8, NexcoreId: 4}},
		nexcores: map[uint64]*nexcorev1.NexCore{5: {Id: 5, Spec: &nexcorev1.Spec{Multiaddrs: []string{"/ip4/192.0.2.1/tcp/1/p2p/me"}}}},
	}
}

// front is the whole gateway as it listens, with a short time to stand still.
func front(t *testing.T, h Handlers) string {
	t.Helper()
	if h.Blobs == nil {
		h.Blobs = http.NotFoundHandler()
	}
	if h.Custody == nil {
		h.Custody = http.NotFoundHandler()
	}
	if h.Logs == nil {
		h.Logs = http.NotFoundHandler()
	}
	h.Status = func(context.Context) any { return map[string]string{"chain_id": testChain} }
	s, err := Listen("127.0.0.1:0", h, quietLog)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	return s.Addr()
}

func TestLogs(t *testing.T) {
	for _, c := range []struct {
		name, path string
		change     func(*fakeLedger, *streams)
		status     int
		want       string
	}{
		{"a log", "/v1/logs/9/2?offset=3", nil, 200, "hello\n"},
		{"from the start", "/v1/logs/9/2", nil, 200, "hello\n"},
		{"no number", "/v1/logs/x/2", nil, 400, "bad_request"},
		{"a shard below nought", "/v1/logs/9/-2", nil, 400, "bad_request"},
		{"an offset below nought", "/v1/logs/9/2?offset=-1", nil, 400, "bad_request"},
		{"an offset that is no number", "/v1/logs/9/2?offset=end", nil, 400, "bad_request"},
		{"an unknown lease", "/v1/logs/10/2", nil, 404, "no_such_lease"},
		{"an unknown NexCore", "/v1/logs/8/2", nil, 404, "no_such_lease"},
		{"a chain out of reach", "/v1/logs/9/2", func(l *fakeLedger, _ *streams) { l.down = errors.New("no route") }, 503, "unavailable"},
		{"a NexCore out of reach", "/v1/logs/9/2", func(_ *fakeLedger, s *streams) {
			s.open = func() (io.ReadWriteCloser, error) { return nil, errors.New("no route") }
		}, 503, "unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			far := &stream{Reader: strings.NewReader("hello\n"), closed: make(chan struct{})}
			ledger, to := logLedger(), &streams{open: func() (io.ReadWriteCloser, error) { return far, nil }}
			if c.change != nil {
				c.change(ledger, to)
			}
			res, err := httpClient(t).Get("http://" + front(t, Handlers{Logs: LogHandler(ledger, to, nil)}) + c.path)
			require.NoError(t, err)
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.Equal(t, c.status, res.StatusCode)
			require.Contains(t, string(body), c.want)
			if c.status == 200 {
				require.Equal(t, []string{LogProtocol, "/ip4/192.0.2.1/tcp/1/p2p/me"}, to.to)
				offset := 0
				if strings.Contains(c.path, "offset") {
					offset = 3
				}
				require.Equal(t, fmt.Sprintf(`{"lease":9,"shard":2,"offset":%d}`, offset)+"\n", far.asked)
				<-far.closed
			}
		})
	}
}

// A client that asks for a log and reads nothing loses its connection, and so many are served at a time.
func TestLogsAreBounded(t *testing.T) {
	opened := make(chan *stream, maxLogStreams+1)
	to := &streams{open: func() (io.ReadWriteCloser, error) {
		s := &stream{closed: make(chan struct{})}
		s.Reader = endless{s}
		opened <- s
		return s, nil
	}}
	m, err := NewMetrics(blobStore(t, t.TempDir(), 1<<20))
	require.NoError(t, err)
	addr := front(t, Handlers{Logs: LogHandler(logLedger(), to, m), Metrics: m, Stall: 200 * time.Millisecond})
	var first *stream
	for range maxLogStreams {
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		defer conn.Close()
		// A small window, so that the answer stands still at once.
		require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4<<10))
		_, err = fmt.Fprint(conn, "GET /v1/logs/9/2 HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		s := <-opened
		if first == nil {
			first = s
		}
	}
	select {
	case <-first.closed:
	case <-time.After(logTimeout / 2):
		t.Fatal("a client that reads nothing is served on")
	}
}

// The cap itself: with every slot taken the next is told to come again.
func TestLogsHaveACap(t *testing.T) {
	hold := make(chan struct{})
	entered := make(chan struct{}, maxLogStreams)
	to := &streams{open: func() (io.ReadWriteCloser, error) {
		return &stream{Reader: waiting{entered, hold}, closed: make(chan struct{})}, nil
	}}
	h := LogHandler(logLedger(), to, nil)
	ask := func() *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/v1/logs/9/2", nil)
		r.SetPathValue("lease", "9")
		r.SetPathValue("shard", "2")
		w := httptest.NewRecorder()
		h(w, r)
		return w
	}
	var wg sync.WaitGroup
	for range maxLogStreams {
		wg.Go(func() { ask() })
	}
	for range maxLogStreams {
		<-entered
	}
	w := ask()
	require.Equal(t, 503, w.Code)
	require.Contains(t, w.Body.String(), `"code":"busy"`)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	close(hold)
	wg.Wait()
	require.Equal(t, 200, ask().Code)
}

type waiting struct{ entered, hold chan struct{} }

func (w waiting) Read([]byte) (int, error) {
	select {
	case w.entered <- struct{}{}:
	default:
	}
	<-w.hold
	return 0, io.EOF
}

// On every route a request whose body stops coming ends, read by its handler or not.
func TestBodiesMayNotStandStill(t *testing.T) {
	st := blobStore(t, t.TempDir(), 1<<20)
	blobs, err := NewBlobHandler(BlobConfig{Store: st, Stall: 200 * time.Millisecond, Logger: quietLog})
	require.NoError(t, err)
	b := newBench(t)
	addr := front(t, Handlers{Blobs: blobs, Custody: b, Logs: LogHandler(logLedger(), &streams{}, nil), Stall: 200 * time.Millisecond})
	for _, line := range []string{
		"POST /v1/custody", "POST /v1/car", "GET /v1/status", "GET /healthz", "GET /v1/logs/10/1", "GET /ipfs/x?format=raw", "GET /nothing", "POST /healthz",
	} {
		t.Run(line, func(t *testing.T) {
			conn, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
			_, err = fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{", line)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, conn) // to the end of the connection
			require.NoError(t, err, "the gateway still waits")
		})
	}
}

// Time that a handler spends between reading and answering is not standing still, and a connection used before is as
// good as new.
func TestSlowHandlersAnswer(t *testing.T) {
	stall := 100 * time.Millisecond
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		timer := time.NewTimer(4 * stall) // the story itself
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			t.Error("cancelled while the client waits")
		}
		writeJSON(w, http.StatusOK, "done")
	})
	addr := front(t, Handlers{Custody: slow, Stall: stall})
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	in := bufio.NewReader(conn)
	for range 2 {
		_, err := fmt.Fprint(conn, "POST /v1/custody HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
		require.NoError(t, err)
		res, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.Equal(t, "\"done\"\n", string(body))
	}
}

// The address must be loopback: nothing here asks who uploads.
func TestListenIsLocal(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", "192.0.2.1:0", "localhost:0", "127.0.0.1", ""} {
		_, err := Listen(address, Handlers{}, quietLog)
		require.ErrorIs(t, err, ErrRequest, address)
	}
}

// /metrics counts what was answered, for programs of this machine.
func TestMetrics(t *testing.T) {
	m, err := NewMetrics(blobStore(t, t.TempDir(), 1<<20))
	require.NoError(t, err)
	url, client := "http://"+front(t, Handlers{Metrics: m}), httpClient(t)
	get := func(path string, header ...string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		require.NoError(t, err)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		res, err := client.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, string(body)
	}
	get("/healthz")
	get("/v1/status")
	get("/nowhere")
	status, text := get("/metrics")
	require.Equal(t, 200, status)
	for _, line := range []string{
		`nexgate_requests_total{route="GET /healthz",status="204"} 1`, `nexgate_requests_total{route="GET /v1/status",status="200"} 1`,
		`nexgate_requests_total{route="none",status="404"} 1`, "nexgate_custody_bytes_total 0", "nexgate_custody_seconds_count 0", "nexgate_log_streams 0",
		"nexgate_blocks 0", "nexgate_blob_bytes 0", "nexgate_pins 0",
	} {
		require.Contains(t, text, line+"\n")
	}
	status, _ = get("/metrics", "X-Forwarded-For", "192.0.2.1")
	require.Equal(t, 403, status)
}

// What is larger than the bound is neither sent, nor fetched to be sent.
func TestDownloadsAreBounded(t *testing.T) {
	ctx := blobtest.Context(t)
	far, near := blobStore(t, t.TempDir(), 64<<20), blobStore(t, t.TempDir(), 64<<20)
	big, err := blob.AddBytes(ctx, far, blobtest.Bytes(3<<20, 7))
	require.NoError(t, err)
	small, err := blob.AddBytes(ctx, far, blobtest.Bytes(1<<20, 8))
	require.NoError(t, err)
	here := blobServer(t, BlobConfig{Store: far, MaxDownload: 2 << 20})
	source := blobServer(t, BlobConfig{Store: far})
	through := blobServer(t, BlobConfig{Store: near, Fetcher: remoteOf(t, near, source.URL), FetchTimeout: time.Minute, MaxDownload: 2 << 20})
	for _, base := range []string{here.URL, through.URL} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			for c, want := range map[string]int{big.CID.String(): 413, small.CID.String(): 200} {
				r, err := http.NewRequestWithContext(ctx, method, base+"/ipfs/"+c+"?format=car", nil)
				require.NoError(t, err)
				res, err := httpClient(t).Do(r)
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, res.Body)
				require.NoError(t, err)
				res.Body.Close()
				require.Equal(t, want, res.StatusCode, "%s %s", method, base)
			}
		}
	}
	stats, err := near.Stats(ctx)
	require.NoError(t, err)
	require.Less(t, stats.Bytes, int64(5<<20), "not all of it was fetched")
}
