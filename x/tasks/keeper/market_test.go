package keeper_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/cosmos/cosmos-sdk/codec"

	"github.com/nexara/nexara/testutil/network"
	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/nexcore/bond"
	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"
	"github.com/nexara/nexara/x/tasks/types"
	"github.com/nexara/nexara/x/tasks/verdict"
)

// A CIDv1 that parses; what it names is for the daemons.
const someCID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"

// market is a chain with stub NexCores: the real application and real signed transactions, where only the
// machines behind the node keys are missing.
type market struct {
	*network.Chain
	t        network.TB
	gateway  *network.Account
	nexcores []*stub
}

// stub is a NexCore that says what it is told.
type stub struct {
	id             uint64
	operator, node *network.Account
}

// fast are parameters under which every path of the market is reached within a few blocks.
func fast(p *types.Params) {
	p.AckBaseBlocks, p.GraceBlocks, p.DisputeWindow, p.AskDelay = 3, 4, 5, 1
	p.BackoffBaseBlocks, p.BookRefreshBlocks, p.RetentionBlocks = 2, 5, 40
}

// newMarket starts a chain with n stub NexCores of different operators, each with an offer in force.
func newMarket(t network.TB, n int, change func(*types.Params), opts network.Options) *market {
	t.Helper()
	params := types.DefaultParams()
	fast(&params)
	if change != nil {
		change(&params)
	}
	params.Gateways = [][]byte{network.NamedKey("gateway").PubKey().Bytes()}
	accounts := append([]string{"alice", "bob", "carol"}, opts.Accounts...)
	for i := range n {
		accounts = append(accounts, fmt.Sprintf("op-%d", i), fmt.Sprintf("node-%d", i))
	}
	opts.Accounts = accounts
	opts.Patch = patch(t, params)
	m := &market{Chain: network.New(t, opts), t: t}
	m.gateway = m.Account("gateway")
	for i := range n {
		m.join(i, 100, types.Resources{CpuMilli: 4_000, MemoryMib: 4_096, DiskMib: 4_096})
	}
	if n > 0 {
		m.Advance(int(params.AskDelay) + 1)
	}
	return m
}

// patch writes parameters as a genesis does: 64-bit numbers are strings there.
func patch(t network.TB, params types.Params) json.RawMessage {
	t.Helper()
	bz, err := codec.ProtoMarshalJSON(&params, nil)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return json.RawMessage(fmt.Sprintf(`{"tasks":{"params":%s}}`, bz))
}

// join registers a NexCore and posts its offer; price is in micro-NEX per core and second.
func (m *market) join(i int, price uint64, capacity types.Resources) *stub {
	m.t.Helper()
	return m.enlist(m.Account(fmt.Sprintf("op-%d", i)), m.Account(fmt.Sprintf("node-%d", i)), i, price, capacity)
}

// enlist is join for any two accounts.
func (m *market) enlist(operator, node *network.Account, region int, price uint64, capacity types.Resources) *stub {
	m.t.Helper()
	s := &stub{operator: operator, node: node}
	m.MustDeliver(s.operator, m.registration(operator, node, region))
	res, err := nexcoretypes.NewQueryClient(m.Conn()).ByNodeAddress(context.Background(),
		&nexcoretypes.QueryByNodeAddressRequest{NodeAddress: s.node.String()})
	if err != nil {
		m.t.Fatalf("%v", err)
	}
	s.id = res.Nexcore.Id
	m.offer(s, price, capacity)
	m.nexcores = append(m.nexcores, s)
	return s
}

// registration is a NexCore's, with the proof of its node key.
func (m *market) registration(operator, node *network.Account, region int) *nexcoretypes.MsgRegister {
	m.t.Helper()
	pubkey := node.Key.PubKey().Bytes()
	msg, err := bond.Registration{ChainID: network.ChainID, Operator: operator.String(), NodePubkey: pubkey}.Message()
	if err != nil {
		m.t.Fatalf("%v", err)
	}
	proof, err := node.Key.Sign(msg)
	if err != nil {
		m.t.Fatalf("%v", err)
	}
	return &nexcoretypes.MsgRegister{
		Operator: operator.String(), NodePubkey: pubkey, NodeProof: proof, Bond: 1_000 * denom.UnexPerNEX, Spec: specOf(region),
	}
}

func specOf(region int) nexcoretypes.Spec {
	return nexcoretypes.Spec{
		Arch: "amd64", CpuMilli: 64_000, MemoryMib: 1 << 20, DiskMib: 1 << 20, Runtimes: []string{"wasm"},
		Region: []string{"eu-west", "us-east", "ap-south"}[region%3],
	}
}

func (m *market) offer(s *stub, price uint64, capacity types.Resources) {
	m.t.Helper()
	m.MustDeliver(s.node, offerOf(s, price, capacity))
}

func offerOf(s *stub, price uint64, capacity types.Resources) *types.MsgPostOffer {
	return &types.MsgPostOffer{
		Node: s.node.String(), Ask: types.Ask{CpuMilli: price * denom.AnexPerUnex / 1_000}, Capacity: capacity,
		Runtimes: []string{"wasm"}, MaxRunSeconds: 3_600,
	}
}

