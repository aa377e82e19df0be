package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nexara/nexara/node/lease"
	"github.com/nexara/nexara/node/loopback"
)

// LogProtocol is the stream protocol on which gateways read live logs: one line of
// JSON (LogRequest), answered by the bytes there are from the offset on.
const LogProtocol = "/nexara/logs/1.0.0"

// LogRequest opens a log stream.
type LogRequest struct {
	Lease uint64 `json:"lease"`
	// Shard is the job's index of the shard.
	Shard  int64 `json:"shard"`
	Offset int64 `json:"offset"`
}

const (
	maxLogRequest = 512
	logTimeout    = 30 * time.Second
	maxSocketPath = 100 // the system's bound is 108 on Linux, 104 elsewhere
)

// Status is the answer of GET /status.
type Status struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	ChainID string    `json:"chain_id"`
	Address string    `json:"address"`
	// NexCore is 0 until the operator has registered this machine.
	NexCore uint64     `json:"nexcore"`
	Chain   lease.Head `json:"chain"`
	// SkewMillis is this machine's clock minus block time at the last block.
	SkewMillis int64 `json:"skew_ms"`
	// ClockProblem says why this machine's clock is not trusted; while it is there, there is no offer.
	ClockProblem string              `json:"clock_problem,omitempty"`
	Offer        *OfferStatus        `json:"offer"`
	PeerID       string              `json:"peer_id,omitempty"`
	Addrs        []string            `json:"addrs,omitempty"`
	Peers        []string            `json:"peers"`
	Leases       []lease.LeaseStatus `json:"leases"`
	Resources    ResourceStatus      `json:"resources"`
}

// ResourceStatus is what the daemon itself uses.
type ResourceStatus struct {
	HeapBytes  uint64  `json:"heap_bytes"`
	RSSBytes   int64   `json:"rss_bytes"`
	CPUSeconds float64 `json:"cpu_seconds"`
	Goroutines int     `json:"goroutines"`
	BlobBytes  int64   `json:"blob_bytes"`
	Blocks     int64   `json:"blocks"`
}

// Status describes the NexCore now.
func (p *Provider) Status(ctx context.Context) Status {
	s := Status{
		Version: p.deps.Version, Started: p.started, ChainID: p.cfg.Chain.ID, Address: p.deps.Key.Address(),
		NexCore: p.nexcore.Load(), Offer: p.offers.view.Load(), Peers: []string{}, Leases: []lease.LeaseStatus{},
	}
	skew, problem := p.clock.state()
	s.SkewMillis, s.ClockProblem = skew.Milliseconds(), problem
	if r := p.leases.Load(); r != nil {
		s.Chain, s.Leases = r.Head(), r.Status()
	}
	if n := p.deps.Network; n != nil {
		s.PeerID, s.Addrs, s.Peers = n.PeerID(), n.Addrs(), append(s.Peers, n.Connected()...)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.Resources = ResourceStatus{HeapBytes: m.HeapAlloc, Goroutines: runtime.NumGoroutine()}
	s.Resources.RSSBytes, s.Resources.CPUSeconds = usage()
	if st, err := p.deps.Store.Stats(ctx); err == nil {
		s.Resources.BlobBytes, s.Resources.Blocks = st.Bytes, st.Blocks
	}
	return s
}

// api is the local HTTP API. It has no authentication: a socket of mode 0600, or loopback.
type api struct {
	p        *Provider
	listener net.Listener
	server   *http.Server
}

func newAPI(p *Provider) (*api, error) {
	a := &api{p: p}
	var err error
	address := p.cfg.API.Listen
	if address == "unix" {
		address = p.deps.Home.Socket()
		if len(address) > maxSocketPath {
			return nil, fmt.Errorf("%w: api.listen: the socket path %s is longer than %d bytes; use a loopback address", ErrConfig, address, maxSocketPath)
		}
		// The journal's lock proves that no other daemon uses this home: the socket is a dead one's.
		if err := os.Remove(address); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if a.listener, err = net.Listen("unix", address); err == nil {
			err = os.Chmod(address, 0o600)
		}
		address = "unix:" + address
	} else if a.listener, err = net.Listen("tcp", address); err == nil {
		address = "http://" + a.listener.Addr().String()
	}
	if err != nil {
		return nil, fmt.Errorf("local API: %w", err)
	}
	if err := writeFile(p.deps.Home.APIAddress(), []byte(address+"\n")); err != nil {
		return nil, errors.Join(err, a.listener.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) { reply(w, http.StatusOK, p.Status(r.Context())) })
	mux.HandleFunc("GET /logs/{lease}/{shard}", a.logs)
	mux.HandleFunc("POST /drain", func(w http.ResponseWriter, _ *http.Request) {
		p.offers.drain.Store(true)
		p.offers.poke()
		reply(w, http.StatusAccepted, map[string]bool{"draining": true})
	})
	var handler http.Handler = mux
	if a.listener.Addr().Network() != "unix" {
		handler = ownMachine(mux)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{}))
	a.server = &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelWarn),
	}
	return a, nil
}

