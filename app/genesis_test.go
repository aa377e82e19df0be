package app_test

import (
	"encoding/json"
	"testing"

	"cosmossdk.io/math"
	minttypes "github.com/cosmos/cosmos-sdk/x/mint/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/app"
	"github.com/nexara/nexara/testutil/network"
	"github.com/nexara/nexara/x/denom"
)

func encoding(t *testing.T) app.Encoding {
	t.Helper()
	app.SetConfig()
	enc, err := app.NewEncoding()
	require.NoError(t, err)
	return enc
}

func TestDefaultGenesis(t *testing.T) {
	enc := encoding(t)
	state, err := enc.DefaultGenesis()
	require.NoError(t, err)
	require.NoError(t, enc.ValidateGenesis(state))
	raw, err := json.Marshal(state)
	require.NoError(t, err)
	require.NotContains(t, string(raw), `"stake"`, "a module still has the SDK's denom")

	var staking stakingtypes.GenesisState
	enc.Codec.MustUnmarshalJSON(state[stakingtypes.ModuleName], &staking)
	require.Equal(t, denom.Base, staking.Params.BondDenom)
	require.Equal(t, app.UnbondingTime, staking.Params.UnbondingTime)

	var mint minttypes.GenesisState
	enc.Codec.MustUnmarshalJSON(state[minttypes.ModuleName], &mint)
	require.Equal(t, denom.Base, mint.Params.MintDenom)
	require.True(t, mint.Params.InflationMax.LTE(math.LegacyNewDecWithPrec(7, 2)))
	require.True(t, mint.Minter.Inflation.GTE(mint.Params.InflationMin))
}

func TestConsensusParams(t *testing.T) {
	p := app.ConsensusParams()
	require.NoError(t, p.ValidateBasic())
	require.Positive(t, p.Block.MaxGas, "a block's gas must be bounded")
	require.Positive(t, p.Block.MaxBytes, "a block's size must be bounded")
	require.Equal(t, app.UnbondingTime, p.Evidence.MaxAgeDuration)
	// Evidence stays valid until both ages are passed: the one in blocks must not outlive the stake.
	require.Less(t, p.Evidence.MaxAgeNumBlocks*int64(app.BlockTime), int64(app.UnbondingTime))
}

func TestPatchGenesis(t *testing.T) {
	state := app.GenesisState{
		"bank": json.RawMessage(`{"params":{"a":1,"b":[1,2]},"supply":"123456789012345678901234567890"}`),
		"gov":  json.RawMessage(`{"n":1152921504606846977}`),
	}
	for _, tc := range []struct {
		name, patch, want string
		err               error
	}{
		{"nothing", `{}`, `{"params":{"a":1,"b":[1,2]},"supply":"123456789012345678901234567890"}`, nil},
		{"nested", `{"bank":{"params":{"a":2}}}`, `{"params":{"a":2,"b":[1,2]},"supply":"123456789012345678901234567890"}`, nil},
		{"lists are replaced", `{"bank":{"params":{"b":[3]}}}`, `{"params":{"a":1,"b":[3]},"supply":"123456789012345678901234567890"}`, nil},
		{"null removes", `{"bank":{"params":null}}`, `{"supply":"123456789012345678901234567890"}`, nil},
		{"object over a value", `{"bank":{"supply":{"x":{"y":1}}}}`, `{"params":{"a":1,"b":[1,2]},"supply":{"x":{"y":1}}}`, nil},
		{"no object", `[]`, ``, app.ErrGenesis},
		{"unknown module", `{"bonk":{}}`, ``, app.ErrGenesis},
		{"no JSON", `{`, ``, app.ErrGenesis},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := state.Patch(json.RawMessage(tc.patch))
			require.ErrorIs(t, err, tc.err)
			if tc.err != nil {
				return
			}
			require.JSONEq(t, tc.want, string(got["bank"]))
			require.Contains(t, string(got["gov"]), "1152921504606846977", "a large number lost digits")
		})
	}
}

// TestInflation says that inflation is what is documented: about five in a hundred a year at first.
func TestInflation(t *testing.T) {
	c := network.New(t, network.Options{NoShadows: true})
	before := c.Supply().Amount
	const blocks = 100
	c.Advance(blocks)
	made := c.Supply().Amount.Sub(before)
	yearly := math.LegacyNewDecFromInt(made).QuoInt(before).MulInt64(31_557_600 / blocks)
	require.True(t, yearly.GT(math.LegacyNewDecWithPrec(49, 3)) && yearly.LT(math.LegacyNewDecWithPrec(51, 3)), "%s a year", yearly)
}

func TestGenesisOfAnotherChain(t *testing.T) {
	enc := encoding(t)
	state, err := enc.DefaultGenesis()
	require.NoError(t, err)
	state["wasm"] = json.RawMessage(`{}`)
	err = network.Start(t, network.Options{State: state})
	require.ErrorIs(t, err, app.ErrGenesis)
}
