// Package provider is one NexCore: it wires the rooms of the daemon together and
// runs them. It holds the configuration and the layout of the home folder, keeps
// the standing offer as node/offer decides, lets node/lease carry out leases, and
// answers the local API.
//
// It decides nothing that another room decides, and imports no chain code. Drivers
// and the blob store are handed in: the command lists them.
//
// Start order: local API, clock check, identity, then together the reconciler, the
// watch of blocks, the offer and the peers. Stop is the end of the context: runs
// that outlive the process are left alone.
package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/chain"
	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/key"
	"github.com/nexara/nexara/node/lease"
	"github.com/nexara/nexara/node/offer"
	"github.com/nexara/nexara/node/store"
)

// Stream is a byte stream from a peer.
type Stream interface {
	io.ReadWriter
	SetDeadline(time.Time) error
}

// Network is the peer-to-peer side, when there is one.
type Network interface {
	PeerID() string
	// Addrs are where this node can be reached, each ending in /p2p/ID.
	Addrs() []string
	// AddPeers keeps connections to peers; addresses end in /p2p/ID.
	AddPeers(addrs ...string) error
	// Connected are the peer ids of connected peers.
	Connected() []string
	// Handle serves a stream protocol.
	Handle(protocol string, h func(peerID string, s Stream))
}

// Deps are what the command makes. Network may be nil; the rest is required.
type Deps struct {
	Home    Home
	Key     *key.Key
	Drivers []driver.Driver
	Store   blob.Store
	Fetcher blob.Fetcher
	Network Network
	// Upload hands a result to a gateway before it is asked to vouch; nil where
	// gateways fetch by themselves.
	Upload  func(ctx context.Context, gateway, root string) error
	Journal *store.Journal
	// Machine measures what there is now.
	Machine func(context.Context) (offer.Machine, error)
	Logger  *slog.Logger
	Version string
}

// Provider is one NexCore.
type Provider struct {
	cfg      Config
	deps     Deps
	log      *slog.Logger
	client   *chain.Client
	sender   *chain.Sender
	gateways *lease.Gateways
	registry *prometheus.Registry
	started  time.Time

	leases  atomic.Pointer[lease.Reconciler]
	nexcore atomic.Uint64
	offers  *offers
	trusted atomic.Pointer[map[string]bool] // peer ids of gateways
	clock   clock
	api     *api
}

// New checks the configuration and opens the local API. Run must follow, or Close.
func New(cfg Config, deps Deps) (*Provider, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Home == "" || deps.Key == nil || len(deps.Drivers) == 0 || deps.Store == nil || deps.Fetcher == nil ||
		deps.Journal == nil || deps.Machine == nil {
		return nil, fmt.Errorf("%w: missing collaborator", ErrConfig)
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Provider{cfg: cfg, deps: deps, log: deps.Logger, registry: prometheus.NewRegistry(), started: time.Now()}
	p.clock.log = deps.Logger
	var err error
	p.client, err = chain.New(chain.Config{RPC: cfg.Chain.RPC, ChainID: cfg.Chain.ID, Logger: deps.Logger})
	if err != nil {
		return nil, err
	}
	p.sender, err = chain.NewSender(p.client, deps.Key, chain.SenderConfig{FeeGranter: cfg.Chain.Operator, GasPrice: cfg.Chain.GasPrice})
	if err != nil {
		return nil, err
	}
	addrs := func() []string { return nil }
	if deps.Network != nil {
		addrs = deps.Network.Addrs
	}
	p.gateways, err = lease.NewGateways(lease.GatewaysConfig{
		URLs: cfg.Gateway.URLs, Addrs: addrs, Sign: deps.Key.Sign, Upload: deps.Upload, Timeout: cfg.Gateway.Timeout,
	})
	if err != nil {
		return nil, err
	}
	p.offers = newOffers(p)
	if p.api, err = newAPI(p); err != nil {
		return nil, err
	}
	return p, nil
}

// Close releases what New opened; Run does it by itself.
func (p *Provider) Close() error {
	p.gateways.Close()
	p.client.Close()
	return p.api.close()
}

// Run is the NexCore until ctx ends. It returns nil then, else why it cannot go on.
func (p *Provider) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, p.Close()) }()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.api.run(ctx) })
	g.Go(func() error { return p.work(ctx) })
	err = g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (p *Provider) work(ctx context.Context) error {
	if err := p.checkClock(ctx); err != nil {
		return err
	}
	id, err := p.identify(ctx)
	if err != nil {
		return err
	}
	p.nexcore.Store(id)
	drivers := make(map[string]driver.Driver, len(p.deps.Drivers))
	for _, d := range p.deps.Drivers {
		drivers[d.Name()] = d
	}
	r, err := lease.New(p.cfg.Leases.config(p.deps.Home), lease.Deps{
		Identity: lease.Identity{ChainID: p.cfg.Chain.ID, NexCore: id, Address: p.deps.Key.Address()},
		Chain:    desired{p.client, p.sender, id}, Drivers: drivers, Store: p.deps.Store, Fetcher: p.deps.Fetcher,
		Custodian: p.gateways, Journal: p.deps.Journal, Logger: p.log, Metrics: p.registry,
	})
	if err != nil {
		return err
	}
	p.leases.Store(r)
	if p.deps.Network != nil {
		p.deps.Network.Handle(LogProtocol, p.serveLog)
	}
	p.log.Info("nexcore is up", "nexcore", id, "address", p.deps.Key.Address(), "chain", p.cfg.Chain.ID)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.Run(ctx) })
	g.Go(func() error {
		p.client.Watch(ctx, func(h chain.Header) {
			p.clock.see(h)
			r.Wake(h.Seen)
			p.offers.poke()
		})
		return nil
	})
	g.Go(func() error { p.offers.run(ctx, r); return nil })
	g.Go(func() error { p.meetGateways(ctx); return nil })
	g.Go(func() error { tidyMemory(ctx, r); return nil })
	return g.Wait()
}

