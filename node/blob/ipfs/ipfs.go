// Package ipfs is a blob store on a peer-to-peer network: a store on disk (node/blob/file) that serves its
// blocks to known peers over bitswap and fetches what it lacks from them. It wraps boxo and go-libp2p, and no
// type of theirs leaves it. It is a private node: it looks nobody up (no DHT, no mDNS, no relay, no NAT
// probing) and talks to the peers it is told about and to those that dial it.
//
// It also carries small byte streams between peers (Handle, Dial), by which a gateway reads live logs from a
// NexCore.
package ipfs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/ipfs/boxo/bitswap"
	"github.com/ipfs/boxo/bitswap/client"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multiaddr"

	"github.com/nexara/nexara/node/blob"
)

// Config configures a node.
type Config struct {
	// Store keeps the blocks. The node owns it from Open on and closes it.
	Store blob.Store
	// KeyFile holds the peer key; InitKey makes it. It must be readable by its owner only.
	KeyFile string
	// Listen are the multiaddresses to listen on; none means to dial only. Default one TCP port chosen by
	// the system on loopback. QUIC addresses need QUIC.
	Listen []string
	// Announce replaces the addresses told to peers, for a node behind a port mapping.
	Announce []string
	// Peers are multiaddresses with /p2p/ of peers to stay connected with.
	Peers []string
	// Allow, when set, tells whether a peer may connect. It must be quick: it is called for each connection.
	Allow func(peerID string) bool
	// QUIC adds the QUIC transport, for networks that treat UDP better. TCP is used with or without it.
	QUIC bool
	// BlockTimeout is how long Fetch waits when no block arrives at all. Default 20 s.
	BlockTimeout time.Duration
	// Workers is the number of blocks that one Fetch asks for at a time. Default 16.
	Workers int
	// MaxPeers is where the node begins to drop the least useful connections. Default 128.
	MaxPeers int
	// Logger is required.
	Logger *slog.Logger
}

func (c *Config) validate() error {
	if c.Store == nil || c.KeyFile == "" || c.Logger == nil {
		return errors.New("ipfs node: Store, KeyFile and Logger are required")
	}
	if c.Listen == nil {
		c.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	}
	if c.BlockTimeout <= 0 {
		c.BlockTimeout = 20 * time.Second
	}
	if c.Workers <= 0 {
		c.Workers = 16
	}
	if c.MaxPeers <= 0 {
		c.MaxPeers = 128
	}
	return nil
}

// Node implements blob.Store and blob.Fetcher. What is Put or fetched is served to peers as long as it is
// stored.
type Node struct {
	blob.Store
	cfg    Config
	host   host.Host
	bits   *bitswap.Bitswap
	stop   context.CancelFunc
	dialer *dialer
	flight flights
	closed atomic.Bool
}

var (
	_ blob.Store   = (*Node)(nil)
	_ blob.Fetcher = (*Node)(nil)
)

