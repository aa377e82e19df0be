package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nexara/nexara/node/chain"
	"github.com/nexara/nexara/node/key"
	nexcorev1 "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/testutil/scenario"
	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/nexcore/bond"
)

// gasPrice is the chain's minimum, in anex.
const gasPrice = 100_000_000

// load speaks to a world's chain with keys of its own, signed by the daemon's own code.
type load struct {
	w       *scenario.World
	client  *chain.Client
	sender  *chain.Sender
	gateway *key.Key
}

// newLoad makes a funded requester.
func newLoad(ctx context.Context, w *scenario.World) (*load, error) {
	client, err := chain.New(chain.Config{RPC: w.RPC, ChainID: w.ChainID, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	gateway, err := key.Load(filepath.Join(w.Dir, "gateway", "gateway.key"))
	if err != nil {
		return nil, err
	}
	l := &load{w: w, client: client, gateway: gateway}
	l.sender, err = l.account(ctx)
	return l, err
}

// account makes a key with money.
func (l *load) account(ctx context.Context) (*chain.Sender, error) {
	k, err := key.Generate()
	if err != nil {
		return nil, err
	}
	return l.fund(ctx, k)
}

func (l *load) fund(ctx context.Context, k *key.Key) (*chain.Sender, error) {
	if _, err := l.w.CLI(ctx, "tx", "bank", "send", scenario.Requester, k.Address(), denom.Anex(9_000*denom.UnexPerNEX).String()+denom.Base,
		"--gas", "200000", "--gas-prices", fmt.Sprint(gasPrice)+denom.Base, "--output", "json"); err != nil {
		return nil, err
	}
	h, err := l.w.Height(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.w.AwaitHeight(ctx, h+2); err != nil {
		return nil, err
	}
	return chain.NewSender(l.client, k, chain.SenderConfig{GasPrice: gasPrice, Gas: gas})
}

// gas is generous: the load must not fail for want of an estimate.
func gas(m proto.Message) uint64 {
	switch m := m.(type) {
	case *tasksv1.MsgDeliver:
		return 300_000 + 250_000*uint64(len(m.Deliveries))
	case *tasksv1.MsgAcknowledge:
		return 200_000 + 120_000*uint64(len(m.LeaseIds))
	}
	return 500_000
}

// message is a submission like that of a job on chain.
func (l *load) message(ctx context.Context, id uint64) (*tasksv1.MsgSubmit, error) {
	var res tasksv1.QueryJobResponse
	if _, err := l.client.Query(ctx, "/nexara.tasks.v1.Query/Job", &tasksv1.QueryJobRequest{Id: id}, &res); err != nil {
		return nil, err
	}
	j := res.Job
	return &tasksv1.MsgSubmit{
		Name: "bench", Shape: j.Shape, Shards: 1, Limit: j.Limit, MaxAttempts: j.MaxAttempts, WaitBlocks: 600,
		SpecCid: j.SpecCid, ImageCid: j.ImageCid, FetchBytes: j.FetchBytes,
	}, nil
}

// submitToRunning submits one job and waits until the chain says that it runs.
func (l *load) submitToRunning(ctx context.Context, template *tasksv1.MsgSubmit) (time.Duration, error) {
	begin := time.Now()
	sent, err := l.sender.Submit(ctx, template)
	if err != nil {
		return 0, err
	}
	var id uint64
	if err := poll(ctx, time.Minute, func() (bool, error) {
		id, err = l.jobOf(ctx, sent.Hash)
		return id > 0, err
	}); err != nil {
		return 0, err
	}
	err = poll(ctx, 2*time.Minute, func() (bool, error) {
		var res tasksv1.QueryJobResponse
		if _, err := l.client.Query(ctx, "/nexara.tasks.v1.Query/Job", &tasksv1.QueryJobRequest{Id: id}, &res); err != nil {
			return false, nil //nolint:nilerr // asked again
		}
		c := res.Job.Counts
		return c.Running+c.Delivered+c.Final+c.Settled > 0, nil
	})
	return time.Since(begin), err
}

// jobOf is the job that a transaction made, 0 while no block holds it.
func (l *load) jobOf(ctx context.Context, hash string) (uint64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.w.RPC+"/tx?hash=0x"+hash, nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil //nolint:nilerr // asked again
	}
	defer res.Body.Close()
	var tx struct {
		Result struct {
			TxResult struct {
				Code   uint32
				Log    string
				Events []struct {
					Type       string
					Attributes []struct{ Key, Value string }
				}
			} `json:"tx_result"`
		}
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&tx); err != nil {
		return 0, nil //nolint:nilerr // asked again
	}
	if tx.Result.TxResult.Code != 0 {
		return 0, fmt.Errorf("refused: %s", tx.Result.TxResult.Log)
	}
	for _, e := range tx.Result.TxResult.Events {
		for _, a := range e.Attributes {
			if e.Type == "nexara_job_submitted" && a.Key == "job" {
				return strconv.ParseUint(a.Value, 10, 64)
			}
		}
	}
	return 0, nil
}

func poll(ctx context.Context, within time.Duration, done func() (bool, error)) error {
	return pollEach(ctx, 25*time.Millisecond, within, done)
}

func pollEach(ctx context.Context, pause, within time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// totals are the market's running sums.
func (l *load) totals(ctx context.Context) (*tasksv1.Totals, error) {
	var res tasksv1.QueryMarketResponse
	_, err := l.client.Query(ctx, "/nexara.tasks.v1.Query/Market", &tasksv1.QueryMarketRequest{}, &res)
	return res.GetTotals(), err
}

// register makes a stub NexCore: the chain's side of one, with no machine behind it.
func (l *load) register(ctx context.Context) (*stub, error) {
	operator, err := key.Generate()
	if err != nil {
		return nil, err
	}
	owner, err := l.fund(ctx, operator)
	if err != nil {
		return nil, err
	}
	node, err := key.Generate()
	if err != nil {
		return nil, err
	}
	hot, err := l.fund(ctx, node)
	if err != nil {
		return nil, err
	}
	proof, err := bond.Registration{ChainID: l.w.ChainID, Operator: operator.Address(), NodePubkey: node.PublicKey()}.Message()
	if err != nil {
		return nil, err
	}
	if _, err := owner.Submit(ctx, &nexcorev1.MsgRegister{
		Operator: operator.Address(), NodePubkey: node.PublicKey(), NodeProof: node.Sign(proof), Bond: 5_000 * denom.UnexPerNEX,
		Spec: &nexcorev1.Spec{
			Arch: "amd64", CpuMilli: 1_000_000, MemoryMib: 1 << 24, DiskMib: 1 << 20, Runtimes: []string{"wasm"}, Region: "local",
			Benchmark: &nexcorev1.Benchmark{},
		},
	}); err != nil {
		return nil, err
	}
	s := &stub{load: l, node: node, sender: hot, sent: map[uint64]bool{}}
	err = poll(ctx, time.Minute, func() (bool, error) {
		record, err := l.client.NexCoreByNode(ctx, node.Address())
		if err != nil {
			return false, nil //nolint:nilerr // not registered yet
		}
		s.id = record.Id
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	_, err = hot.Submit(ctx, &tasksv1.MsgPostOffer{
		Node: node.Address(), Ask: &tasksv1.Ask{CpuMilli: denom.AnexPerUnex / 100}, MaxRunSeconds: 3_600, Runtimes: []string{"wasm"},
		Capacity: &tasksv1.Resources{CpuMilli: 1_000_000, MemoryMib: 1 << 24, DiskMib: 1 << 20},
	})
	return s, err
}
