package keeper_test

import (
	"context"
	"fmt"

	"pgregory.net/rapid"

	sdk "github.com/cosmos/cosmos-sdk/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"

	"github.com/nexara/nexara/app"
	"github.com/nexara/nexara/testutil/network"
	nexcoretypes "github.com/nexara/nexara/x/nexcore/types"
	"github.com/nexara/nexara/x/tasks/types"
)

// step draws what one party says next: nothing, one message, or several of different signers.
func (w *walk) step() []signed {
	t := w.t
	switch rapid.SampledFrom([]string{
		"requester", "requester", "requester", "requester", "node", "node", "node", "node", "node", "node", "node", "stale", "stale",
		"operator", "register", "params",
	}).Draw(t, "party") {
	case "requester":
		return w.requester()
	case "node":
		return w.node()
	case "stale":
		return w.stale()
	case "operator":
		return w.operator()
	case "register":
		node := w.Account(rapid.SampledFrom([]string{"node-0", "node-3", "node-4"}).Draw(t, "node"))
		operator := w.Account(fmt.Sprintf("op-%d", rapid.IntRange(0, 3).Draw(t, "of")))
		return one(operator, w.registration(operator, node, rapid.IntRange(0, 2).Draw(t, "region")))
	default:
		return w.params()
	}
}

func one(from *network.Account, msg sdk.Msg) []signed { return []signed{{from, msg}} }

func (w *walk) requester() []signed {
	t := w.t
	who := w.Account(rapid.SampledFrom([]string{"alice", "bob", "carol"}).Draw(t, "requester"))
	says := rapid.SampledFrom([]string{"submit", "submit", "cancel", "top-up"}).Draw(t, "says")
	if says == "submit" {
		msg := jobOf(who, rapid.SampledFrom([]int64{1, 1, 2, 5, 12}).Draw(t, "shards"), rapid.SampledFrom([]int64{30, 300, 1_000, 3_000}).Draw(t, "limit"))
		msg.WaitBlocks = rapid.Int64Range(1, 20).Draw(t, "wait")
		msg.MaxAttempts = rapid.SampledFrom([]uint32{1, 1, 2, 4}).Draw(t, "attempts")
		msg.Shape.RunSeconds = rapid.Int64Range(1, 5).Draw(t, "seconds")
		return one(who, msg)
	}
	job := w.anyJob(who)
	if says == "cancel" {
		return one(who, cancelOf(who, job.Id))
	}
	return one(who, &types.MsgTopUp{Requester: who.String(), JobId: job.Id, Limit: job.Limit + rapid.Int64Range(-1, 1_000).Draw(t, "more")})
}

// anyJob draws a job to speak of: mostly one of the requester's that goes on, else any, whatever has become of it.
func (w *walk) anyJob(who *network.Account) types.Job {
	state, err := w.App.TasksKeeper.ExportGenesis(w.Context())
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	mine := []types.Job{}
	for _, j := range state.Jobs {
		if j.Requester == who.String() && j.EndedHeight == 0 {
			mine = append(mine, j)
		}
	}
	if len(mine) > 0 && rapid.IntRange(0, 4).Draw(w.t, "any") > 0 {
		return rapid.SampledFrom(mine).Draw(w.t, "job")
	}
	return types.Job{Id: rapid.Uint64Range(1, state.NextJobId).Draw(w.t, "number"), Limit: 500}
}

func (w *walk) node() []signed {
	t := w.t
	busy := []*stub{}
	for _, s := range w.nexcores {
		if len(w.live(s)) > 0 {
			busy = append(busy, s)
		}
	}
	var s *stub
	says := ""
	if len(busy) > 0 && rapid.IntRange(0, 5).Draw(t, "idle") > 0 {
		s = rapid.SampledFrom(busy).Draw(t, "busy")
		says = rapid.SampledFrom([]string{"ack", "ack", "ack", "deliver", "deliver", "deliver", "decline", "decline"}).Draw(t, "says")
	} else {
		s = rapid.SampledFrom(w.nexcores).Draw(t, "nexcore")
		says = rapid.SampledFrom([]string{"offer", "offer", "offer", "withdraw", "refresh"}).Draw(t, "says")
	}
	live := w.live(s)
	switch says {
	case "ack":
		return one(s.node, ackOf(s, live...))
	case "deliver":
		l := rapid.SampledFrom(live).Draw(t, "lease")
		var lost []int
		for i := range int(l.Count) {
			if rapid.IntRange(0, 3).Draw(t, "lost") == 0 {
				lost = append(lost, i)
			}
		}
		d := w.delivery(l, lost...)
		w.sent = append(w.sent, d)
		return one(s.node, deliverOf(s, d))
	case "decline":
		reason := types.DeclineReason(rapid.SampledFrom([]int{1, 1, 1, 2, 4}).Draw(t, "reason"))
		return one(s.node, declineOf(s, rapid.SampledFrom(live).Draw(t, "lease"), reason))
	case "withdraw":
		return one(s.node, &types.MsgWithdrawOffer{Node: s.node.String()})
	case "refresh":
		return one(s.node, &types.MsgRefreshOffer{Node: s.node.String()})
	default:
		return one(s.node, offerOf(s, rapid.SampledFrom([]uint64{0, 20, 100, 150}).Draw(t, "price"),
			types.Resources{CpuMilli: rapid.Int64Range(0, 8_000).Draw(t, "cpu"), MemoryMib: 4_096}))
	}
}