// Open starts a node. Peers that cannot be reached yet are no error: it keeps trying.
func Open(cfg Config) (*Node, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	h, err := newHost(cfg)
	if err != nil {
		return nil, fmt.Errorf("ipfs node: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n := &Node{Store: cfg.Store, cfg: cfg, host: h, stop: stop, flight: flights{now: map[[32]byte]chan struct{}{}}}
	// The engine of bitswap is made for servers of thousands of peers; these numbers are for tens, with
	// blocks of up to 2 MiB.
	n.bits = bitswap.New(ctx, bsnet.NewFromIpfsHost(h), nil, served{cfg.Store},
		bitswap.EngineBlockstoreWorkerCount(8),
		bitswap.EngineTaskWorkerCount(4),
		bitswap.TaskWorkerCount(4),
		bitswap.MaxOutstandingBytesPerPeer(4<<20),
		bitswap.WithoutDuplicatedBlockStats(),
		bitswap.WithClientOption(client.WithTraceBlock(false)),
	)
	n.dialer = newDialer(ctx, h, cfg.Logger)
	if err := n.SetPeers(cfg.Peers); err != nil {
		return nil, errors.Join(err, n.closeNetwork())
	}
	return n, nil
}

// PeerID is the node's name on the network.
func (n *Node) PeerID() string { return n.host.ID().String() }

// Addrs are the node's multiaddresses, each with /p2p/ and its peer id: what another node's Peers take.
func (n *Node) Addrs() []string {
	var out []string
	id := multiaddr.StringCast("/p2p/" + n.PeerID())
	for _, a := range n.host.Addrs() {
		out = append(out, a.Encapsulate(id).String())
	}
	return out
}

// Put implements blob.Writer, and serves peers that are waiting for the block.
func (n *Node) Put(ctx context.Context, b blob.Block) error {
	if err := n.Store.Put(ctx, b); err != nil {
		return err
	}
	if _, inline := blob.Inline(b.CID()); inline {
		return nil
	}
	// The server looks at the name and length only, so the caller keeps its bytes.
	blk, err := blocks.NewBlockWithCid(b.Data(), b.CID())
	if err == nil {
		err = n.bits.Server.NotifyNewBlocks(ctx, blk)
	}
	return err
}

// Fetch implements blob.Fetcher over bitswap. Bitswap has no word for "nobody has it": when blocks are wanted
// and none arrives for BlockTimeout, it is ErrTimeout. The clock is one for the whole fetch, not per block, so
// that a slow peer with many blocks under way is no failure as long as it keeps sending.
func (n *Node) Fetch(ctx context.Context, root cid.Cid, lim blob.Limits) (blob.Stat, error) {
	if n.closed.Load() {
		return blob.Stat{}, blob.ErrClosed
	}
	p := newPatience(ctx, n.cfg.BlockTimeout)
	defer p.end() // ends the session too
	session := n.bits.NewSession(p.ctx)
	st, err := blob.FetchDAG(ctx, n, root, lim, n.cfg.Workers, func(ctx context.Context, c cid.Cid) ([]byte, error) {
		one, done := p.wait(ctx)
		defer done()
		b, err := n.flight.get(one, n, c, func() (blob.Block, error) {
			b, err := session.GetBlock(one, c)
			if err != nil {
				return blob.Block{}, err
			}
			return blob.VerifyBlock(c, b.RawData())
		})
		switch {
		case err == nil:
			return b.Data(), nil
		case blob.Code(err) != "":
			return nil, err // of the store, such as ErrNoSpace
		case n.closed.Load():
			return nil, blob.ErrClosed
		case blob.ContextErr(ctx) != nil:
			return nil, blob.ContextErr(ctx)
		case p.ctx.Err() != nil:
			return nil, fmt.Errorf("block %s: nothing came from %d connected peers in %s: %w",
				c, len(n.host.Network().Peers()), n.cfg.BlockTimeout, blob.ErrTimeout)
		default:
			return nil, fmt.Errorf("block %s: %w: %w", c, blob.ErrUnavailable, err)
		}
	})
	if err != nil {
		return st, fmt.Errorf("fetch %s: %w", root, err)
	}
	return st, nil
}

// patience ends a context when somebody waits and nothing has come for a time. A wait that begins or ends
// counts as something: waits are few, so they cannot keep beginning without ending.
type patience struct {
	ctx     context.Context
	cancel  context.CancelFunc
	limit   time.Duration
	timer   *time.Timer
	waiting atomic.Int64
}

func newPatience(ctx context.Context, limit time.Duration) *patience {
	p := &patience{limit: limit}
	p.ctx, p.cancel = context.WithCancel(ctx)
	p.timer = time.AfterFunc(limit, func() {
		if p.waiting.Load() > 0 {
			p.cancel()
		}
	})
	return p
}

// wait gives the context of one wait: it ends with ctx or when patience does.
func (p *patience) wait(ctx context.Context) (one context.Context, done func()) {
	p.waiting.Add(1)
	p.timer.Reset(p.limit)
	one, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(p.ctx, cancel)
	return one, func() {
		stop()
		cancel()
		p.timer.Reset(p.limit)
		p.waiting.Add(-1)
	}
}

func (p *patience) end() {
	p.timer.Stop()
	p.cancel()
}

// Close leaves the network, then closes the store.
func (n *Node) Close() error {
	if n.closed.Swap(true) {
		return nil
	}
	return errors.Join(n.closeNetwork(), n.Store.Close())
}

func (n *Node) closeNetwork() error {
	n.stop()
	n.dialer.wait()
	return errors.Join(n.bits.Close(), n.host.Close())
}

// Peer is a connected peer.
type Peer struct {
	ID   string `json:"id"`
	Addr string `json:"addr"`
	// Inbound tells that the peer dialled.
	Inbound bool `json:"inbound"`
}

// Peers lists the connected peers, one line per connection.
func (n *Node) Peers() []Peer {
	var out []Peer
	for _, c := range n.host.Network().Conns() {
		out = append(out, Peer{
			ID: c.RemotePeer().String(), Addr: c.RemoteMultiaddr().String(),
			Inbound: c.Stat().Direction == network.DirInbound,
		})
	}
	return out
}
