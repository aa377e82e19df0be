package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// ErrNotRunning means that no daemon answers in this home folder.
var ErrNotRunning = errors.New("nexcore is not running")

const maxAnswer = 64 << 20

// Client talks to the daemon of a home folder.
type Client struct {
	base string
	http *http.Client
}

// NewClient finds the daemon's address; ErrNotRunning when there is none.
func NewClient(h Home) (*Client, error) {
	raw, err := os.ReadFile(h.APIAddress())
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s", ErrNotRunning, h)
	}
	if err != nil {
		return nil, err
	}
	address := strings.TrimSpace(string(raw))
	transport := &http.Transport{}
	base := address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		base = "http://nexcore"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
	}
	return &Client{base: base, http: &http.Client{Transport: transport, Timeout: 15 * time.Second}}, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks the daemon.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.do(ctx, http.MethodGet, "/status", &s)
	return s, err
}

// Drain asks for no new leases.
func (c *Client) Drain(ctx context.Context) error { return c.do(ctx, http.MethodPost, "/drain", nil) }

func (c *Client) do(ctx context.Context, method, path string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s: %.300s", path, res.Status, raw)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// Gateway is what a gateway says about itself.
type Gateway struct {
	ChainID string   `json:"chain_id"`
	PeerID  string   `json:"peer_id"`
	Addrs   []string `json:"addrs"`
}

// GatewayInfo asks a gateway.
func GatewayInfo(ctx context.Context, client *http.Client, base string) (Gateway, error) {
	var g Gateway
	c := &Client{base: strings.TrimSuffix(base, "/"), http: client}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/v1/status", nil)
	if err != nil {
		return g, err
	}
	res, err := client.Do(req)
	if err != nil {
		return g, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 256<<10))
	if err != nil {
		return g, err
	}
	if res.StatusCode != http.StatusOK {
		return g, fmt.Errorf("gateway %s: %s", base, res.Status)
	}
	return g, json.Unmarshal(raw, &g)
}
