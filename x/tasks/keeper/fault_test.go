package keeper_test

import (
	"context"
	"errors"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"

	"github.com/nexara/nexara/app"
	"github.com/nexara/nexara/testutil/network"
	"github.com/nexara/nexara/x/tasks/keeper"
	"github.com/nexara/nexara/x/tasks/types"
)

var errRefused = errors.New("bank refuses")

// A settlement that fails holds up no other and is made later: bank refuses to pay one operator for a while.
func TestFailedSettlementIsMadeLater(t *testing.T) {
	refused := "" // the same for the application and its shadows, changed between blocks
	m := newMarket(t, 2, func(p *types.Params) { p.LeaseMax = 2 }, network.Options{RestartEvery: 16, Wire: func(a *app.App) {
		a.BankKeeper.AppendSendRestriction(func(_ context.Context, _, to sdk.AccAddress, _ sdk.Coins) (sdk.AccAddress, error) {
			if to.String() == refused {
				return nil, errRefused
			}
			return to, nil
		})
	}})
	id := m.submit(jobOf(m.Account("alice"), 8, 1_000)) // two leases for each NexCore
	unlucky := m.nexcores[0]
	refused = unlucky.operator.String()
	var txs [][]byte
	for _, l := range m.leases(id) {
		s := m.stub(l.NexcoreId)
		txs = append(txs, m.Sign(s.node, deliverOf(s, m.delivery(l))))
	}
	m.Block(txs...)
	failures := 0
	for range 9 {
		for _, e := range m.Block().Events {
			if e.Type == keeper.EventItemFailed {
				failures++
				require.Equal(t, "settle", value([]abci.Event{e}, e.Type, "kind"))
				require.NotEmpty(t, value([]abci.Event{e}, e.Type, "code"))
			}
		}
	}
	require.Equal(t, 2, failures, "one for each of its leases")
	require.EqualValues(t, []int64{4, 4}, []int64{m.job(id).Counts.Paid, m.job(id).Counts.Final})
	m.checkMoney()

	refused = ""
	before := m.balance(unlucky.operator)
	m.Advance(100)
	require.EqualValues(t, 8, m.job(id).Counts.Paid)
	require.EqualValues(t, 800, m.balance(unlucky.operator)-before)
	require.Equal(t, "completed", m.state(id))
	nexcore, err := m.App.NexCoreKeeper.GetNexCore(m.Context(), unlucky.id)
	require.NoError(t, err)
	require.Zero(t, nexcore.Locked)
	m.checkMoney()
}

// A module account can be paid nothing, so it buys nothing: a proposal of governance could else send such a message.
func TestModulesBuyNothing(t *testing.T) {
	m := newMarket(t, 0, nil, network.Options{NoShadows: true})
	for _, name := range []string{"gov", types.ModuleName, types.PoolName} {
		msg := jobOf(m.Account("alice"), 1, 1_000)
		msg.Requester = authtypes.NewModuleAddress(name).String()
		_, err := keeper.NewMsgServer(m.App.TasksKeeper).Submit(m.Context(), msg)
		require.ErrorIs(t, err, types.ErrUnauthorized, name)
	}
}
