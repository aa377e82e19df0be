// Package gateway is the front door: it takes uploads as CAR, serves blocks and CAR, takes custody of
// results, and passes on live logs. It holds no money, runs no job and decides nothing about the market. It
// listens on loopback until wallets sign its requests. Its place in the flow is submit (uploads) and result
// (custody, downloads).
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Server serves the gateway's HTTP API.
type Server struct {
	http     *http.Server
	listener net.Listener
	logger   *slog.Logger
}

// Handlers are the parts of the API; all are required but Metrics and Stall.
type Handlers struct {
	Blobs   http.Handler // POST /v1/car, GET /ipfs/{cid}
	Custody http.Handler // POST /v1/custody
	Logs    http.Handler // GET /v1/logs/{lease}/{shard}
	Status  func(context.Context) any
	// Metrics counts requests and answers GET /metrics, to programs of this machine only.
	Metrics *Metrics
	// Stall is how long a body may stand still, either way, on every route. Default 30 s.
	Stall time.Duration
}

// Listen opens the address, which must be loopback: uploads are not signed yet.
func Listen(address string, h Handlers, logger *slog.Logger) (*Server, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: listen address %q: %w", ErrRequest, address, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%w: %q is not a loopback address; the gateway is local until wallets sign requests", ErrRequest, address)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /v1/car", h.Blobs)
	mux.Handle("GET /ipfs/{cid}", h.Blobs)
	mux.Handle("POST /v1/custody", h.Custody)
	mux.Handle("GET /v1/logs/{lease}/{shard}", h.Logs)
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, h.Status(r.Context()))
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	if h.Metrics != nil {
		mux.Handle("GET /metrics", h.Metrics.handler())
	}
	if h.Stall <= 0 {
		h.Stall = defaultStall
	}
	return &Server{
		listener: listener, logger: logger,
		http: &http.Server{
			Handler: paced(h.Metrics.counted(mux), h.Stall), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
			ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		},
	}, nil
}

// Addr is where the server listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx ends, then lets requests finish for a moment.
func (s *Server) Run(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.http.Shutdown(grace); err != nil {
		return s.http.Close()
	}
	return nil
}

// problem is the body of every error.
type problem struct {
	Error string `json:"error"`
	Code  string `json:"code"`
}

// writeError maps an error's class to a status; the caller retries what is unavailable and nothing else.
func writeError(w http.ResponseWriter, err error) {
	status, code := classOf(err)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, status, problem{Error: err.Error(), Code: code})
}

// classOf is the HTTP status of an error's class, and its name for other programs.
func classOf(err error) (status int, code string) {
	status, code = http.StatusInternalServerError, "internal"
	switch {
	case errors.Is(err, errBusy):
		status, code = http.StatusServiceUnavailable, "busy"
	case errors.Is(err, ErrRequest):
		status, code = http.StatusBadRequest, "bad_request"
	case errors.Is(err, ErrSigner):
		status, code = http.StatusForbidden, "not_the_nexcore"
	case errors.Is(err, ErrLease):
		status, code = http.StatusNotFound, "no_such_lease"
	case errors.Is(err, ErrResult):
		status, code = http.StatusUnprocessableEntity, "result_does_not_fit"
	case errors.Is(err, ErrKept):
		status, code = http.StatusTooManyRequests, "too_many_results"
	case errors.Is(err, ErrUnavailable):
		status, code = http.StatusServiceUnavailable, "unavailable"
	}
	return status, code
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone when this fails
}
