package lab

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/x/tasks/auction"
)

// Experiments with parties that do not tell the truth, in small seeded markets. Each prints its numbers.

const strategySeed = uint64(20261122)

// Budgets of one clearing: plenty for a market of twenty jobs. A solver ends a market of like slots as soon as it has
// the optimum; elsewhere it may use all it is given, thousands of times.
const (
	slotSteps   = int64(1_000_000)
	vectorSteps = int64(20_000)
)

// slotMarket is a market in which every shard takes one like slot of a NexCore, so that the clearing is a flow:
// operators own one to three NexCores of one to three slots, jobs of one shard accept some regions only. No score
// differs and nothing burns unless the caller says so: limits, asks and payments then are the parties' own money.
func slotMarket(draw *stream) auction.Book {
	b := auction.Book{Params: auction.DefaultParams()}
	b.Params.BurnPPM, b.Seed[0] = 0, byte(draw.below(256))
	need := auction.Resources{1_000, 1_024, 0, 1}
	regions := []string{"asia", "eu", "us"}
	for _, accepted := range [][]string{nil, {"eu"}, {"us"}, {"eu", "us"}, {"asia", "us"}} {
		b.Shapes = append(b.Shapes, auction.Shape{Need: need, Runtime: "container", Regions: accepted, RunSeconds: 1})
	}
	for operator := range 5 {
		for range draw.between(1, 3) {
			b.Supplies = append(b.Supplies, supplyOf(len(b.Supplies)+1, operator, need, draw.between(1, 3), regions[draw.below(3)], draw.between(80, 120)))
		}
	}
	for job := range draw.between(8, 20) {
		b.Entries = append(b.Entries, auction.Entry{
			JobID: uint64(job + 1), Count: 1, ShapeIndex: int(draw.below(int64(len(b.Shapes)))), Limit: draw.between(75, 260), VisibleBefore: 100,
		})
	}
	return b
}

// vectorMarket is the same with needs that differ, so that no flow describes it.
func vectorMarket(draw *stream) auction.Book {
	b := slotMarket(draw)
	for i := range b.Shapes {
		b.Shapes[i].Need[auction.CPUMilli] *= draw.between(1, 3)
		b.Shapes[i].Need[auction.GPUs] = draw.between(0, 2)
	}
	for i := range b.Entries {
		b.Entries[i].Limit *= draw.between(1, 4)
	}
	return b
}

// supplyOf asks for so many unex per slot and second, in GPUs and CPU alike.
func supplyOf(id, operator int, need auction.Resources, slots int64, region string, ask int64) auction.Supply {
	s := auction.Supply{
		ID: uint64(id), Operator: fmt.Sprint("operator-", operator), Active: true, Runtimes: []string{"container"}, Region: region,
		MaxRunSeconds: 100, FreeBond: ample, LeaseSlots: ample, ScorePPM: auction.PPM, AskHeight: 50,
	}
	for r, v := range need {
		s.Capacity[r] = v * slots
	}
	s.Free = s.Capacity
	setAsk(&s, ask)
	return s
}

// setAsk prices a slot at so many unex: half by its core, half by its GPU.
func setAsk(s *auction.Supply, unex int64) {
	s.Ask[auction.CPUMilli] = uint64(unex) * 1_000_000_000_000 / 2 / 1_000
	s.Ask[auction.GPUs] = uint64(unex) * 1_000_000_000_000 / 2
}

// outcome is a cleared book.
type outcome struct {
	auction.Allocation
	certificate Certificate
}

func cleared(t *testing.T, e Engine, b auction.Book, steps int64) outcome {
	t.Helper()
	m, err := auction.NewModel(b)
	require.NoError(t, err)
	require.Empty(t, m.Rejected())
	a, err := e.Solver.Solve(m, auction.Budget{Steps: steps})
	require.NoError(t, err)
	require.NoError(t, auction.Check(m, a))
	return outcome{a, Proved(&a)}
}

// income is what an operator's NexCores are paid, and what they would be paid were scarcity rent theirs.
func (o *outcome) income(b *auction.Book, operator string) (asks, withRent int64) {
	for i, match := range o.Matches {
		if b.Supplies[match.NexCoreID-1].Operator != operator {
			continue
		}
		asks += match.Count * match.Price
		withRent += match.Count * (match.Price + o.certificate.Rents[i])
	}
	return asks, withRent
}

