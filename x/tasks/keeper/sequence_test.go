package keeper_test

import (
	"flag"
	"os"
	"testing"

	"pgregory.net/rapid"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/testutil/network"
	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"
	"github.com/nexara/nexara/x/tasks/types"
)

// TestMain keeps the number of random sequences to what two cores check in a minute; -rapid.checks overrides.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "8"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}

// No coin is made or lost: random messages of requesters, operators and NexCores, in random order and number,
// honest and not, with the money law checked by a full scan after every block. The seed of a failure is
// printed by rapid. Shadow applications follow every block, so each sequence is a determinism test too.
func TestRandomSequencesKeepTheMoneyLaw(t *testing.T) {
	steps := 25
	if testing.Short() {
		steps = 10
	}
	rapid.Check(t, func(t *rapid.T) {
		m := newMarket(t, 3, func(p *types.Params) {
			p.LeaseMax = rapid.Int64Range(1, 4).Draw(t, "lease_max")
			p.MissesToJail, p.MaxSettle, p.MaxExpire, p.MaxPrune = 2, 2, 3, 2
			p.BookCharge = rapid.Int64Range(0, 60).Draw(t, "book_charge")
			p.RetentionBlocks, p.MaxAttempts = 6, 4
		}, network.Options{RestartEvery: 4})
		w := &walk{market: m, t: t}
		for range steps {
			var txs [][]byte
			for range rapid.IntRange(0, 4).Draw(t, "transactions") {
				if from, msg := w.step(); msg != nil {
					txs = append(txs, m.Sign(from, msg))
				}
			}
			m.Block(txs...)
			m.checkMoney()
		}
		m.Advance(60) // deadlines pass, windows close, records are pruned
		m.checkMoney()
		res, err := m.App.TasksKeeper.Money(m.Context())
		if err != nil || res.Totals.LiveLeases != 0 || res.Totals.OpenShards != 0 || res.Totals.Escrow != 0 {
			t.Fatalf("after everything has ended: %+v, %v", res, err)
		}
	})
}

// walk draws messages.
type walk struct {
	*market
	t    *rapid.T
	jobs uint64
}

func (w *walk) step() (*network.Account, sdk.Msg) {
	t := w.t
	who := w.Account(rapid.SampledFrom([]string{"alice", "bob", "carol"}).Draw(t, "requester"))
	s := rapid.SampledFrom(w.nexcores).Draw(t, "nexcore")
	job := rapid.Uint64Range(1, max(w.jobs, 1)).Draw(t, "job")
	live := w.live(s)
	switch rapid.SampledFrom([]string{
		"submit", "submit", "submit", "ack", "ack", "deliver", "deliver", "deliver", "decline", "cancel", "top-up",
		"offer", "withdraw", "drain", "unbond", "unjail",
	}).Draw(t, "step") {
	case "submit":
		msg := jobOf(who, rapid.Int64Range(1, 9).Draw(t, "shards"), rapid.Int64Range(1, 2_000).Draw(t, "limit"))
		msg.WaitBlocks = rapid.Int64Range(1, 20).Draw(t, "wait")
		msg.MaxAttempts = rapid.Uint32Range(1, 4).Draw(t, "attempts")
		msg.Shape.RunSeconds = rapid.Int64Range(1, 5).Draw(t, "seconds")
		w.jobs++
		return who, msg
	case "ack":
		msg := &types.MsgAcknowledge{Node: s.node.String()}
		for _, l := range live {
			msg.LeaseIds = append(msg.LeaseIds, l.Id)
		}
		return s.node, msg
	case "deliver":
		if len(live) == 0 {
			return nil, nil
		}
		l := rapid.SampledFrom(live).Draw(t, "lease")
		var lost []int
		for i := range int(l.Count) {
			if rapid.IntRange(0, 4).Draw(t, "lost") == 0 {
				lost = append(lost, i)
			}
		}
		return s.node, &types.MsgDeliver{Node: s.node.String(), Deliveries: []types.Delivery{w.delivery(l, lost...)}}
	case "decline":
		if len(live) == 0 {
			return nil, nil
		}
		return s.node, &types.MsgDecline{
			Node: s.node.String(), LeaseId: rapid.SampledFrom(live).Draw(t, "lease").Id,
			Reason: types.DeclineReason(rapid.IntRange(1, 4).Draw(t, "reason")),
		}
	case "cancel":
		return who, &types.MsgCancel{Requester: who.String(), JobId: job}
	case "top-up":
		return who, &types.MsgTopUp{Requester: who.String(), JobId: job, Limit: rapid.Int64Range(1, 3_000).Draw(t, "limit")}
	case "offer":
		return s.node, offerOf(s, rapid.Uint64Range(0, 300).Draw(t, "price"),
			types.Resources{CpuMilli: rapid.Int64Range(0, 6_000).Draw(t, "cpu"), MemoryMib: 4_096})
	case "withdraw":
		return s.node, &types.MsgWithdrawOffer{Node: s.node.String()}
	case "drain":
		return s.operator, &nexcoretypes.MsgDrain{Signer: s.operator.String(), NexcoreId: s.id, Drain: rapid.Bool().Draw(t, "drain")}
	case "unbond":
		return s.operator, &nexcoretypes.MsgUnbond{Operator: s.operator.String(), NexcoreId: s.id, Amount: rapid.Int64Range(1, 1_000_000_000).Draw(t, "amount")}
	default:
		return s.operator, &nexcoretypes.MsgUnjail{Operator: s.operator.String(), NexcoreId: s.id}
	}
}

// A chain that is exported and imported behaves as the one that goes on: the same leases, deadlines and money.
func TestGenesisKeepsBehaviour(t *testing.T) {
	m := newMarket(t, 2, func(p *types.Params) { p.LeaseMax = 2 }, network.Options{NoShadows: true})
	alice := m.Account("alice")
	running := m.submit(jobOf(alice, 3, 1_000))
	waiting := m.submit(jobOf(m.Account("bob"), 30, 1_000))
	m.ack(m.leases(running)[0])
	m.deliver(m.leases(running)[1])
	imported := network.New(t, m.Export())
	after, err := imported.App.TasksKeeper.ExportGenesis(imported.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.Advance(1) // as the imported chain has done
	before, err := m.App.TasksKeeper.ExportGenesis(m.Context())
	if err != nil {
		t.Fatal(err)
	}
	before.Seed, after.Seed, before.LastClearing, after.LastClearing = nil, nil, types.Clearing{}, types.Clearing{}
	if before.String() != after.String() {
		t.Fatalf("exported:\n%s\nimported:\n%s", before, after)
	}
	for _, c := range []*market{m, {Chain: imported, t: t, gateway: m.gateway, nexcores: m.nexcores}} {
		c.Advance(60)
		for _, id := range []uint64{running, waiting} {
			j := c.job(id)
			if j.Counts.Settled != j.Shards || j.Escrow != 0 {
				t.Fatalf("job %d: %+v", id, j)
			}
		}
		c.checkMoney()
	}
	if paid := m.job(running).Counts.Paid; paid == 0 {
		t.Fatal("nothing was paid")
	}
}
