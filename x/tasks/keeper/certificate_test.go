package keeper_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/app"
	"github.com/nexara/nexara/testutil/network"
	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/types"
)

// kept holds model files in memory, of the first application only.
type kept map[int64][]byte

func (k kept) Keep(height int64, file []byte) { k[height] = bytes.Clone(file) }

func (k kept) Read(height, offset int64, limit int) ([]byte, int64, error) {
	file, ok := k[height]
	if !ok {
		return nil, 0, types.ErrNotFound
	}
	return file[min(offset, int64(len(file))):min(offset+int64(limit), int64(len(file)))], int64(len(file)), nil
}

// keep gives the application under test a place for its model files.
func keep(files kept) func(*app.App) {
	first := true
	return func(a *app.App) {
		if first {
			a.TasksKeeper.KeepFiles(files)
			first = false
		}
	}
}

func claim(r types.Clearing) auction.Claim {
	out := auction.Claim{
		Height: r.Height, Solver: r.Solver, Welfare: r.Welfare, Bound: r.Bound, GapPPM: r.GapPpm, Work: r.Work, Exact: r.Exact, Digest: [32]byte(r.Digest),
		Shapes: r.Shapes, Offers: r.Offers, Entries: r.Entries, Shards: r.Shards, Matched: r.Matched, Leases: r.Leases, Width: r.Width,
		Truncated: r.Truncated, Fallback: r.Fallback,
	}
	for _, p := range r.Prices {
		priced := auction.Priced{NexCoreID: p.NexcoreId, Prices: auction.Prices{Slot: p.Slot, Tie: p.Tie}, Width: p.Width}
		copy(priced.Dims[:], p.Dims)
		out.Prices = append(out.Prices, priced)
	}
	return out
}

// verify reads the record and the model file of a clearing by query and recomputes it.
func (m *market) verify(height int64) (types.Clearing, error) {
	res, err := m.query().Clearing(context.Background(), &types.QueryClearingRequest{Height: height})
	if err != nil {
		return types.Clearing{}, err
	}
	file, err := m.query().ClearingModel(context.Background(), &types.QueryClearingModelRequest{Height: res.Clearing.Height})
	if err != nil {
		return res.Clearing, err
	}
	_, err = auction.Verify(file.Data, claim(res.Clearing))
	return res.Clearing, err
}

// More shards than slots: the clearing is exact, its record verifies from the file, the scarce slots have a price,
// winners pay it as rent to pool and burn, and the operators get their asks and nothing more.
func TestScarcityRent(t *testing.T) {
	m := newMarket(t, 2, nil, network.Options{Wire: keep(kept{})})
	alice, bob := m.Account("alice"), m.Account("bob")
	rich := m.submit(jobOf(alice, 6, 2_000))
	poor := m.submit(jobOf(bob, 6, 1_500))
	height := m.leases(rich)[0].AssignedHeight
	_, err := m.verify(height)
	require.NoError(t, err)

	record, err := m.verify(m.leases(poor)[0].AssignedHeight)
	require.NoError(t, err)
	require.True(t, record.Exact)
	require.Zero(t, record.GapPpm)
	require.NotEmpty(t, record.Prices, "four shards wait: room has a price")
	var rented types.Lease
	for _, l := range m.leases(poor) {
		if l.Rent > 0 {
			rented = l
		}
	}
	require.Positive(t, rented.Rent)
	require.LessOrEqual(t, rented.Price+rented.Rent+rented.Burn, rented.Limit-rented.Charged)
	m.deliver(rented)
	var payout types.Payout
	for blocks := 0; payout.LeaseId != rented.Id; blocks++ {
		require.Less(t, blocks, 50, "the dispute window does not end")
		m.Advance(1)
		for _, p := range m.payouts(poor) {
			if p.LeaseId == rented.Id {
				payout = p
			}
		}
	}
	require.Equal(t, rented.Price*rented.Count, payout.Paid, "the ask and nothing more")
	require.Equal(t, rented.Rent*rented.Count, payout.Rent)
	require.Equal(t, (rented.Rent+rented.Burn)*rented.Count, payout.Burned+payout.Pooled)
	require.Equal(t, (rented.Limit-rented.Charged)*rented.Count, payout.Paid+payout.Burned+payout.Pooled+payout.Refunded)
	m.checkMoney()
}