// jobOf is a job of small shards that cost price*seconds each.
func jobOf(from *network.Account, shards, limit int64) *types.MsgSubmit {
	return &types.MsgSubmit{
		Requester: from.String(), Name: "test", Shards: shards, Limit: limit, MaxAttempts: 3, WaitBlocks: 50,
		SpecCid: someCID, ImageCid: someCID,
		Shape: types.Shape{Need: types.Resources{CpuMilli: 1_000, MemoryMib: 64}, Runtime: "wasm", RunSeconds: 2},
	}
}

// submit puts a job into the market and returns its number.
func (m *market) submit(msg *types.MsgSubmit) uint64 {
	m.t.Helper()
	for _, name := range []string{"alice", "bob", "carol"} {
		if a := m.Account(name); a.String() == msg.Requester {
			id, err := strconv.ParseUint(value(m.MustDeliver(a, msg).Events, "nexara_job_submitted", "job"), 10, 64)
			if err != nil {
				m.t.Fatalf("%v", err)
			}
			return id
		}
	}
	m.t.Fatalf("no account %s", msg.Requester)
	return 0
}

func value(events []abci.Event, kind, key string) string {
	for _, e := range events {
		if e.Type == kind {
			for _, a := range e.Attributes {
				if a.Key == key {
					return a.Value
				}
			}
		}
	}
	return ""
}

func (m *market) query() types.QueryClient { return types.NewQueryClient(m.Conn()) }

func (m *market) job(id uint64) types.Job {
	m.t.Helper()
	res, err := m.query().Job(context.Background(), &types.QueryJobRequest{Id: id})
	if err != nil {
		m.t.Fatalf("job %d: %v", id, err)
	}
	return res.Job
}

func (m *market) state(job uint64) string {
	m.t.Helper()
	res, err := m.query().Job(context.Background(), &types.QueryJobRequest{Id: job})
	if err != nil {
		m.t.Fatalf("job %d: %v", job, err)
	}
	return res.State
}

func (m *market) shards(job uint64) []types.ShardRange {
	m.t.Helper()
	res, err := m.query().Shards(context.Background(), &types.QueryShardsRequest{JobId: job})
	if err != nil {
		m.t.Fatalf("shards of job %d: %v", job, err)
	}
	return res.Ranges
}

func (m *market) standing(s *stub) types.Standing {
	m.t.Helper()
	res, err := m.query().Offer(context.Background(), &types.QueryOfferRequest{NexcoreId: s.id})
	if err != nil {
		m.t.Fatalf("offer of NexCore %d: %v", s.id, err)
	}
	return res.Standing
}

func (m *market) totals() types.Totals {
	m.t.Helper()
	res, err := m.query().Money(context.Background(), &types.QueryMoneyRequest{})
	if err != nil {
		m.t.Fatalf("money: %v", err)
	}
	return res.Totals
}

func (m *market) leases(job uint64) []types.Lease {
	m.t.Helper()
	res, err := m.query().Leases(context.Background(), &types.QueryLeasesRequest{JobId: job})
	if err != nil {
		m.t.Fatalf("leases of job %d: %v", job, err)
	}
	return res.Leases
}

func (m *market) payouts(job uint64) []types.Payout {
	m.t.Helper()
	res, err := m.query().Payouts(context.Background(), &types.QueryPayoutsRequest{JobId: job})
	if err != nil {
		m.t.Fatalf("payouts of job %d: %v", job, err)
	}
	return res.Payouts
}

// live returns a stub's live leases.
func (m *market) live(s *stub) []types.Lease {
	m.t.Helper()
	res, err := m.query().Assignments(context.Background(), &types.QueryAssignmentsRequest{NexcoreId: s.id})
	if err != nil {
		m.t.Fatalf("assignments: %v", err)
	}
	var out []types.Lease
	for _, a := range res.Assignments {
		out = append(out, a.Lease)
	}
	return out
}

func (m *market) stub(id uint64) *stub {
	for _, s := range m.nexcores {
		if s.id == id {
			return s
		}
	}
	m.t.Fatalf("no NexCore %d", id)
	return nil
}

func (m *market) ack(l types.Lease) {
	m.t.Helper()
	s := m.stub(l.NexcoreId)
	m.MustDeliver(s.node, &types.MsgAcknowledge{Node: s.node.String(), LeaseIds: []uint64{l.Id}})
}