// ownMachine refuses what no program on this machine sent by itself: the socket has a
// file's mode to keep others out, an open port has only what a request tells.
func ownMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopback.Request(r) || !loopback.Host(r) {
			reply(w, http.StatusForbidden, map[string]string{"error": "only programs on this machine may ask", "code": "forbidden"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *api) run(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- a.server.Serve(a.listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		err := a.server.Close()
		if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}
}

func (a *api) close() error {
	err := a.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	if rerr := os.Remove(a.p.deps.Home.APIAddress()); rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return err
}

func (a *api) logs(w http.ResponseWriter, r *http.Request) {
	l, err1 := strconv.ParseUint(r.PathValue("lease"), 10, 64)
	shard, err2 := strconv.ParseInt(r.PathValue("shard"), 10, 64)
	offset := int64(0)
	var err3 error
	if text := r.URL.Query().Get("offset"); text != "" {
		offset, err3 = strconv.ParseInt(text, 10, 64)
	}
	if err1 != nil || err2 != nil || err3 != nil || offset < 0 {
		reply(w, http.StatusBadRequest, map[string]string{"error": "lease, shard and offset are numbers", "code": "bad_request"})
		return
	}
	log, err := a.p.openLog(r.Context(), LogRequest{Lease: l, Shard: shard, Offset: offset})
	if err != nil {
		status := http.StatusInternalServerError
		if errors.Is(err, lease.ErrUnknown) {
			status = http.StatusNotFound
		}
		reply(w, status, map[string]string{"error": err.Error(), "code": "no_log"})
		return
	}
	defer log.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Nexara-Live", strconv.FormatBool(log.Live))
	_, _ = io.Copy(w, log) // the client has gone when this fails
}

func (p *Provider) openLog(ctx context.Context, q LogRequest) (lease.Log, error) {
	r := p.leases.Load()
	if r == nil {
		return lease.Log{}, fmt.Errorf("%w: not registered yet", lease.ErrUnknown)
	}
	log, err := r.OpenLog(ctx, q.Lease, q.Shard)
	if err != nil {
		return log, err
	}
	if _, err := log.Seek(max(q.Offset, 0), io.SeekStart); err != nil {
		return lease.Log{}, errors.Join(err, log.Close())
	}
	return log, nil
}

// serveLog answers one stream. Only gateways of the configuration may read: logs
// belong to the requester.
func (p *Provider) serveLog(peerID string, s Stream) {
	ids := p.trusted.Load()
	if ids == nil || !(*ids)[peerID] {
		p.log.Warn("log stream refused", "peer", peerID)
		return
	}
	if s.SetDeadline(time.Now().Add(logTimeout)) != nil {
		return
	}
	// The line may come with the end of the stream or without: read to the newline, byte by byte bounded.
	var q LogRequest
	line := make([]byte, 0, 128)
	one := make([]byte, 1)
	for len(line) < maxLogRequest {
		n, err := s.Read(one)
		if n == 1 && one[0] == '\n' {
			break
		}
		line = append(line, one[:n]...)
		if err != nil {
			break
		}
	}
	dec := json.NewDecoder(strings.NewReader(string(line)))
	dec.DisallowUnknownFields()
	if dec.Decode(&q) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), logTimeout)
	defer cancel()
	log, err := p.openLog(ctx, q)
	if err != nil {
		p.log.Debug("no log", "lease", q.Lease, "shard", q.Shard, "err", err)
		return
	}
	defer log.Close()
	_, _ = io.Copy(s, log)
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // the client has gone when this fails
}
