package ipfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"

	"github.com/nexara/nexara/node/blob"
)

// Stream is a two-way byte stream to a peer, encrypted and authenticated.
type Stream interface {
	io.ReadWriteCloser
	// CloseWrite tells the peer that nothing more comes; reading goes on.
	CloseWrite() error
	// SetDeadline bounds reads and writes.
	SetDeadline(time.Time) error
	// Reset ends the stream at once; the peer sees an error, not an end.
	Reset() error
}

// Handle serves a protocol: h is called in a goroutine of its own for each stream that a peer opens, and the
// stream is closed when it returns. h must bound what it reads and set deadlines.
func (n *Node) Handle(proto string, h func(peerID string, s Stream)) {
	n.host.SetStreamHandler(protocol.ID(proto), func(s network.Stream) {
		defer s.Close()
		h(s.Conn().RemotePeer().String(), s)
	})
}

// Dial opens a stream to a peer that is connected or in the set of peers. ErrUnavailable when the peer cannot
// be reached, ErrUnsupported when it does not speak the protocol, ErrTimeout when ctx runs out.
func (n *Node) Dial(ctx context.Context, peerID, proto string) (Stream, error) {
	id, err := peer.Decode(peerID)
	if err != nil {
		return nil, fmt.Errorf("peer id %.80q: %w: %w", peerID, blob.ErrInvalid, err)
	}
	if err := n.host.Connect(ctx, peer.AddrInfo{ID: id}); err != nil {
		return nil, n.dialErr(ctx, peerID, err)
	}
	s, err := n.host.NewStream(ctx, id, protocol.ID(proto))
	if errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}) {
		return nil, fmt.Errorf("peer %s does not speak %s: %w", peerID, proto, blob.ErrUnsupported)
	}
	if err != nil {
		return nil, n.dialErr(ctx, peerID, err)
	}
	return s, nil
}

func (n *Node) dialErr(ctx context.Context, peerID string, err error) error {
	if ended := blob.ContextErr(ctx); ended != nil {
		return fmt.Errorf("dial %s: %w", peerID, ended)
	}
	return fmt.Errorf("dial %s: %w: %w", peerID, blob.ErrUnavailable, err)
}
