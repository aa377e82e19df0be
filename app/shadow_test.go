package app_test

import (
	"fmt"
	"testing"

	"github.com/cosmos/cosmos-sdk/baseapp"
	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/app"
	"github.com/nexara/nexara/testutil/network"
)

// recorder is a test that remembers why it ended.
type recorder struct {
	*testing.T
	said string
}

type ended struct{}

func (r *recorder) Fatalf(format string, args ...any) {
	r.said = fmt.Sprintf(format, args...)
	panic(ended{})
}

// run calls f and returns why it ended the test, if it did.
func (r *recorder) run(f func()) (said string) {
	defer func() {
		if p := recover(); p != nil && p != (ended{}) {
			panic(p)
		}
		said = r.said
	}()
	f()
	return ""
}

// TestShadowsFindDivergence gives applications a fault each and asks that the harness sees it.
func TestShadowsFindDivergence(t *testing.T) {
	var made uint64
	for _, tc := range []struct {
		name string
		// post makes what one application runs after each transaction; every restart makes it anew.
		post func() sdk.PostHandler
		want string
	}{
		{"none", func() sdk.PostHandler { return post(func(sdk.Context) {}) }, ""},
		{"counts its transactions in memory", func() sdk.PostHandler {
			var seen uint64
			return post(func(ctx sdk.Context) {
				if ctx.ExecMode() == sdk.ExecModeFinalize {
					seen++
					ctx.GasMeter().ConsumeGas(seen, "the fault")
				}
			})
		}, "shadow crasher"},
		{"differs from one application to the next", func() sdk.PostHandler {
			made++
			mine := made
			return post(func(ctx sdk.Context) { ctx.GasMeter().ConsumeGas(mine, "the fault") })
		}, "shadow follower"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &recorder{T: t}
			said := r.run(func() {
				c := network.New(r, network.Options{BaseApp: []func(*baseapp.BaseApp){
					func(b *baseapp.BaseApp) { b.SetPostHandler(tc.post()) },
				}})
				a, b := c.Account("alice"), c.Account("bob")
				for range 3 {
					c.MustDeliver(a, banktypes.NewMsgSend(a.Address, b.Address, sdk.NewCoins(app.NEX(1))))
				}
			})
			if tc.want == "" {
				require.Empty(t, said)
				return
			}
			require.Contains(t, said, tc.want)
		})
	}
}

// TestSameChainTwice says that nothing but the options decides a chain's state.
func TestSameChainTwice(t *testing.T) {
	var hashes [][]byte
	for range 2 {
		c := network.New(t, network.Options{NoShadows: true})
		a, b := c.Account("alice"), c.Account("bob")
		c.MustDeliver(a, banktypes.NewMsgSend(a.Address, b.Address, sdk.NewCoins(app.NEX(1))))
		c.Advance(2)
		hashes = append(hashes, c.AppHash())
	}
	require.Equal(t, hashes[0], hashes[1])
}

func post(f func(sdk.Context)) sdk.PostHandler {
	return func(ctx sdk.Context, _ sdk.Tx, _, _ bool) (sdk.Context, error) {
		f(ctx)
		return ctx, nil
	}
}
