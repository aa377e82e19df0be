package keeper_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"pgregory.net/rapid"

	sdk "github.com/cosmos/cosmos-sdk/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"

	"github.com/nexara/nexara/app"
	"github.com/nexara/nexara/testutil/audit"
	"github.com/nexara/nexara/testutil/network"
	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"
	reputationtypes "github.com/nexara/nexara/x/reputation/types"
	"github.com/nexara/nexara/x/tasks/keeper"
	"github.com/nexara/nexara/x/tasks/types"
)

// TestMain keeps the number of random sequences to what two cores check in a minute, and their seed the same in
// every run; -rapid.checks and -rapid.seed override (seed 0 draws one).
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.checks": "8", "rapid.seed": "20261125"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	flag.Parse()
	os.Exit(m.Run())
}

// No coin is made or lost and no record contradicts another: random messages of requesters, operators, NexCores and
// governance, in random order and number, honest and not, through an export and import in the middle. After every
// block a full scan checks money, locks, capacity and counts, nothing failed in EndBlock, and an auditor that sees
// events alone gets the block's hash of outcomes; at the end everything has ended, is deleted, and every score is the
// auditor's. Shadow applications follow every block, so each sequence is a determinism test too.
func TestRandomSequences(t *testing.T) {
	t.Logf("-rapid.seed=%s -rapid.checks=%s", flag.Lookup("rapid.seed").Value, flag.Lookup("rapid.checks").Value)
	steps := 30
	if testing.Short() {
		steps = 10
	}
	rapid.Check(t, func(t *rapid.T) {
		w := newWalk(t)
		cut := rapid.IntRange(steps/3, steps-1).Draw(t, "import")
		for i := range steps {
			var txs [][]byte
			for range rapid.IntRange(0, 6).Draw(t, "transactions") {
				for _, s := range w.step() {
					txs = append(txs, w.Sign(s.from, s.msg))
				}
			}
			w.block(txs...)
			if i == cut {
				w.reimport()
			}
		}
		for blocks := 0; !w.ended(); blocks++ {
			if blocks > 250 {
				t.Fatalf("not everything has ended after %d blocks: %+v", blocks, w.totals())
			}
			w.block()
		}
		w.checkScores()
	})
}

// walk draws messages and checks what comes of them.
type walk struct {
	*market
	t     *rapid.T
	audit *audit.Auditor
	sent  []types.Delivery
}

type signed struct {
	from *network.Account
	msg  sdk.Msg
}

func newWalk(t *rapid.T) *walk {
	opts := network.Options{RestartEvery: 6, Accounts: []string{"op-3", "node-3", "node-4"}}
	reputation := reputationtypes.DefaultParams()
	reputation.EpochBlocks, reputation.HalfLifeEpochs, reputation.Unit = 9, 2, 20
	opts.Genesis = func(enc app.Encoding, state app.GenesisState) error {
		if err := network.EditGenesis(enc, state, reputationtypes.ModuleName, &reputationtypes.GenesisState{}, func(g *reputationtypes.GenesisState) error {
			g.Params = reputation
			return nil
		}); err != nil {
			return err
		}
		if err := network.EditGenesis(enc, state, nexcoretypes.ModuleName, &nexcoretypes.GenesisState{}, func(g *nexcoretypes.GenesisState) error {
			g.Params.JailBlocks = 4
			return nil
		}); err != nil {
			return err
		}
		return network.EditGenesis(enc, state, govtypes.ModuleName, &govv1.GenesisState{}, func(g *govv1.GenesisState) error {
			voting, expedited := 2*time.Second, time.Second
			g.Params.VotingPeriod, g.Params.ExpeditedVotingPeriod = &voting, &expedited
			return nil
		})
	}
	m := newMarket(t, 3, func(p *types.Params) { drawParams(t, p) }, opts)
	return &walk{market: m, t: t, audit: audit.New(reputation, m.Height())}
}

