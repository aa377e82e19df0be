package keeper_test

import (
	"testing"

	"github.com/nexara/nexara/testutil/network"
	"github.com/nexara/nexara/x/tasks/types"
)

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