// delivery is a result with a receipt of the gateway; shards in lost were not run.
func (m *market) delivery(l types.Lease, lost ...int) types.Delivery {
	m.t.Helper()
	outcomes, err := verdict.NewOutcomes(int(l.Count))
	if err != nil {
		m.t.Fatalf("%v", err)
	}
	leaves := make([][]byte, l.Count)
	gone := map[int]bool{}
	for _, i := range lost {
		gone[i] = true
	}
	for i := range int(l.Count) {
		leaves[i] = fmt.Appendf(nil, "manifest of shard %d", l.First+int64(i))
		if !gone[i] {
			if err := outcomes.Set(i); err != nil {
				m.t.Fatalf("%v", err)
			}
		}
	}
	root, err := verdict.Root(leaves)
	if err != nil {
		m.t.Fatalf("%v", err)
	}
	d := types.Delivery{LeaseId: l.Id, Result: types.Result{Root: root[:], Outcomes: outcomes, Cid: someCID, Bytes: 100}}
	d.Result.Custody = types.Custody{GatewayPubkey: m.gateway.Key.PubKey().Bytes(), Signature: m.receipt(m.gateway, d)}
	return d
}

// receipt signs custody of a delivery; nobody signs for nothing, and the chain does not look then.
func (m *market) receipt(by *network.Account, d types.Delivery) []byte {
	m.t.Helper()
	if verdict.Outcomes(d.Result.Outcomes).Count() == 0 {
		return make([]byte, types.SignatureBytes)
	}
	msg, err := verdict.Custody{
		ChainID: network.ChainID, LeaseID: d.LeaseId, ResultCID: d.Result.Cid, Root: verdict.Hash(d.Result.Root), Bytes: d.Result.Bytes,
		Outcomes: d.Result.Outcomes,
	}.Message()
	if err != nil {
		m.t.Fatalf("%v", err)
	}
	sig, err := by.Key.Sign(msg)
	if err != nil {
		m.t.Fatalf("%v", err)
	}
	return sig
}

func (m *market) deliver(l types.Lease, lost ...int) {
	m.t.Helper()
	s := m.stub(l.NexcoreId)
	m.MustDeliver(s.node, &types.MsgDeliver{Node: s.node.String(), Deliveries: []types.Delivery{m.delivery(l, lost...)}})
}

// all lists the shards of a lease, for a delivery that lost them.
func all(l types.Lease) (out []int) {
	for i := range int(l.Count) {
		out = append(out, i)
	}
	return out
}

func ackOf(s *stub, leases ...types.Lease) *types.MsgAcknowledge {
	msg := &types.MsgAcknowledge{Node: s.node.String()}
	for _, l := range leases {
		msg.LeaseIds = append(msg.LeaseIds, l.Id)
	}
	return msg
}

func deliverOf(s *stub, deliveries ...types.Delivery) *types.MsgDeliver {
	return &types.MsgDeliver{Node: s.node.String(), Deliveries: deliveries}
}

func declineOf(s *stub, l types.Lease, reason types.DeclineReason) *types.MsgDecline {
	return &types.MsgDecline{Node: s.node.String(), LeaseId: l.Id, Reason: reason}
}

func cancelOf(from *network.Account, job uint64) *types.MsgCancel {
	return &types.MsgCancel{Requester: from.String(), JobId: job}
}

// balance is an account's money in micro-NEX, rounded down.
func (m *market) balance(a *network.Account) int64 {
	return m.App.BankKeeper.GetBalance(m.Context(), a.Address, denom.Base).Amount.QuoRaw(denom.AnexPerUnex).Int64()
}

// checkMoney checks the money law against a full scan of the records.
func (m *market) checkMoney() {
	m.t.Helper()
	if err := moneyLaw(m.Chain); err != nil {
		m.t.Fatalf("height %d: %v", m.Height(), err)
	}
}

func moneyLaw(c *network.Chain) error {
	res, err := types.NewQueryClient(c.Conn()).Money(context.Background(), &types.QueryMoneyRequest{})
	if err != nil {
		return err
	}
	if !res.Holds {
		return fmt.Errorf("the money law is broken: %+v", res)
	}
	state, err := c.App.TasksKeeper.ExportGenesis(c.Context())
	if err != nil {
		return err
	}
	escrow, open, live := int64(0), int64(0), int64(0)
	perJob := map[uint64]int64{}
	for _, j := range state.Jobs {
		escrow += j.Escrow
		perJob[j.Id] -= j.Escrow
	}
	for _, r := range state.Ranges {
		if r.State == types.SHARD_STATE_OPEN {
			open += r.Count
		}
		if r.State != types.SHARD_STATE_SETTLED {
			perJob[r.JobId] += (r.Limit - r.Charged) * r.Count
		}
	}
	for _, l := range state.Leases {
		if l.State == types.LEASE_STATE_ASSIGNED || l.State == types.LEASE_STATE_ACKNOWLEDGED {
			live++
		}
	}
	for id, diff := range perJob {
		if diff != 0 {
			return fmt.Errorf("job %d: its shards need %d more than escrow holds for it", id, diff)
		}
	}
	if escrow != res.Totals.Escrow || open != res.Totals.OpenShards || live != res.Totals.LiveLeases {
		return fmt.Errorf("totals say escrow %d, open %d, live %d; records say %d, %d, %d",
			res.Totals.Escrow, res.Totals.OpenShards, res.Totals.LiveLeases, escrow, open, live)
	}
	return state.Validate()
}