// drawParams draws parameters inside their bounds under which budgets are short and windows pass soon.
func drawParams(t *rapid.T, p *types.Params) {
	p.LeaseMax = rapid.Int64Range(1, 6).Draw(t, "lease_max")
	p.BookCharge = rapid.SampledFrom([]int64{0, 1, 60}).Draw(t, "book_charge")
	p.BurnPpm = rapid.SampledFrom([]int64{0, 50_000, 1_000_000}).Draw(t, "burn_ppm")
	p.ReservationPpm = rapid.SampledFrom([]int64{0, 10_000, 1_000_000}).Draw(t, "reservation_ppm")
	p.UnavailableOperators = rapid.SampledFrom([]uint32{1, 1, 2, 3}).Draw(t, "unavailable_operators")
	p.DisputeWindow = rapid.Int64Range(1, 5).Draw(t, "dispute_window")
	p.MaxSettle, p.MaxExpire = rapid.Int64Range(1, 3).Draw(t, "max_settle"), rapid.Int64Range(3, 8).Draw(t, "max_expire")
	p.MaxEntries, p.MaxMatches = rapid.Int64Range(3, 30).Draw(t, "max_entries"), rapid.Int64Range(2, 20).Draw(t, "max_matches")
	p.MaxPrune, p.MaxOffers = 3, rapid.Int64Range(2, 5).Draw(t, "max_offers")
	p.OfferTtlBlocks = rapid.SampledFrom([]int64{15, 600}).Draw(t, "offer_ttl_blocks")
	p.LeaseCapBase, p.LeaseCapStep, p.LeaseCapMax = 3, 1, 6
	p.MissesToJail, p.RetentionBlocks, p.MaxAttempts, p.BackoffMaxBlocks = 2, 6, 4, 8
}

// block runs a block and checks it.
func (w *walk) block(txs ...[]byte) {
	w.Block(txs...)
	w.check()
}

// check looks at the last block.
func (w *walk) check() {
	w.checkMoney()
	if err := w.checkRecords(); err != nil {
		w.t.Fatalf("height %d: %v", w.Height(), err)
	}
	block := w.LastBlock()
	var events []abci.Event
	for _, tx := range block.Txs {
		events = append(events, tx.Events...)
	}
	for _, e := range block.Events {
		if e.Type == keeper.EventItemFailed || e.Type == keeper.EventClearingFallback {
			w.t.Fatalf("height %d: %v", block.Height, e)
		}
	}
	var stored *reputationtypes.OutcomesHash
	query := reputationtypes.NewQueryClient(w.Conn())
	if res, err := query.OutcomesHash(context.Background(), &reputationtypes.QueryOutcomesHashRequest{Height: block.Height}); err == nil {
		stored = &res.OutcomesHash
	}
	if err := w.audit.Block(block.Height, append(events, block.Events...), stored); err != nil {
		w.t.Fatalf("%v", err)
	}
	for _, name := range []string{"node-3", "node-4"} {
		w.meet(w.Account(name))
	}
}

// meet notes a NexCore that has registered.
func (w *walk) meet(node *network.Account) {
	n, err := w.App.NexCoreKeeper.NexCoreByNode(w.Context(), node.String())
	if err != nil {
		return
	}
	for _, s := range w.nexcores {
		if s.id == n.Id {
			return
		}
	}
	for i := range 4 {
		if op := w.Account(fmt.Sprintf("op-%d", i)); op.String() == n.Operator {
			w.nexcores = append(w.nexcores, &stub{id: n.Id, operator: op, node: node})
		}
	}
}