func (o *outcome) matched(job uint64) bool {
	return slices.ContainsFunc(o.Matches, func(m auction.Match) bool { return m.JobID == job })
}

// TestShill: an operator adds jobs of its own, of every shape and at many limits, to push up what others pay. Where
// such a job loses, its operator earns exactly what it earned before, or less: rent is not the operator's.
func TestShill(t *testing.T) {
	const shill = 1_000
	for _, e := range Engines() {
		t.Run(e.Solver.Name(), func(t *testing.T) {
			draw := newStream(strategySeed, "shill")
			lost, changed, tempting, mostTempting := 0, 0, 0, int64(0)
			for range 30 {
				b := slotMarket(draw)
				before := cleared(t, e, b, slotSteps)
				for shape := range b.Shapes {
					for limit := int64(70); limit <= 270; limit += 10 {
						with := b
						with.Entries = append(slices.Clone(b.Entries), auction.Entry{JobID: shill, Count: 1, ShapeIndex: shape, Limit: limit, VisibleBefore: 100})
						after := cleared(t, e, with, slotSteps)
						if after.matched(shill) {
							continue
						}
						for operator := range 5 {
							name := fmt.Sprint("operator-", operator)
							earned, rented := before.income(&b, name)
							now, nowRented := after.income(&b, name)
							require.LessOrEqual(t, now, earned, "%s earns more by a losing job of limit %d and shape %d", name, limit, shape)
							lost++
							if now != earned {
								changed++
							}
							if gain := nowRented - rented; gain > 0 {
								tempting++
								mostTempting = max(mostTempting, gain)
							}
						}
					}
				}
			}
			require.Positive(t, lost)
			t.Logf("seed %d: %d losing jobs, %d changed the operator's income, none raised it; were rent paid to operators, %d would have raised it, by %d unex at most",
				strategySeed, lost, changed, tempting, mostTempting)
		})
	}
}

// TestShillVectors counts the same where needs differ: there solvers search, and a losing job may send the search
// elsewhere. It asserts only that such luck is rare.
func TestShillVectors(t *testing.T) {
	const shill = 1_000
	for _, e := range Engines() {
		t.Run(e.Solver.Name(), func(t *testing.T) {
			draw := newStream(strategySeed, "shill vectors")
			lost, raised, most := 0, 0, int64(0)
			for range 30 {
				b := vectorMarket(draw)
				before := cleared(t, e, b, vectorSteps)
				for shape := range b.Shapes {
					for limit := int64(70); limit <= 800; limit += 41 {
						with := b
						with.Entries = append(slices.Clone(b.Entries), auction.Entry{JobID: shill, Count: 1, ShapeIndex: shape, Limit: limit, VisibleBefore: 100})
						after := cleared(t, e, with, vectorSteps)
						if after.matched(shill) {
							continue
						}
						for operator := range 5 {
							name := fmt.Sprint("operator-", operator)
							earned, _ := before.income(&b, name)
							now, _ := after.income(&b, name)
							lost++
							if now > earned {
								raised, most = raised+1, max(most, now-earned)
							}
						}
					}
				}
			}
			require.Positive(t, lost)
			require.LessOrEqual(t, raised*20, lost, "more than one losing job in twenty raises an income")
			t.Logf("seed %d: %d losing jobs, %d raised an income by the luck of the search, by %d unex at most", strategySeed, lost, raised, most)
		})
	}
}

