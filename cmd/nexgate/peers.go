package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nexara/nexara/node/blob/ipfs"
	"github.com/nexara/nexara/node/chain"
	nexcorev1 "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1"
)

// ledger is what the gateway asks the chain.
type ledger struct{ *chain.Client }

// NexCore returns one NexCore of the registry.
func (l ledger) NexCore(ctx context.Context, id uint64) (*nexcorev1.NexCore, error) {
	var res nexcorev1.QueryNexCoreResponse
	_, err := l.Query(ctx, "/nexara.nexcore.v1.Query/NexCore", &nexcorev1.QueryNexCoreRequest{Id: id}, &res)
	return res.GetNexcore(), err
}

// peers reaches NexCores over the gateway's own IPFS node.
type peers struct{ node *ipfs.Node }

// Connect tries the addresses in turn; each ends in /p2p/ID.
func (p peers) Connect(ctx context.Context, addrs []string) error {
	err := errors.New("no address")
	for _, addr := range addrs {
		if err = p.node.Connect(ctx, addr); err == nil {
			return nil
		}
	}
	return err
}

// OpenStream connects and opens a stream.
func (p peers) OpenStream(ctx context.Context, addrs []string, protocol string) (io.ReadWriteCloser, error) {
	if err := p.Connect(ctx, addrs); err != nil {
		return nil, err
	}
	for _, addr := range addrs {
		if i := strings.LastIndex(addr, "/p2p/"); i >= 0 {
			return p.node.Dial(ctx, addr[i+len("/p2p/"):], protocol)
		}
	}
	return nil, fmt.Errorf("no address names its peer: %v", addrs)
}
