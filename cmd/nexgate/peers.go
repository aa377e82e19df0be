package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nexara/nexara/node/blob/ipfs"
	"github.com/nexara/nexara/node/chain"
	"github.com/nexara/nexara/node/gateway"
	nexcorev1 "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

// ledger is what the gateway asks the chain.
type ledger struct{ client *chain.Client }

var _ gateway.Ledger = ledger{}

// Lease returns one lease.
func (l ledger) Lease(ctx context.Context, id uint64) (*tasksv1.Lease, error) {
	lease, err := l.client.Lease(ctx, id)
	return lease, known(err)
}

// NexCore returns one NexCore of the registry.
func (l ledger) NexCore(ctx context.Context, id uint64) (*nexcorev1.NexCore, error) {
	var res nexcorev1.QueryNexCoreResponse
	_, err := l.client.Query(ctx, "/nexara.nexcore.v1.Query/NexCore", &nexcorev1.QueryNexCoreRequest{Id: id}, &res)
	return res.GetNexcore(), known(err)
}

// known tells a record that is not there from a chain that does not answer.
func known(err error) error {
	if errors.Is(err, chain.ErrNotFound) {
		return fmt.Errorf("%w: %w", gateway.ErrLease, err)
	}
	return err
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
