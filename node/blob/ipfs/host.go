package ipfs

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
)

// ErrKeyFile means that the peer key is missing where it is needed, unreadable, or readable by others.
var ErrKeyFile = errors.New("peer key file")

// InitKey makes the peer key (Ed25519) if the file does not exist, and returns its peer id. An existing key
// is never replaced.
func InitKey(path string) (peerID string, err error) {
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(path)
	}
	if err != nil {
		return "", err
	}
	id, err := peer.IDFromPrivateKey(key)
	return id.String(), err
}

func makeKey(path string) (crypto.PrivKey, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	raw, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, err
	}
	// O_EXCL: should two processes make the key at once, one of them fails instead of overwriting.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(raw) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrKeyFile, err), os.Remove(path))
	}
	return key, nil
}

func readKey(path string) (crypto.PrivKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w %s has mode %#o, others can read it: chmod 600 it", ErrKeyFile, path, info.Mode().Perm())
	}
	if info.Size() > 1024 {
		return nil, fmt.Errorf("%w %s has %d bytes", ErrKeyFile, path, info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrKeyFile, path, err)
	}
	key, err := crypto.UnmarshalPrivateKey(raw)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrKeyFile, path, err)
	}
	return key, nil
}

// newHost starts libp2p with only what a private node needs.
func newHost(cfg Config) (host.Host, error) {
	key, err := readKey(cfg.KeyFile)
	if err != nil {
		return nil, err
	}
	announce := make([]multiaddr.Multiaddr, len(cfg.Announce))
	for i, a := range cfg.Announce {
		if announce[i], err = multiaddr.NewMultiaddr(a); err != nil {
			return nil, fmt.Errorf("announced address: %w", err)
		}
	}
	conns, err := connmgr.NewConnManager(cfg.MaxPeers*3/4, cfg.MaxPeers,
		connmgr.WithGracePeriod(time.Minute), connmgr.WithSilencePeriod(time.Minute))
	if err != nil {
		return nil, err
	}
	// The library's base limits, not scaled up with the machine's memory: 128 connections, 2,048 streams,
	// 128 MiB of buffers.
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)
	resources, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits.Scale(0, 512)), rcmgr.WithMetricsDisabled())
	if err != nil {
		return nil, err
	}
	opts := []libp2p.Option{
		libp2p.Identity(key),
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Security(libp2ptls.ID, libp2ptls.New),
		libp2p.ConnectionManager(conns),
		libp2p.ResourceManager(resources),
		libp2p.DisableRelay(),
		libp2p.ForceReachabilityPublic(), // told, so that it does not probe
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.DisableMetrics(),
		libp2p.UserAgent("nexara"),
		libp2p.ConnectionGater(gate{cfg.Allow}),
	}
	if cfg.QUIC {
		opts = append(opts, libp2p.Transport(libp2pquic.NewTransport))
	}
	if len(cfg.Listen) == 0 {
		opts = append(opts, libp2p.NoListenAddrs)
	} else {
		opts = append(opts, libp2p.ListenAddrStrings(cfg.Listen...))
	}
	if len(announce) > 0 {
		opts = append(opts, libp2p.AddrsFactory(func([]multiaddr.Multiaddr) []multiaddr.Multiaddr { return announce }))
	}
	return libp2p.New(opts...)
}

// gate is libp2p's connection gater over Config.Allow: the peer id is known before a dial, and after the
// handshake of an inbound connection.
type gate struct{ allow func(peerID string) bool }

func (g gate) ok(id peer.ID) bool { return g.allow == nil || g.allow(id.String()) }

func (g gate) InterceptPeerDial(id peer.ID) bool                   { return g.ok(id) }
func (g gate) InterceptAddrDial(peer.ID, multiaddr.Multiaddr) bool { return true }
func (g gate) InterceptAccept(network.ConnMultiaddrs) bool         { return true }
func (g gate) InterceptSecured(_ network.Direction, id peer.ID, _ network.ConnMultiaddrs) bool {
	return g.ok(id)
}
func (g gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
