package network

import (
	"fmt"
	"sync"
	"time"

	"cosmossdk.io/math"
	"github.com/cometbft/cometbft/crypto/tmhash"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/crypto/keys/ed25519"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	"github.com/cosmos/gogoproto/proto"

	"github.com/nexara/nexara/app"
)

// sharedEncoding builds the codecs once per process: they are read only, and building them costs more
// than all else in a chain's start.
var sharedEncoding = sync.OnceValues(app.NewEncoding)

// genesis is the default state with the accounts, their coins and one bonded validator.
func (c *Chain) genesis() (app.GenesisState, error) {
	state, err := c.Encoding.DefaultGenesis()
	if err != nil {
		return nil, err
	}
	if err := c.addAccounts(state); err != nil {
		return nil, err
	}
	if len(c.opts.Patch) > 0 {
		if state, err = state.Patch(c.opts.Patch); err != nil {
			return nil, err
		}
	}
	if c.opts.Genesis != nil {
		if err := c.opts.Genesis(c.Encoding, state); err != nil {
			return nil, fmt.Errorf("change the genesis: %w", err)
		}
	}
	if err := c.Encoding.ValidateGenesis(state); err != nil {
		return nil, err
	}
	return state, nil
}

func (c *Chain) addAccounts(state app.GenesisState) error {
	stake := app.NEX(ValidatorStake)
	owner := c.Account(ValidatorName)
	names := append([]string{ValidatorName}, c.opts.Accounts...)
	var (
		accounts []authtypes.GenesisAccount
		balances []banktypes.Balance
	)
	for i, name := range names {
		a := c.Account(name)
		accounts = append(accounts, authtypes.NewBaseAccount(a.Address, nil, uint64(i), 0))
		balances = append(balances, banktypes.Balance{Address: a.String(), Coins: c.opts.Funds})
	}
	balances = append(balances, banktypes.Balance{
		Address: authtypes.NewModuleAddress(stakingtypes.BondedPoolName).String(), Coins: sdk.NewCoins(stake),
	})
	if err := EditGenesis(c.Encoding, state, authtypes.ModuleName, &authtypes.GenesisState{}, func(g *authtypes.GenesisState) error {
		packed, err := authtypes.PackAccounts(accounts)
		g.Accounts = packed
		return err
	}); err != nil {
		return err
	}
	if err := EditGenesis(c.Encoding, state, banktypes.ModuleName, &banktypes.GenesisState{}, func(g *banktypes.GenesisState) error {
		g.Balances = banktypes.SanitizeGenesisBalances(balances)
		return nil
	}); err != nil {
		return err
	}
	// A validator that is bonded from the start passes no hook that would begin its signing record.
	if err := EditGenesis(c.Encoding, state, slashingtypes.ModuleName, &slashingtypes.GenesisState{}, func(g *slashingtypes.GenesisState) error {
		addr := sdk.ConsAddress(consensusKey().PubKey().Address())
		g.SigningInfos = []slashingtypes.SigningInfo{{
			Address:              addr.String(),
			ValidatorSigningInfo: slashingtypes.NewValidatorSigningInfo(addr, 0, 0, time.Unix(0, 0).UTC(), false, 0),
		}}
		return nil
	}); err != nil {
		return err
	}
	return EditGenesis(c.Encoding, state, stakingtypes.ModuleName, &stakingtypes.GenesisState{}, func(g *stakingtypes.GenesisState) error {
		key, err := codectypes.NewAnyWithValue(consensusKey().PubKey())
		if err != nil {
			return fmt.Errorf("pack the consensus key: %w", err)
		}
		val := sdk.ValAddress(owner.Address).String()
		shares := math.LegacyNewDecFromInt(stake.Amount)
		g.Validators = []stakingtypes.Validator{{
			OperatorAddress: val, ConsensusPubkey: key, Status: stakingtypes.Bonded,
			Tokens: stake.Amount, DelegatorShares: shares,
			Description:       stakingtypes.Description{Moniker: ValidatorName},
			UnbondingTime:     time.Unix(0, 0).UTC(),
			Commission:        stakingtypes.NewCommission(math.LegacyNewDecWithPrec(5, 2), math.LegacyOneDec(), math.LegacyNewDecWithPrec(1, 2)),
			MinSelfDelegation: math.OneInt(),
		}}
		g.Delegations = []stakingtypes.Delegation{stakingtypes.NewDelegation(owner.String(), val, shares)}
		return nil
	})
}

func consensusKey() *ed25519.PrivKey {
	return ed25519.GenPrivKeyFromSecret(tmhash.Sum([]byte("consensus key of " + ChainID)))
}

// EditGenesis decodes one module's part of a genesis into g, lets change alter it, and puts it back: for
// Options.Genesis.
func EditGenesis[G proto.Message](enc app.Encoding, state app.GenesisState, name string, g G, change func(G) error) error {
	if err := enc.Codec.UnmarshalJSON(state[name], g); err != nil {
		return fmt.Errorf("decode the genesis of %s: %w", name, err)
	}
	if err := change(g); err != nil {
		return fmt.Errorf("change the genesis of %s: %w", name, err)
	}
	raw, err := enc.Codec.MarshalJSON(g)
	if err != nil {
		return fmt.Errorf("encode the genesis of %s: %w", name, err)
	}
	state[name] = raw
	return nil
}