// stale says again what was said before, or speaks of a lease whatever has become of it.
func (w *walk) stale() []signed {
	t := w.t
	if len(w.sent) > 0 && rapid.Bool().Draw(t, "again") {
		d := rapid.SampledFrom(w.sent).Draw(t, "result")
		if s := w.holder(d.LeaseId); s != nil {
			return one(s.node, deliverOf(s, d, d))
		}
		return nil
	}
	id := rapid.Uint64Range(1, uint64(max(w.totals().Leases, 1))).Draw(t, "lease")
	s := w.holder(id)
	if s == nil {
		return nil
	}
	l := types.Lease{Id: id, Count: 1}
	return one(s.node, rapid.SampledFrom([]sdk.Msg{
		ackOf(s, l), declineOf(s, l, types.DECLINE_REASON_INPUT_UNAVAILABLE), deliverOf(s, w.delivery(l), w.delivery(l)),
	}).Draw(t, "says"))
}

// holder is whose a lease is, nil when there is no such lease any more.
func (w *walk) holder(lease uint64) *stub {
	res, err := w.query().Lease(context.Background(), &types.QueryLeaseRequest{Id: lease})
	if err != nil {
		return nil
	}
	return w.stub(res.Lease.NexcoreId)
}

func (w *walk) operator() []signed {
	t := w.t
	s := rapid.SampledFrom(w.nexcores).Draw(t, "nexcore")
	op := s.operator.String()
	amount := rapid.Int64Range(1, 1_000_000_000).Draw(t, "amount")
	switch rapid.SampledFrom([]string{"drain", "bond", "unbond", "unjail", "unjail", "update", "deregister"}).Draw(t, "says") {
	case "drain":
		return one(s.operator, &nexcoretypes.MsgDrain{Signer: op, NexcoreId: s.id, Drain: rapid.Bool().Draw(t, "drain")})
	case "bond":
		return one(s.operator, &nexcoretypes.MsgBond{Operator: op, NexcoreId: s.id, Amount: amount})
	case "unbond":
		return one(s.operator, &nexcoretypes.MsgUnbond{Operator: op, NexcoreId: s.id, Amount: amount})
	case "unjail":
		return one(s.operator, &nexcoretypes.MsgUnjail{Operator: op, NexcoreId: s.id})
	case "update":
		return one(s.operator, &nexcoretypes.MsgUpdate{Operator: op, NexcoreId: s.id, Spec: specOf(rapid.IntRange(0, 2).Draw(t, "region"))})
	default:
		return one(s.operator, &nexcoretypes.MsgDeregister{Operator: op, NexcoreId: s.id})
	}
}

// params changes parameters as governance does: a proposal, and the vote of the one validator.
func (w *walk) params() []signed {
	next, err := w.App.TasksKeeper.Params(w.Context())
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	drawParams(w.t, &next)
	id, err := w.App.GovKeeper.ProposalID.Peek(w.Context())
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	carol, validator := w.Account("carol"), w.Account(network.ValidatorName)
	proposal, err := govv1.NewMsgSubmitProposal([]sdk.Msg{&types.MsgUpdateParams{Authority: app.Authority(), Params: next}},
		sdk.NewCoins(app.NEX(1_000)), carol.String(), "", "parameters", "other parameters", false)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	return []signed{{carol, proposal}, {validator, govv1.NewMsgVote(validator.Address, id, govv1.OptionYes, "")}}
}