// biased is Optimal with one step swapped: it moves a match to another NexCore that asks no less.
type biased struct{ auction.Optimal }

func (biased) Name() string { return "optimal" }

func (b biased) Solve(m *auction.Model, budget auction.Budget) (auction.Allocation, error) {
	// A book without the cheapest NexCore of the first match: what a validator would hide to favour another.
	a, err := b.Optimal.Solve(m, budget)
	if err != nil || len(a.Matches) == 0 {
		return a, err
	}
	last := len(a.Matches) - 1
	a.Welfare -= a.Matches[last].Welfare
	a.Matched -= a.Matches[last].Count
	a.Unmatched += a.Matches[last].Count
	a.Matches = slices.Clone(a.Matches[:last])
	a.Certificate.Exact, a.Certificate.Proof = false, nil // passes its own check: feasible, with an honest gap
	return a, nil
}

// fatal ends a sequence and keeps what the harness said.
type fatal struct {
	*testing.T
	said string
}

var errEnded = errors.New("ended")

func (f *fatal) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	panic(errEnded)
}

// A validator whose solver prefers somebody computes another state in the block in which it does, and is outvoted:
// the harness compares app hashes after each block.
func TestBiasedSolverIsOutvoted(t *testing.T) {
	f := &fatal{T: t}
	apps := 0
	var m *market
	func() {
		defer func() {
			if r := recover(); r != nil && r != errEnded { //nolint:errorlint // the very value that was thrown
				panic(r)
			}
		}()
		m = newMarket(f, 2, nil, network.Options{Wire: func(a *app.App) {
			if apps++; apps == 2 { // the first shadow
				a.TasksKeeper.UseSolver(biased{})
			}
		}})
		m.submit(jobOf(m.Account("alice"), 2, 2_000))
	}()
	require.Contains(t, f.said, "shadow follower")
	t.Log(f.said)
}

// broken fails in each of the ways in which a solver can.
type broken struct {
	auction.Optimal
	how string
}

func (b broken) Name() string { return "broken" }

func (b broken) Solve(m *auction.Model, budget auction.Budget) (auction.Allocation, error) {
	a, err := b.Optimal.Solve(m, budget)
	switch {
	case b.how == "panic":
		panic("a fault")
	case b.how == "error":
		return a, errEnded
	case len(a.Matches) > 0:
		a.Matches[0].Price++
	}
	return a, err
}

// A solver that fails does not stop the market: greedy clears, the record says so, money is safe.
func TestSolverFaultFallsBackToGreedy(t *testing.T) {
	for _, how := range []string{"panic", "error", "wrong price"} {
		t.Run(how, func(t *testing.T) {
			files := kept{}
			wire := keep(files)
			m := newMarket(t, 2, nil, network.Options{Wire: func(a *app.App) {
				a.TasksKeeper.UseSolver(broken{how: how})
				wire(a)
			}})
			id := m.submit(jobOf(m.Account("alice"), 2, 2_000))
			record, err := m.verify(m.leases(id)[0].AssignedHeight)
			require.NoError(t, err)
			require.Equal(t, "greedy", record.Solver)
			require.Equal(t, "solver_failed", record.Fallback)
			require.EqualValues(t, 2, record.Matched)
			m.checkMoney()
		})
	}
}

// The same transactions give the same state with any number of processors, with shadows that restart in every
// second block (cold memory, warm prices from state), with a contested clearing in every block.
func TestClearingIsDeterministic(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	run := func(procs int) (digests [][]byte, priced int) {
		runtime.GOMAXPROCS(procs)
		files := kept{}
		m := newMarket(t, 3, nil, network.Options{RestartEvery: 2, Wire: keep(files)})
		for i := range 6 {
			m.submit(jobOf(m.Account("alice"), int64(3+i), int64(1_500+100*i)))
			record, err := m.verify(0)
			require.NoError(t, err)
			digests = append(digests, record.Digest)
			if len(record.Prices) > 0 {
				priced++
			}
		}
		m.checkMoney()
		return digests, priced
	}
	first, priced := run(1)
	require.NotZero(t, priced)
	for _, procs := range []int{2, 7} {
		again, _ := run(procs)
		require.Equal(t, first, again, "GOMAXPROCS=%d", procs)
	}
	t.Logf("%d clearings, %d with prices", len(first), priced)
}