// tidyMemory gives memory back to the system when the work is done: compiling a
// module or packing outputs leaves a heap many times that of an idle daemon.
func tidyMemory(ctx context.Context, r *lease.Reconciler) {
	const look, rest = 5 * time.Second, 2
	tick := time.NewTicker(look)
	defer tick.Stop()
	worked, quiet := false, 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if r.Leases() > 0 {
			worked, quiet = true, 0
			continue
		}
		if quiet++; worked && quiet >= rest {
			debug.FreeOSMemory()
			worked = false
		}
	}
}

// clockPatience is how long a start waits for a fresh block to judge the clock by.
const clockPatience = 8 * time.Second

// checkClock refuses to start with a clock that is wrong. A chain that cannot be
// reached or stands still is no reason: runs of an earlier process may need us, and
// every later block judges the clock again.
func (p *Provider) checkClock(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, clockPatience)
	defer cancel()
	h, err := p.client.FreshHeader(wait, 200*time.Millisecond)
	switch {
	case err == nil:
		return chain.CheckSkew(h)
	case errors.Is(err, chain.ErrWrongChain):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	p.log.Warn("clock not checked against the chain", "err", err)
	return nil
}

// identity is what identity.json holds.
type identity struct {
	ChainID string `json:"chain_id"`
	Address string `json:"address"`
	NexCore uint64 `json:"nexcore"`
}

// identify finds this NexCore's number: in the home folder, or on the chain. It
// waits until the operator has registered it.
func (p *Provider) identify(ctx context.Context) (uint64, error) {
	me := identity{ChainID: p.cfg.Chain.ID, Address: p.deps.Key.Address()}
	if raw, err := os.ReadFile(p.deps.Home.Identity()); err == nil {
		var known identity
		if json.Unmarshal(raw, &known) == nil && known.NexCore > 0 && known.ChainID == me.ChainID && known.Address == me.Address {
			return known.NexCore, nil
		}
	}
	told := false
	for {
		n, err := p.client.NexCoreByNode(ctx, me.Address)
		if err == nil && n.GetId() > 0 {
			me.NexCore = n.GetId()
			raw, err := json.Marshal(me)
			if err != nil {
				return 0, err
			}
			return me.NexCore, writeFile(p.deps.Home.Identity(), append(raw, '\n'))
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if !told {
			told = true
			p.log.Warn("waiting to be registered", "address", me.Address, "operator", p.cfg.Chain.Operator, "err", err,
				"hint", "nexarad tx nexcore register "+p.deps.Home.Register()+" --from <operator>")
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// meetGateways learns where the gateways' IPFS nodes are and stays connected with
// them; their peer ids may read live logs.
func (p *Provider) meetGateways(ctx context.Context) {
	if p.deps.Network == nil {
		return
	}
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	pause := time.Second
	for {
		all := true
		ids := map[string]bool{}
		for _, base := range p.cfg.Gateway.URLs {
			info, err := GatewayInfo(ctx, client, base)
			if err != nil {
				all = false
				p.log.Debug("gateway not reachable", "gateway", base, "err", err)
				continue
			}
			ids[info.PeerID] = true
			if err := p.deps.Network.AddPeers(info.Addrs...); err != nil {
				p.log.Warn("gateway's addresses not usable", "gateway", base, "err", err)
			}
		}
		if len(ids) > 0 {
			p.trusted.Store(&ids)
		}
		if pause = min(2*pause, time.Minute); all {
			pause = time.Minute
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
