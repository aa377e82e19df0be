package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/file"
	"github.com/nexara/nexara/node/chain"
	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/driver/wasm"
	"github.com/nexara/nexara/node/key"
	"github.com/nexara/nexara/node/lease"
	"github.com/nexara/nexara/node/offer"
	"github.com/nexara/nexara/node/store"
	nexcorev1 "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rpc is a node that makes a block at every question and knows no record.
func rpc(t *testing.T, skew time.Duration) string {
	var height atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if bytes.Contains(body, []byte(`"status"`)) {
			fmt.Fprintf(w, `{"result":{"node_info":{"network":"t-1","moniker":"x","other":{"tx_index":"on"}},"sync_info":{"latest_block_height":"%d","latest_block_time":%q}}}`,
				height.Add(1), time.Now().Add(skew).UTC().Format(time.RFC3339Nano))
			return
		}
		fmt.Fprint(w, `{"result":{"response":{"code":22,"codespace":"sdk","log":"not found"}}}`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func newProvider(t *testing.T, rpcURL string) (*Provider, Home) {
	dir, err := os.MkdirTemp("", "np") // short: the socket's path is bounded
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := Home(dir)
	log := slog.New(slog.DiscardHandler)
	k, err := key.Generate()
	require.NoError(t, err)
	st, err := file.Open(file.Config{Dir: h.Blobs(), MaxBytes: 64 << 20, Logger: log})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	j, err := store.Open(store.Config{Path: h.Journal()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	d, err := wasm.New(wasm.Config{Dir: h.Runs("wasm")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	cfg := Default()
	cfg.Chain = ChainConfig{ID: "t-1", RPC: rpcURL, Operator: k.Address(), GasPrice: 1}
	p, err := New(cfg, Deps{
		Home: h, Key: k, Drivers: []driver.Driver{d}, Store: st, Fetcher: nowhere{}, Journal: j, Logger: log, Version: "test",
		Machine: func(context.Context) (offer.Machine, error) {
			return offer.Machine{CPUMilli: 1000, MemoryMiB: 512}, nil
		},
	})
	require.NoError(t, err)
	return p, h
}

type nowhere struct{ blob.Fetcher }

func TestLocalAPI(t *testing.T) {
	p, h := newProvider(t, rpc(t, 0))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	c, err := NewClient(h)
	require.NoError(t, err)
	defer c.Close()
	s, err := c.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, "test", s.Version)
	require.Zero(t, s.NexCore)
	require.Empty(t, s.Leases)
	require.NoError(t, c.Drain(t.Context()))
	require.True(t, p.offers.drain.Load())
	var nothing any
	require.Error(t, c.do(t.Context(), http.MethodGet, "/logs/1/0", &nothing))
	require.Error(t, c.do(t.Context(), http.MethodGet, "/logs/x/0", &nothing))
	info, err := os.Stat(h.Socket())
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077, "the socket is the owner's")
	cancel()
	require.NoError(t, <-done)
	_, err = NewClient(h)
	require.ErrorIs(t, err, ErrNotRunning)
}

func TestStartRefusesAWrongClock(t *testing.T) {
	for _, skew := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		p, _ := newProvider(t, rpc(t, skew))
		require.ErrorIs(t, p.Run(t.Context()), chain.ErrClockSkew)
	}
	p, _ := newProvider(t, rpc(t, 5*time.Second))
	require.NoError(t, p.checkClock(t.Context()))
	require.NoError(t, p.Close())
}

// A clock that goes wrong later is seen at the next blocks, and the offer goes until it is right.
func TestClockGoesWrong(t *testing.T) {
	p, _ := newProvider(t, rpc(t, 0))
	defer p.Close()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	block := func(height int64, made, seen time.Duration) {
		p.clock.see(chain.Header{Height: height, Time: at.Add(made), Seen: at.Add(seen)})
	}
	p.offers.record = &nexcorev1.NexCore{Status: nexcorev1.Status_STATUS_ACTIVE}
	p.offers.terms, p.offers.ttl = &offer.Terms{Capacity: &tasksv1.Resources{CpuMilli: 1}}, 100
	standing := &tasksv1.Offer{ExpiresHeight: 1000}
	does := func(why string, with, without offer.Action) {
		t.Helper()
		p.offers.offer = standing
		got, _ := p.offers.decide(50)
		require.Equal(t, with, got, why)
		p.offers.offer = nil
		got, _ = p.offers.decide(50)
		require.Equal(t, without, got, why)
	}
	const h = time.Hour
	block(1, 0, 2*h)
	does("one old block says nothing: the chain may stand", offer.Post, offer.Post)
	block(2, 2*h, 2*h+time.Second)
	does("right", offer.Post, offer.Post)
	block(3, 2*h+time.Second, 5*h)
	block(4, 5*h, 5*h+time.Second)
	does("the chain stood for hours", offer.Post, offer.Post)
	block(5, 5*h+time.Second, 5*h+2*time.Minute+time.Second)
	block(6, 5*h+2*time.Second, 5*h+2*time.Minute+2*time.Second)
	does("two minutes ahead", offer.Withdraw, offer.Nothing)
	s := p.Status(t.Context())
	require.Contains(t, s.ClockProblem, "clock skew")
	p.offers.publish(lease.Head{Height: 50})
	require.Contains(t, p.Status(t.Context()).Offer.Problem, "clock skew")
	block(7, 5*h+3*time.Second, 5*h+3*time.Second)
	block(8, 5*h+4*time.Second, 5*h+4*time.Second)
	does("right again", offer.Post, offer.Post)
	require.Empty(t, p.Status(t.Context()).ClockProblem)
	block(9, 5*h+5*time.Second, 5*h-2*time.Minute)
	does("two minutes behind", offer.Withdraw, offer.Nothing)
}

// The port is open to every program on this machine, browsers among them.
func TestLocalAPIOverTCP(t *testing.T) {
	p, h := newProvider(t, rpc(t, 0))
	require.NoError(t, p.api.close())
	p.cfg.API.Listen = "127.0.0.1:0"
	var err error
	p.api, err = newAPI(p)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	base := "http://" + p.api.listener.Addr().String()
	client := &http.Client{}
	defer client.CloseIdleConnections()
	send := func(method, path, header, value string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, nil)
		require.NoError(t, err)
		req.Header.Set(header, value)
		if header == "Host" {
			req.Host = value
		}
		res, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	for _, path := range []string{"/status", "/metrics"} {
		require.Equal(t, http.StatusForbidden, send(http.MethodGet, path, "Host", "rebound.example"))
	}
	require.Equal(t, http.StatusForbidden, send(http.MethodPost, "/drain", "Origin", "https://page.example"))
	require.Equal(t, http.StatusForbidden, send(http.MethodPost, "/drain", "Origin", "null"))
	require.False(t, p.offers.drain.Load())
	c, err := NewClient(h)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Drain(t.Context()))
	require.True(t, p.offers.drain.Load())
	cancel()
	require.NoError(t, <-done)
}

// stream is a log stream in memory.
type stream struct {
	io.Reader
	bytes.Buffer
}

func (s *stream) Read(b []byte) (int, error)  { return s.Reader.Read(b) }
func (s *stream) SetDeadline(time.Time) error { return nil }

func TestOnlyGatewaysReadLogs(t *testing.T) {
	p, _ := newProvider(t, rpc(t, 0))
	defer p.Close()
	ids := map[string]bool{"gateway": true}
	p.trusted.Store(&ids)
	for _, line := range []string{"", "x\n", `{"lease":1,"shard":0,"offset":0}` + "\n", strings.Repeat("x", 4096), `{"lease":1,"more":2}` + "\n"} {
		for _, peer := range []string{"gateway", "stranger"} {
			s := &stream{Reader: strings.NewReader(line)}
			p.serveLog(peer, s)
			require.Zero(t, s.Buffer.Len())
		}
	}
	_, err := p.openLog(t.Context(), LogRequest{Lease: 1})
	require.ErrorIs(t, err, lease.ErrUnknown)
}

func TestConfig(t *testing.T) {
	h := Home(t.TempDir())
	_, err := Load(h)
	require.ErrorIs(t, err, os.ErrNotExist)
	want := Default()
	want.Chain.Operator, want.Leases.Grace = "nexa1x", 90*time.Minute
	want.Blobs.Peers, want.Blobs.Announce = []string{"/ip4/127.0.0.1/tcp/1/p2p/x"}, []string{}
	require.NoError(t, want.Save(h))
	got, err := Load(h)
	require.NoError(t, err)
	wantJSON, err := json.Marshal(want)
	require.NoError(t, err)
	gotJSON, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, string(wantJSON), string(gotJSON))
	info, err := os.Stat(h.Config())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	for name, change := range map[string]func(*Config){
		"chain id": func(c *Config) { c.Chain.ID = "" }, "rpc": func(c *Config) { c.Chain.RPC = "x" },
		"operator": func(c *Config) { c.Chain.Operator = "" }, "region": func(c *Config) { c.Region = "EU West" },
		"gateways": func(c *Config) { c.Gateway.URLs = nil }, "gateway": func(c *Config) { c.Gateway.URLs = []string{"x"} },
		"mode": func(c *Config) { c.Blobs.Mode = "ftp" }, "size": func(c *Config) { c.Blobs.MaxMiB = 1 },
		"drivers": func(c *Config) { c.Drivers = DriverConfig{} }, "api": func(c *Config) { c.API.Listen = "0.0.0.0:80" },
		"level": func(c *Config) { c.Log.Level = "loud" }, "format": func(c *Config) { c.Log.Format = "xml" },
		"grace": func(c *Config) { c.Leases.Grace = -1 }, "offer": func(c *Config) { c.Offer.SharePercent = 0 },
	} {
		c := want
		change(&c)
		require.ErrorIs(t, c.Validate(), ErrConfig, name)
	}
	for _, text := range []string{"chain: {id: x, unknown: 1}", "nonsense: 1", strings.Repeat("# x\n", 20_000)} {
		require.NoError(t, os.WriteFile(h.Config(), []byte(text), 0o600))
		_, err := Load(h)
		require.ErrorIs(t, err, ErrConfig)
	}
}

func TestFates(t *testing.T) {
	for err, want := range map[error]lease.Fate{
		nil: lease.FatePending, chain.ErrLease: lease.FateLease, chain.ErrCustody: lease.FateCustody, chain.ErrResult: lease.FateFinal,
		chain.ErrBusy: lease.FateRetry, chain.ErrUnreachable: lease.FateRetry, errors.New("x"): lease.FateRetry,
	} {
		require.Equal(t, want, fate(err), "%v", err)
	}
}
