package gateway

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/blobtest"
	"github.com/nexara/nexara/node/key"
	"github.com/nexara/nexara/node/lease"
	"github.com/nexara/nexara/node/result"
	nexcorev1 "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/testutil/malicious"
	"github.com/nexara/nexara/x/tasks/verdict"
)

// An honest result of a lease half of which was run is signed for, as it is: by the real client of node/lease.
func TestCustodySigns(t *testing.T) {
	b := newBench(t)
	srv := httptest.NewServer(b)
	defer srv.Close()
	g, err := lease.NewGateways(lease.GatewaysConfig{URLs: []string{srv.URL}, Sign: b.node.Sign, Addrs: func() []string {
		return append([]string{"", strings.Repeat("x", result.MaxAddrBytes+1)}, slices.Repeat([]string{"/ip4/192.0.2.2/tcp/2/p2p/me"}, 40)...)
	}})
	require.NoError(t, err)
	defer g.Close()
	c := b.build(malicious.Steps{})
	require.Equal(t, verdict.Outcomes{1}, c.Outcomes)
	for range 2 { // a receipt that was lost is given again, and the pin stays one
		receipt, err := g.Vouch(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, b.gate.PublicKey(), receipt.GatewayPubkey)
		msg, err := c.Message()
		require.NoError(t, err)
		require.NoError(t, key.Verify(receipt.GatewayPubkey, msg, receipt.Signature))
		c.Outcomes = verdict.Outcomes{3}
		other, err := c.Message()
		require.NoError(t, err)
		require.ErrorIs(t, key.Verify(receipt.GatewayPubkey, other, receipt.Signature), key.ErrSignature)
		c.Outcomes = verdict.Outcomes{1}
	}
	require.Len(t, b.peers.asks[0], result.MaxRequestAddrs, "the client sends what may be sent")
	pins := b.pins()
	require.Len(t, pins, 1)
	require.Equal(t, "custody/9/"+c.ResultCID, pins[0].Name)
	require.WithinDuration(t, time.Now().Add(time.Hour), pins[0].Until, 10*time.Minute)
	_, err = b.near.GC(t.Context(), 0)
	require.NoError(t, err)
	stat, err := blob.Walk(t.Context(), b.near, pins[0].Root, blob.Limits{}, nil)
	require.NoError(t, err)
	require.Equal(t, c.Bytes, stat.Bytes)
	require.Contains(t, scrape(b.cfg.Metrics), fmt.Sprintf("nexgate_custody_bytes_total %d\n", 2*c.Bytes))
	require.Contains(t, scrape(b.cfg.Metrics), "nexgate_custody_seconds_count 2\n")
}

// Every swapped step of making a result is refused, and nothing of it is kept.
func TestCustodyRefusesResults(t *testing.T) {
	for _, s := range malicious.Swaps() {
		t.Run(s.Name, func(t *testing.T) {
			b := newBench(t)
			_, err := b.Take(t.Context(), b.request(b.build(s.Steps)))
			require.ErrorIs(t, err, ErrResult)
			require.Empty(t, b.pins())
		})
	}
}

