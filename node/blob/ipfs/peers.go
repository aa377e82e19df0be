package ipfs

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/multiformats/go-multiaddr"

	"github.com/nexara/nexara/node/blob"
)

const (
	minBackoff  = 500 * time.Millisecond
	maxBackoff  = time.Minute
	dialTimeout = 10 * time.Second
	dialsAtOnce = 4
	keepTag     = "nexara-peer"
	maxKept     = 4096 // peers to stay connected with
)

// SetPeers replaces the set of peers to stay connected with: multiaddresses that end in /p2p/<peer id>,
// several of one peer are merged. One that is malformed is ErrInvalid, and the set stays as it was. Peers no
// longer named stay connected until one side closes.
func (n *Node) SetPeers(addrs []string) error {
	infos, err := parsePeers(addrs)
	if err != nil {
		return err
	}
	n.dialer.set(infos, true)
	return nil
}

// AddPeers adds to the set. For a peer that is in it, the given addresses replace the ones it had.
func (n *Node) AddPeers(addrs ...string) error {
	infos, err := parsePeers(addrs)
	if err != nil {
		return err
	}
	n.dialer.set(infos, false)
	return nil
}

// Connect adds the peers of some multiaddresses to the set, as AddPeers does, and dials them now: each at all
// of its addresses. ErrUnavailable names the first that cannot be reached; the node then keeps trying.
func (n *Node) Connect(ctx context.Context, addrs ...string) error {
	infos, err := parsePeers(addrs)
	if err != nil {
		return err
	}
	n.dialer.set(infos, false)
	for _, info := range infos {
		if err := n.dialer.dial(ctx, info); err != nil {
			return fmt.Errorf("connect to %s: %w: %w", info.ID, blob.ErrUnavailable, err)
		}
	}
	return nil
}

func parsePeers(addrs []string) ([]peer.AddrInfo, error) {
	var all []multiaddr.Multiaddr
	for _, a := range addrs {
		if len(a) > 1024 {
			return nil, fmt.Errorf("peer address of %d bytes: %w", len(a), blob.ErrInvalid)
		}
		m, err := multiaddr.NewMultiaddr(a)
		if err != nil {
			return nil, fmt.Errorf("peer address %q: %w: %w", a, blob.ErrInvalid, err)
		}
		all = append(all, m)
	}
	infos, err := peer.AddrInfosFromP2pAddrs(all...)
	if err != nil {
		return nil, fmt.Errorf("peer address without /p2p/: %w: %w", blob.ErrInvalid, err)
	}
	if len(infos) > maxKept {
		return nil, fmt.Errorf("%d peers: %w", len(infos), blob.ErrTooLarge)
	}
	return infos, nil
}

// dialer keeps connections to a set of peers: one goroutine sleeps until the next attempt is due or
// something changed, so an idle node with its peers connected costs nothing.
type dialer struct {
	host host.Host
	log  *slog.Logger
	wake chan struct{}
	slot chan struct{} // bounds dials at a time
	wg   sync.WaitGroup

	mu   sync.Mutex
	kept map[peer.ID]*kept
}

type kept struct {
	info     peer.AddrInfo
	backoff  time.Duration
	next     time.Time
	dialling bool
}

func newDialer(ctx context.Context, h host.Host, log *slog.Logger) *dialer {
	d := &dialer{
		host: h, log: log, kept: map[peer.ID]*kept{},
		wake: make(chan struct{}, 1), slot: make(chan struct{}, dialsAtOnce),
	}
	bundle := &network.NotifyBundle{
		ConnectedF: func(_ network.Network, c network.Conn) {
			d.log.Debug("peer connected", "peer", c.RemotePeer(), "addr", c.RemoteMultiaddr())
		},
		DisconnectedF: func(nw network.Network, c network.Conn) {
			if nw.Connectedness(c.RemotePeer()) != network.Connected {
				d.log.Debug("peer disconnected", "peer", c.RemotePeer())
				d.poke()
			}
		},
	}
	h.Network().Notify(bundle)
	d.wg.Go(func() {
		defer h.Network().StopNotify(bundle)
		d.run(ctx)
	})
	return d
}

func (d *dialer) wait() { d.wg.Wait() }

func (d *dialer) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *dialer) set(infos []peer.AddrInfo, replace bool) {
	d.mu.Lock()
	named := map[peer.ID]bool{}
	for _, info := range infos {
		if info.ID == d.host.ID() {
			continue
		}
		named[info.ID] = true
		if k := d.kept[info.ID]; k != nil {
			k.info = info
			k.next = time.Time{} // a fresh address is worth an attempt
			continue
		}
		if len(d.kept) < maxKept {
			d.kept[info.ID] = &kept{info: info}
			d.host.ConnManager().Protect(info.ID, keepTag)
		}
	}
	for id := range d.kept {
		if replace && !named[id] {
			delete(d.kept, id)
			d.host.ConnManager().Unprotect(id, keepTag)
		}
	}
	d.mu.Unlock()
	d.poke()
}

func (d *dialer) run(ctx context.Context) {
	for {
		timer := time.NewTimer(d.attempt(ctx))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-d.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// attempt starts the dials that are due and returns how long nothing more will be.
func (d *dialer) attempt(ctx context.Context) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, sleep := time.Now(), time.Hour
	for id, k := range d.kept {
		if k.dialling {
			continue // its end wakes the loop
		}
		if d.host.Network().Connectedness(id) == network.Connected {
			k.backoff = 0
			continue
		}
		if wait := k.next.Sub(now); wait > 0 {
			sleep = min(sleep, wait)
			continue
		}
		k.dialling = true
		info := k.info
		d.wg.Go(func() { d.redial(ctx, info) })
	}
	return sleep
}

func (d *dialer) redial(ctx context.Context, info peer.AddrInfo) {
	var err error
	select {
	case d.slot <- struct{}{}:
		err = d.dial(ctx, info)
		<-d.slot
	case <-ctx.Done():
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := d.kept[info.ID]; k != nil {
		k.dialling = false
		// Jitter: nodes that lost one peer together must not come back together.
		k.backoff = min(maxBackoff, max(minBackoff, 2*k.backoff))
		k.next = time.Now().Add(k.backoff/2 + rand.N(k.backoff/2))
		if err != nil {
			d.log.Debug("peer not reached", "peer", info.ID, "retry_in", k.backoff, "error", err)
		}
	}
	d.poke()
}

func (d *dialer) dial(ctx context.Context, info peer.AddrInfo) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	// The swarm has a back-off of its own, made for peers found by chance; ours decides here.
	ctx = network.WithForceDirectDial(ctx, keepTag)
	// Add before removing what is stale: another dial of this peer may be reading, and must never find nothing.
	book := d.host.Peerstore()
	book.AddAddrs(info.ID, info.Addrs, peerstore.PermanentAddrTTL)
	stale := slices.DeleteFunc(book.Addrs(info.ID), func(a multiaddr.Multiaddr) bool {
		return slices.ContainsFunc(info.Addrs, a.Equal)
	})
	book.SetAddrs(info.ID, stale, 0)
	return d.host.Connect(ctx, info)
}
