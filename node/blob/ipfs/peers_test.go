package ipfs

import (
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob/blobtest"
)

// Two dials of one peer run side by side when Connect meets the dialer's own attempt: neither may take the
// addresses from under the other, and an address that is no longer named is forgotten.
func TestDialsOfOnePeerAtOnce(t *testing.T) {
	a, b := start(t, t.TempDir(), 1<<20), start(t, t.TempDir(), 1<<20)
	t.Cleanup(func() { require.NoError(t, a.Close()); require.NoError(t, b.Close()) })
	infos, err := parsePeers(a.Addrs()[:1])
	require.NoError(t, err)
	old, err := multiaddr.NewMultiaddr("/ip4/127.0.0.1/tcp/1")
	require.NoError(t, err)
	id := infos[0].ID
	require.NoError(t, b.dialer.dial(blobtest.Context(t), infos[0]))
	b.host.Peerstore().AddAddrs(id, []multiaddr.Multiaddr{old}, peerstore.PermanentAddrTTL)
	stop := make(chan struct{})
	var seen sync.WaitGroup
	seen.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if len(b.host.Peerstore().Addrs(id)) == 0 {
					t.Error("a dial left the peer without an address")
					return
				}
			}
		}
	})
	var dials sync.WaitGroup
	for range 4 {
		dials.Go(func() {
			for range 200 {
				if err := b.dialer.dial(blobtest.Context(t), peer.AddrInfo{ID: id, Addrs: infos[0].Addrs}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	dials.Wait()
	close(stop)
	seen.Wait()
	require.NotContains(t, b.host.Peerstore().Addrs(id), old)
	require.Eventually(t, func() bool { return len(a.host.Network().Peers()) == 1 }, 10*time.Second, time.Millisecond)
}