// Every request that is not the NexCore's own, for a live lease, in due form, is refused before a block is fetched.
func TestCustodyRefusesRequests(t *testing.T) {
	stranger, err := key.Generate()
	require.NoError(t, err)
	sign := func(b *bench, r *CustodyRequest, by *key.Key) {
		want, _, err := b.parse(*r)
		require.NoError(t, err)
		msg, err := result.RequestMessage(want, r.Addrs)
		require.NoError(t, err)
		r.Signature = hex.EncodeToString(by.Sign(msg))
	}
	for _, c := range []struct {
		name   string
		change func(*bench, *CustodyRequest)
		want   error
	}{
		{"another chain", func(_ *bench, r *CustodyRequest) { r.ChainID = "test-2" }, ErrRequest},
		{"no bytes", func(_ *bench, r *CustodyRequest) { r.Bytes = 0 }, ErrRequest},
		{"negative bytes", func(_ *bench, r *CustodyRequest) { r.Bytes = -1 }, ErrRequest},
		{"too large", func(b *bench, r *CustodyRequest) { r.Bytes = b.cfg.MaxBytes + 1 }, ErrRequest},
		{"short root", func(_ *bench, r *CustodyRequest) { r.Root = r.Root[2:] }, ErrRequest},
		{"root that is no hex", func(_ *bench, r *CustodyRequest) { r.Root = "x" + r.Root[1:] }, ErrRequest},
		{"no outcomes", func(_ *bench, r *CustodyRequest) { r.Outcomes = "" }, ErrRequest},
		{"no shard", func(_ *bench, r *CustodyRequest) { r.Outcomes = "00" }, ErrRequest},
		{"outcomes that are no hex", func(_ *bench, r *CustodyRequest) { r.Outcomes = "0" }, ErrRequest},
		{"no lease", func(_ *bench, r *CustodyRequest) { r.LeaseID = 0 }, ErrRequest},
		{"no CID", func(_ *bench, r *CustodyRequest) { r.CID = "" }, ErrRequest},
		{"CID in another base", func(_ *bench, r *CustodyRequest) { r.CID = strings.ToUpper(r.CID) }, ErrRequest},
		{"too many addresses", func(_ *bench, r *CustodyRequest) { r.Addrs = strings.Split(strings.Repeat("a", 17), "") }, ErrRequest},
		{"a long address", func(_ *bench, r *CustodyRequest) { r.Addrs = []string{strings.Repeat("a", 513)} }, ErrRequest},
		{"unsigned", func(_ *bench, r *CustodyRequest) { r.Signature = "" }, ErrSigner},
		{"signature that is no hex", func(_ *bench, r *CustodyRequest) { r.Signature = "sig" }, ErrRequest},
		{"foreign signature", func(b *bench, r *CustodyRequest) { sign(b, r, stranger) }, ErrSigner},
		{"the receipt's own bytes signed", func(b *bench, r *CustodyRequest) {
			want, _, err := b.parse(*r)
			require.NoError(t, err)
			msg, err := want.Message()
			require.NoError(t, err)
			r.Signature = hex.EncodeToString(b.node.Sign(msg))
		}, ErrSigner},
		{"addresses that were not signed", func(_ *bench, r *CustodyRequest) { r.Addrs = []string{"/ip4/192.0.2.9/tcp/1/p2p/me"} }, ErrSigner},
		{"bits that were not signed", func(_ *bench, r *CustodyRequest) { r.Outcomes = "03" }, ErrSigner},
		{"a lease that nobody knows", func(b *bench, r *CustodyRequest) { r.LeaseID = 10; sign(b, r, b.node) }, ErrLease},
		{"a NexCore that nobody knows", func(b *bench, r *CustodyRequest) { b.lease.NexcoreId = 6 }, ErrLease},
		{"another NexCore's lease", func(b *bench, _ *CustodyRequest) { b.ledger.nexcores[5].NodePubkey = stranger.PublicKey() }, ErrSigner},
		{"a delivered lease", func(b *bench, _ *CustodyRequest) { b.lease.State = tasksv1.LeaseState_LEASE_STATE_DELIVERED }, ErrLease},
		{"a closed lease", func(b *bench, _ *CustodyRequest) { b.lease.State = tasksv1.LeaseState_LEASE_STATE_CLOSED }, ErrLease},
		{"a settled lease", func(b *bench, _ *CustodyRequest) { b.lease.State = tasksv1.LeaseState_LEASE_STATE_SETTLED }, ErrLease},
		{"a chain out of reach", func(b *bench, _ *CustodyRequest) { b.ledger.down = errors.New("no route") }, ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.fetch.gate, b.fetch.entered = make(chan struct{}), make(chan struct{}, 1)
			req := b.request(b.build(malicious.Steps{}))
			c.change(b, &req)
			_, err := b.Take(t.Context(), req)
			require.ErrorIs(t, err, c.want)
			require.Empty(t, b.pins())
			require.Empty(t, b.fetch.entered, "it was fetched")
			require.Empty(t, b.peers.asks, "somebody was dialled")
		})
	}
}

// A result that is signed for stays pinned whatever else is asked for, and a lease has but so many.
func TestCustodyKeepsWhatItSigned(t *testing.T) {
	b := newBench(t)
	_, err := b.Take(t.Context(), b.request(b.build(malicious.Steps{})))
	require.NoError(t, err)
	first := b.pins()[0]
	for i := 1; ; i++ {
		c := b.build(malicious.Steps{Manifest: func(_ int, m *result.Manifest) { m.ExitCode = int32(i) }})
		_, err := b.Take(t.Context(), b.request(c))
		if i == maxKept {
			require.ErrorIs(t, err, ErrKept)
			break
		}
		require.NoError(t, err)
		require.Contains(t, b.pins(), first)
	}
	require.Len(t, b.pins(), maxKept)
	// The first is still signed for again; another lease has room of its own.
	_, err = b.Take(t.Context(), b.request(b.build(malicious.Steps{})))
	require.NoError(t, err)
	b.lease.Id = 90
	b.ledger.leases[90] = b.lease
	_, err = b.Take(t.Context(), b.request(b.build(malicious.Steps{})))
	require.NoError(t, err)

	// A gateway whose time of keeping was made shorter keeps what it promised.
	b.lease.Id = 9
	b.cfg.Keep = time.Minute
	_, err = b.Take(t.Context(), b.request(b.build(malicious.Steps{})))
	require.NoError(t, err)
	for _, p := range b.pins() {
		require.Greater(t, time.Until(p.Until), 30*time.Minute, p.Name)
	}
}

// Blocks that are not to be had are no fault of the result: come again.
func TestCustodyWithoutBlocks(t *testing.T) {
	b := newBench(t)
	c := b.build(malicious.Steps{})
	c.ResultCID = blobtest.Block(t, 5, 5).CID().String()
	_, err := b.Take(t.Context(), b.request(c))
	require.ErrorIs(t, err, ErrUnavailable)
	require.NotErrorIs(t, err, ErrResult)
}