// TestReprice: an operator sees the jobs of block 100 and changes an ask in the same block, down to win them or up
// to take all they would pay. No job of that block reaches the new ask: the NexCore earns nothing from them.
// The control lets jobs see asks of their own block: then the same changes do reach them.
func TestReprice(t *testing.T) {
	const seen = 100
	for _, e := range Engines() {
		t.Run(e.Solver.Name(), func(t *testing.T) {
			draw := newStream(strategySeed, "reprice")
			tried, reached, control, gains, sibling := 0, 0, 0, 0, 0
			for range 30 {
				b := slotMarket(draw)
				before := cleared(t, e, b, slotSteps)
				for i := range b.Supplies {
					operator := b.Supplies[i].Operator
					earned, _ := before.income(&b, operator)
					for ask := int64(10); ask <= 250; ask += 40 {
						with := b
						with.Supplies = slices.Clone(b.Supplies)
						with.Supplies[i].AskHeight = seen
						setAsk(&with.Supplies[i], ask)
						after := cleared(t, e, with, slotSteps)
						tried++
						if servedBy(&after, uint64(i+1)) {
							reached++
						}
						now, _ := after.income(&with, operator)
						if now > earned { // the job went to a dearer NexCore of the same operator, as it would after a withdrawal
							sibling++
						}

						naive := with
						naive.Entries = slices.Clone(b.Entries)
						for k := range naive.Entries {
							naive.Entries[k].VisibleBefore = seen + 1
						}
						free := cleared(t, e, naive, slotSteps)
						if servedBy(&free, uint64(i+1)) {
							control++
						}
						if income, _ := free.income(&with, operator); income > earned && income > now {
							gains++
						}
					}
				}
			}
			require.Zero(t, reached)
			require.Positive(t, control, "the control shows nothing")
			t.Logf("seed %d: %d changed asks reached %d jobs already seen; without the rule %d would have, and %d would have earned more; %d times absence alone sent a job to a dearer NexCore of the same operator",
				strategySeed, tried, reached, control, gains, sibling)
		})
	}
}

func servedBy(o *outcome, id uint64) bool {
	return slices.ContainsFunc(o.Matches, func(m auction.Match) bool { return m.NexCoreID == id })
}

// TestMisreport: every requester of a flow market tries every limit that could matter instead of its true one. At
// the least prices none gains. A solver without prices has nothing to test.
func TestMisreport(t *testing.T) {
	tested := false
	for _, e := range Engines() {
		if !e.Priced {
			t.Logf("%s sets no prices", e.Solver.Name())
			continue
		}
		tested = true
		t.Run(e.Solver.Name(), func(t *testing.T) {
			draw := newStream(strategySeed, "misreport")
			requesters, tried, moved, hurt := 0, 0, 0, 0
			for range 12 {
				b := slotMarket(draw)
				truth := cleared(t, e, b, slotSteps)
				require.Zero(t, truth.certificate.GapPPM, "a flow market clears exactly")
				for k := range b.Entries {
					limit, job := b.Entries[k].Limit, b.Entries[k].JobID
					honest := utility(&truth, job, limit)
					require.GreaterOrEqual(t, honest, int64(0), "nobody pays more than its limit")
					requesters++
					for _, lie := range lies(&b, limit) {
						with := b
						with.Entries = slices.Clone(b.Entries)
						with.Entries[k].Limit = lie
						after := cleared(t, e, with, slotSteps)
						got := utility(&after, job, limit)
						require.LessOrEqual(t, got, honest, "job %d of limit %d gains by %d", job, limit, lie)
						tried++
						if after.matched(job) != truth.matched(job) {
							moved++
						}
						if got < honest {
							hurt++
						}
					}
				}
			}
			t.Logf("seed %d: %d requesters, %d misreports: %d changed whether the job ran, %d cost their requester, none gained", strategySeed, requesters, tried, moved, hurt)
		})
	}
	if !tested {
		t.Skip("no solver sets prices")
	}
}

// utility is the true limit less price and rent of a job of one shard, 0 without a match. Nothing burns here.
func utility(o *outcome, job uint64, limit int64) int64 {
	for i, m := range o.Matches {
		if m.JobID == job {
			return limit - m.Price - o.certificate.Rents[i]
		}
	}
	return 0
}

// lies are the limits at which something can change: one around every ask and every other limit, and the extremes.
func lies(b *auction.Book, truth int64) []int64 {
	out := []int64{1, truth / 2, truth - 1, truth + 1, 2 * truth, 10_000}
	for i := range b.Supplies {
		price, _ := auction.Price(b.Supplies[i].Ask, b.Shapes[0])
		out = append(out, price-1, price, price+1)
	}
	for i := range b.Entries {
		out = append(out, b.Entries[i].Limit-1, b.Entries[i].Limit, b.Entries[i].Limit+1)
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(v int64) bool { return v == truth || v < 1 })
}
