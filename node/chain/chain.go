// Package chain is the daemon's view of the chain: a small client of one node's
// CometBFT JSON-RPC. It queries state, signs and broadcasts unordered
// transactions, looks up what became of them, and wakes the caller when a block
// is there. It never decides what to do, never stores anything, and never
// retries a transaction by itself: node/offer decides on offers, node/lease
// reconciles leases, and both learn from typed errors.
//
// Place in the flow: Watch wakes node/lease, which reads Assignments and hands
// messages to Sender.Submit; Confirm says what became of them. An event that is
// lost costs a poll interval, never a lease: state is always read by query.
//
// It is written against proto/gen and cosmossdk.io/api, without the chain's own
// code, so that the daemon stays small and builds without cgo everywhere.
package chain

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// Defaults of Config.
const (
	DefaultTimeout          = 10 * time.Second
	DefaultPoll             = 2 * time.Second
	DefaultMaxResponseBytes = 32 << 20
)

// Config says which node to talk to.
type Config struct {
	// RPC is the node's RPC address, such as http://127.0.0.1:26657.
	RPC string
	// ChainID must be the node's, or Status answers ErrWrongChain.
	ChainID string
	// Timeout bounds one request.
	Timeout time.Duration
	// Poll is how long to wait for an event before asking for the height.
	Poll time.Duration
	// MaxResponseBytes bounds one answer.
	MaxResponseBytes int64
	// Logger gets connection losses and recoveries.
	Logger *slog.Logger
}

// Validate fills what is empty with defaults and refuses what cannot work.
func (c *Config) Validate() error {
	u, err := url.Parse(c.RPC)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("%w: rpc address %q, want http://host:port", ErrConfig, c.RPC)
	}
	if c.ChainID == "" {
		return fmt.Errorf("%w: no chain id", ErrConfig)
	}
	if c.Timeout < 0 || c.Poll < 0 || c.MaxResponseBytes < 0 {
		return fmt.Errorf("%w: negative timeout, poll or size", ErrConfig)
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Poll == 0 {
		c.Poll = DefaultPoll
	}
	if c.MaxResponseBytes == 0 {
		c.MaxResponseBytes = DefaultMaxResponseBytes
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Client talks to one node. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
	ws   string
	next atomic.Int64
	head atomic.Pointer[Header]
}

// Header is what the daemon needs of a block's header.
type Header struct {
	Height int64
	Time   time.Time
	// Seen is the local time at which this process learned of it.
	Seen time.Time
}

// New returns a client; it does not connect yet.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ws, err := url.Parse(cfg.RPC)
	if err != nil {
		return nil, errors.Join(ErrConfig, err)
	}
	ws.Scheme = map[string]string{"http": "ws", "https": "wss"}[ws.Scheme]
	ws = ws.JoinPath("websocket")
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 4, MaxConnsPerHost: 16,
		IdleConnTimeout: 90 * time.Second, ResponseHeaderTimeout: cfg.Timeout,
	}
	return &Client{cfg: cfg, http: &http.Client{Transport: transport, Timeout: cfg.Timeout}, ws: ws.String()}, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// ChainID is the configured chain.
func (c *Client) ChainID() string { return c.cfg.ChainID }

// Head is the newest header this client has seen by any route; zero before the first.
func (c *Client) Head() Header {
	if h := c.head.Load(); h != nil {
		return *h
	}
	return Header{}
}

// see keeps the highest header and returns true when h is new.
func (c *Client) see(h Header) bool {
	for {
		old := c.head.Load()
		if old != nil && old.Height >= h.Height {
			return false
		}
		if c.head.CompareAndSwap(old, &h) {
			return true
		}
	}
}