// Addresses are dialled when they end at a peer that the registry names, and at no other.
func TestCustodyDialsOnlyThePeer(t *testing.T) {
	b := newBench(t)
	own := "/ip4/192.0.2.2/tcp/2/p2p/me"
	_, err := b.Take(t.Context(), b.request(b.build(malicious.Steps{}),
		"/ip4/192.0.2.3/tcp/22", "/ip4/192.0.2.3/tcp/2/p2p/other", "/ip4/192.0.2.3/tcp/2/p2p/other/p2p-circuit/p2p/me", own, "/p2p/", "x"))
	require.NoError(t, err)
	require.Equal(t, [][]string{{own}, {"/ip4/192.0.2.1/tcp/1/p2p/me"}}, b.peers.asks)
}

// One request of a lease at a time, half of the slots for one NexCore, so many at all: the rest is told to come again and holds nothing.
func TestCustodyIsBounded(t *testing.T) {
	b := newBench(t)
	b.fetch.gate, b.fetch.entered = make(chan struct{}), make(chan struct{}, 64)
	c := b.build(malicious.Steps{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := b.Take(t.Context(), b.request(c))
		require.NoError(t, err)
	})
	<-b.fetch.entered
	_, err := b.Take(t.Context(), b.request(c))
	require.ErrorIs(t, err, errBusy)
	b.ledger.leases[10] = &tasksv1.Lease{Id: 10, JobId: 7, Count: 2, NexcoreId: 5, Attempt: 1, State: b.lease.State}
	b.ledger.leases[11] = &tasksv1.Lease{Id: 11, JobId: 7, Count: 2, NexcoreId: 6, Attempt: 1, State: b.lease.State}
	b.ledger.nexcores[6] = &nexcorev1.NexCore{Id: 6, NodePubkey: b.node.PublicKey()}
	_, err = b.Take(t.Context(), b.request(b.of(10)))
	require.ErrorIs(t, err, errBusy, "another lease of the same NexCore")
	other := b.of(11)
	wg.Go(func() {
		_, err := b.Take(t.Context(), b.request(other))
		require.NoError(t, err)
	})
	<-b.fetch.entered // another NexCore is served
	for len(b.asked) < cap(b.asked) {
		b.asked <- struct{}{}
	}
	b.ledger.down = errors.New("asked")
	_, err = b.Take(t.Context(), b.request(c))
	require.ErrorIs(t, err, errBusy, "the chain is not asked")
	close(b.fetch.gate)
	wg.Wait()
	require.Empty(t, b.busy)
}

// What comes over HTTP is one small document of JSON that no web page can send.
func TestCustodyOverHTTP(t *testing.T) {
	b := newBench(t)
	good, err := json.Marshal(b.request(b.build(malicious.Steps{})))
	require.NoError(t, err)
	bad, err := json.Marshal(b.request(b.build(malicious.Swaps()[0].Steps)))
	require.NoError(t, err)
	for _, c := range []struct {
		name, body string
		change     func(*http.Request)
		status     int
		code       string
	}{
		{"good", string(good), func(*http.Request) {}, 200, ""},
		{"all bits set", string(bad), func(*http.Request) {}, 422, "result_does_not_fit"},
		{"nothing", "", func(*http.Request) {}, 400, "bad_request"},
		{"not JSON", "hello", func(*http.Request) {}, 400, "bad_request"},
		{"unknown field", `{"chain_id":"test-1","more":1}`, func(*http.Request) {}, 400, "bad_request"},
		{"two documents", string(good) + "{}", func(*http.Request) {}, 400, "bad_request"},
		{"too long", strings.Repeat(" ", maxRequestBytes) + string(good), func(*http.Request) {}, 400, "bad_request"},
		{"a form", string(good), func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 400, "bad_request"},
		{"a web page", string(good), func(r *http.Request) { r.Header.Set("Origin", "http://example.com") }, 400, "bad_request"},
		{"unsigned", `{"chain_id":"test-1","lease_id":9` + string(good[strings.Index(string(good), `,"cid"`):len(good)-2]) + `00"}`, func(*http.Request) {}, 403, "not_the_nexcore"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/v1/custody", strings.NewReader(c.body))
			r.Header.Set("Content-Type", "application/json")
			c.change(r)
			w := httptest.NewRecorder()
			b.ServeHTTP(w, r)
			require.Equal(t, c.status, w.Code, w.Body)
			if c.code != "" {
				require.Contains(t, w.Body.String(), `"code":"`+c.code+`"`)
				require.NotContains(t, w.Body.String(), "signature\":", "no receipt")
			}
		})
	}
	for _, code := range []string{"result_does_not_fit", "not_the_nexcore"} {
		require.Contains(t, scrape(b.cfg.Metrics), `nexgate_custody_refusals_total{code="`+code+`"} 1`+"\n")
	}
}

// scrape is what a local Prometheus reads.
func scrape(m *Metrics) string {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.RemoteAddr = "127.0.0.1:5"
	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, r)
	return w.Body.String()
}
