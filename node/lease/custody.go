package lease

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nexara/nexara/node/key"
	"github.com/nexara/nexara/node/result"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/x/tasks/verdict"
)

const maxReceiptBytes = 16 << 10

// GatewaysConfig says who may vouch.
type GatewaysConfig struct {
	// URLs are base addresses, such as http://127.0.0.1:8080.
	URLs []string
	// Addrs gives the multiaddresses at which this NexCore can be reached now.
	Addrs func() []string
	// Sign signs with the node key, as key.Key does: gateways serve the lease's NexCore only. Required.
	Sign func(message []byte) []byte
	// Upload, when set, hands the blocks to a gateway before it is asked: for stores
	// that no gateway can fetch from. root is the result's CID.
	Upload func(ctx context.Context, gateway, root string) error
	// Timeout bounds one request; the gateway fetches the whole result in it.
	Timeout time.Duration
}

// Gateways is a Custodian: it asks gateways in turn, beginning with the last that signed.
type Gateways struct {
	cfg  GatewaysConfig
	http *http.Client
	last atomic.Int64
}

var _ Custodian = (*Gateways)(nil)

// NewGateways checks the addresses.
func NewGateways(cfg GatewaysConfig) (*Gateways, error) {
	if cfg.Sign == nil {
		return nil, fmt.Errorf("%w: requests to gateways need a signer", ErrConfig)
	}
	if len(cfg.URLs) == 0 || len(cfg.URLs) > 16 {
		return nil, fmt.Errorf("%w: %d gateways, want 1 to 16", ErrConfig, len(cfg.URLs))
	}
	for _, text := range cfg.URLs {
		if u, err := url.Parse(text); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("%w: gateway %q, want http://host:port", ErrConfig, text)
		}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 5 * time.Minute
	}
	if cfg.Addrs == nil {
		cfg.Addrs = func() []string { return nil }
	}
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second}
	return &Gateways{cfg: cfg, http: &http.Client{Transport: t, Timeout: cfg.Timeout}}, nil
}

// Close drops idle connections.
func (g *Gateways) Close() { g.http.CloseIdleConnections() }

// Vouch implements Custodian.
func (g *Gateways) Vouch(ctx context.Context, c verdict.Custody) (*tasksv1.Custody, error) {
	var errs error
	n := len(g.cfg.URLs)
	first := int(g.last.Load())
	for i := range n {
		at := (first + i) % n
		receipt, err := g.ask(ctx, g.cfg.URLs[at], c)
		if err == nil {
			g.last.Store(int64(at))
			return receipt, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		errs = errors.Join(errs, fmt.Errorf("%s: %w", g.cfg.URLs[at], err))
	}
	return nil, fmt.Errorf("%w: %w", ErrCustody, errs)
}

func (g *Gateways) ask(ctx context.Context, base string, c verdict.Custody) (*tasksv1.Custody, error) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Timeout)
	defer cancel()
	msg, err := c.Message()
	if err != nil {
		return nil, err
	}
	if g.cfg.Upload != nil {
		if err := g.cfg.Upload(ctx, base, c.ResultCID); err != nil {
			return nil, fmt.Errorf("upload: %w", err)
		}
	}
	addrs := slices.DeleteFunc(slices.Clone(g.cfg.Addrs()), func(a string) bool { return a == "" || len(a) > result.MaxAddrBytes })
	addrs = addrs[:min(len(addrs), result.MaxRequestAddrs)]
	asked, err := result.RequestMessage(c, addrs)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{
		"chain_id": c.ChainID, "lease_id": c.LeaseID, "cid": c.ResultCID, "root": hex.EncodeToString(c.Root[:]),
		"bytes": c.Bytes, "outcomes": hex.EncodeToString(c.Outcomes), "addrs": addrs, "signature": hex.EncodeToString(g.cfg.Sign(asked)),
	})
	if err != nil {
		return nil, err
	}
	to, err := url.JoinPath(base, "/v1/custody")
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := g.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxReceiptBytes+1))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: HTTP %s: %.300s", ErrCustody, res.Status, raw)
	}
	var r struct {
		Pubkey    string `json:"pubkey"`
		Signature string `json:"signature"`
	}
	if len(raw) > maxReceiptBytes || json.Unmarshal(raw, &r) != nil {
		return nil, fmt.Errorf("%w: answer is no receipt", ErrCustody)
	}
	pubkey, err1 := hex.DecodeString(r.Pubkey)
	signature, err2 := hex.DecodeString(r.Signature)
	if err1 != nil || err2 != nil {
		return nil, fmt.Errorf("%w: answer is no receipt", ErrCustody)
	}
	// The chain would refuse a bad signature after a block; here it costs nothing.
	if err := key.Verify(pubkey, msg, signature); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCustody, err)
	}
	return &tasksv1.Custody{GatewayPubkey: pubkey, Signature: signature}, nil
}