// checkRecords compares what is counted with what is counted from.
func (w *walk) checkRecords() error {
	state, err := w.App.TasksKeeper.ExportGenesis(w.Context())
	if err != nil {
		return err
	}
	jobs, deleting := map[uint64]types.Job{}, map[uint64]bool{}
	counts, standings, locked := map[uint64]types.ShardCounts{}, map[uint64]types.Standing{}, map[uint64]int64{}
	for _, tomb := range state.Tombstones {
		deleting[tomb.JobId] = true
	}
	for _, j := range state.Jobs {
		jobs[j.Id] = j
		if settled := j.Counts.Settled == j.Shards; settled != (j.EndedHeight > 0) {
			return fmt.Errorf("job %d has ended in block %d with %d of %d shards settled", j.Id, j.EndedHeight, j.Counts.Settled, j.Shards)
		}
	}
	for _, r := range state.Ranges {
		c := counts[r.JobId]
		*map[types.ShardState]*int64{
			types.SHARD_STATE_OPEN: &c.Open, types.SHARD_STATE_LEASED: &c.Leased, types.SHARD_STATE_RUNNING: &c.Running,
			types.SHARD_STATE_DELIVERED: &c.Delivered, types.SHARD_STATE_FINAL: &c.Final, types.SHARD_STATE_SETTLED: &c.Settled,
		}[r.State] += r.Count
		counts[r.JobId] = c
	}
	for id, j := range jobs {
		c := counts[id]
		if c.Paid = j.Counts.Paid; c != j.Counts && !deleting[id] {
			return fmt.Errorf("job %d counts %+v, its shards are %+v", id, j.Counts, c)
		}
	}
	for _, l := range state.Leases {
		s := standings[l.NexcoreId]
		switch l.State {
		case types.LEASE_STATE_ASSIGNED, types.LEASE_STATE_ACKNOWLEDGED:
			need := jobs[l.JobId].Shape.Need
			s.LiveLeases++
			s.Used.CpuMilli += need.CpuMilli * l.Count
			s.Used.MemoryMib += need.MemoryMib * l.Count
		case types.LEASE_STATE_SETTLED, types.LEASE_STATE_CLOSED:
			continue
		default: // delivered or final: only the lock is held
		}
		s.OpenLeases++
		standings[l.NexcoreId], locked[l.NexcoreId] = s, locked[l.NexcoreId]+l.Price*l.Count
	}
	for _, s := range state.Standings {
		want := standings[s.NexcoreId]
		if s.LiveLeases != want.LiveLeases || s.OpenLeases != want.OpenLeases || s.Used != want.Used {
			return fmt.Errorf("NexCore %d counts %+v, its leases are %+v", s.NexcoreId, s, want)
		}
	}
	for _, s := range w.nexcores {
		n, err := w.App.NexCoreKeeper.GetNexCore(w.Context(), s.id)
		if err != nil || n.Locked != locked[s.id] {
			return fmt.Errorf("NexCore %d has %d locked, its leases promise %d: %w", s.id, n.Locked, locked[s.id], err)
		}
	}
	return nil
}

// checkScores compares every score with the auditor's.
func (w *walk) checkScores() {
	subjects := []string{}
	for _, s := range w.nexcores {
		subjects = append(subjects, reputationtypes.NexCoreSubject(s.id))
	}
	for _, name := range []string{"alice", "bob", "carol"} {
		subjects = append(subjects, reputationtypes.RequesterSubject(w.Account(name).String()))
	}
	for _, subject := range subjects {
		res, err := reputationtypes.NewQueryClient(w.Conn()).Scores(context.Background(), &reputationtypes.QueryScoresRequest{Subject: subject})
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		for _, s := range res.Scores {
			if ppm, lower := w.audit.Score(subject, s.Dimension); ppm != s.ScorePpm || lower != s.LowerPpm {
				w.t.Fatalf("%s of %s is %d, at least %d; the auditor says %d, %d", s.Dimension, subject, s.ScorePpm, s.LowerPpm, ppm, lower)
			}
		}
	}
}

// reimport goes on with a chain that starts from this one's export.
func (w *walk) reimport() {
	w.checkScores()
	w.Chain = network.New(w.t, w.Export())
	w.gateway = w.Account("gateway")
	for _, s := range w.nexcores {
		s.operator, s.node = w.Account(s.operator.Name), w.Account(s.node.Name)
	}
	w.check()
}

// ended says that nothing waits, runs or is owed, and that the records of ended jobs are deleted.
func (w *walk) ended() bool {
	if t := w.totals(); t.LiveLeases != 0 || t.OpenShards != 0 || t.Escrow != 0 {
		return false
	}
	state, err := w.App.TasksKeeper.ExportGenesis(w.Context())
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	return len(state.Jobs)+len(state.Ranges)+len(state.Leases)+len(state.Payouts)+len(state.Shapes) == 0
}
