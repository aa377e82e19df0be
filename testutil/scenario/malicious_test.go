package scenario

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/file"
	"github.com/nexara/nexara/node/blob/remote"
	"github.com/nexara/nexara/node/chain"
	"github.com/nexara/nexara/node/key"
	"github.com/nexara/nexara/node/lease"
	"github.com/nexara/nexara/node/provider"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/testutil/malicious"
	"github.com/nexara/nexara/x/tasks/verdict"
)

// impostor is a NexCore whose daemon was replaced: it has the keys and the leases, and says what it likes.
type impostor struct {
	w        *World
	client   *chain.Client
	sender   *chain.Sender
	gateways *lease.Gateways
	store    blob.Store
}

// usurp ends a machine's daemon and takes its place.
func usurp(t *testing.T, w *World, m *Machine) *impostor {
	t.Helper()
	require.NoError(t, m.Kill())
	log := slog.New(slog.DiscardHandler)
	k, err := key.Load(provider.Home(m.Home).NodeKey())
	require.NoError(t, err)
	p := &impostor{w: w}
	p.client, err = chain.New(chain.Config{RPC: w.RPC, ChainID: w.ChainID, Logger: log})
	require.NoError(t, err)
	t.Cleanup(p.client.Close)
	p.sender, err = chain.NewSender(p.client, k, chain.SenderConfig{
		FeeGranter: w.Address(m.Operator), GasPrice: provider.Default().Chain.GasPrice,
	})
	require.NoError(t, err)
	p.store, err = file.Open(file.Config{Dir: t.TempDir(), MaxBytes: 64 << 20, Logger: log})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.store.Close()) })
	client := remote.NewClient()
	t.Cleanup(client.CloseIdleConnections)
	p.gateways, err = lease.NewGateways(lease.GatewaysConfig{
		URLs: []string{w.Gateway}, Sign: k.Sign,
		Upload: func(ctx context.Context, gateway, root string) error {
			id, err := blob.Parse(root)
			if err == nil {
				_, err = remote.Upload(ctx, gateway, p.store, id, remote.Config{Client: client})
			}
			return err
		},
	})
	require.NoError(t, err)
	t.Cleanup(p.gateways.Close)
	return p
}

// send hands a message to the chain and waits for what becomes of it.
func (p *impostor) send(ctx context.Context, msg proto.Message) error {
	sent, err := p.sender.Submit(ctx, msg)
	if err != nil {
		return err
	}
	var fate error
	err = Until(ctx, time.Minute, "the transaction", func(ctx context.Context) (bool, error) {
		_, fate = p.sender.Confirm(ctx, sent.Hash)
		return fate == nil || errors.Is(fate, chain.ErrTx), fate
	})
	if fate != nil {
		return fate
	}
	return err
}

// A NexCore that ran one shard of two is paid for one, whatever it asks of the gateway and tells the chain: the real
// gateway and the real chain, each swapped step of making a result.
func TestUnrunShardsAreNotPaid(t *testing.T) {
	w, ctx := start(t, 1, nil)
	m := w.Machines[0]
	p := usurp(t, w, m)
	id, err := w.Submit(ctx, jobFile(t, 2, 1, ""))
	require.NoError(t, err)
	var l *tasksv1.Lease
	require.NoError(t, Until(ctx, time.Minute, "a lease", func(ctx context.Context) (bool, error) {
		res, err := p.client.Assignments(ctx, m.ID)
		if err == nil && len(res.Assignments) > 0 {
			l = res.Assignments[0].Lease
		}
		return l != nil, err
	}))
	require.Equal(t, id, l.JobId)
	require.EqualValues(t, 2, l.Count)
	require.NoError(t, p.send(ctx, &tasksv1.MsgAcknowledge{Node: p.sender.Address(), LeaseIds: []uint64{l.Id}}))

	for _, s := range malicious.Swaps() {
		c, err := malicious.Build(ctx, p.store, w.ChainID, l, []int{0}, s.Steps)
		require.NoError(t, err, s.Name)
		_, err = p.gateways.Vouch(ctx, c)
		require.ErrorIs(t, err, lease.ErrCustody, s.Name)
		require.ErrorContains(t, err, "result_does_not_fit", s.Name)
	}

	c, err := malicious.Build(ctx, p.store, w.ChainID, l, []int{0}, malicious.Steps{})
	require.NoError(t, err)
	receipt, err := p.gateways.Vouch(ctx, c)
	require.NoError(t, err)
	deliver := func(outcomes verdict.Outcomes) error {
		return p.send(ctx, &tasksv1.MsgDeliver{Node: p.sender.Address(), Deliveries: []*tasksv1.Delivery{{LeaseId: l.Id, Result: &tasksv1.Result{
			Root: c.Root[:], Outcomes: outcomes, Cid: c.ResultCID, Bytes: c.Bytes, Custody: receipt,
		}}}})
	}
	require.ErrorIs(t, deliver(verdict.Outcomes{3}), chain.ErrCustody, "one shard was signed for")
	require.NoError(t, deliver(c.Outcomes))

	var payouts []Payout
	require.NoError(t, Until(ctx, 2*time.Minute, "a payout", func(ctx context.Context) (bool, error) {
		payouts, err = w.Payouts(ctx, id)
		return len(payouts) > 0, err
	}))
	require.Len(t, payouts, 1)
	require.Equal(t, [3]string{"paid", "1", fmt.Sprint(l.Id)}, [3]string{payouts[0].Reason, payouts[0].Shards, payouts[0].LeaseID})
	money, err := w.Money(ctx)
	require.NoError(t, err)
	require.True(t, money.Holds, "%+v", money)
}
