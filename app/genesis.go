package app

import (
	"encoding/json"
	"fmt"
	"time"

	"cosmossdk.io/math"
	cmttypes "github.com/cometbft/cometbft/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	minttypes "github.com/cosmos/cosmos-sdk/x/mint/types"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	"github.com/cosmos/gogoproto/proto"

	"github.com/nexara/nexara/x/denom"
)

// GenesisState is the app_state of a genesis file: one JSON document per module.
type GenesisState map[string]json.RawMessage

const (
	// BlockTime is what the defaults below reckon with: validators commit one second after a block.
	BlockTime = time.Second
	// UnbondingTime is how long a validator's stake stays within reach of evidence.
	UnbondingTime = 21 * 24 * time.Hour
	// MaxBlockBytes bounds a block.
	MaxBlockBytes = 4 << 20
	// MaxBlockGas bounds the gas limits of a block's transactions, summed: some 1,600 transactions of
	// 120,000 gas, five times what the market's load tests put into one.
	MaxBlockGas = 200_000_000
	// blocksPerYear is a mean year of BlockTime.
	blocksPerYear = 31_557_600
)

// ConsensusParams returns the parameters of CometBFT for a new chain.
func ConsensusParams() *cmttypes.ConsensusParams {
	p := cmttypes.DefaultConsensusParams()
	p.Block.MaxBytes = MaxBlockBytes
	p.Block.MaxGas = MaxBlockGas
	// Evidence expires once both limits are passed, and must do so before the stake it would slash is
	// gone. The age in blocks is therefore reached well inside the unbonding time, so that the time
	// decides even if blocks take half as long again as they should.
	p.Evidence.MaxAgeDuration = UnbondingTime
	p.Evidence.MaxAgeNumBlocks = int64(UnbondingTime/BlockTime) * 2 / 3
	return p
}

// DefaultGenesis returns the state of a new chain without accounts or validators: the modules' own
// defaults, with those replaced that do not suit this chain's coin and block time.
// docs/adr gives the reasons for supply, inflation, burn and pool.
func (e Encoding) DefaultGenesis() (GenesisState, error) {
	state := GenesisState(e.Basics.DefaultGenesis(e.Codec))
	for name, made := range map[string]proto.Message{
		banktypes.ModuleName:     bankGenesis(),
		stakingtypes.ModuleName:  stakingGenesis(),
		slashingtypes.ModuleName: slashingGenesis(),
		minttypes.ModuleName:     mintGenesis(),
		govtypes.ModuleName:      govGenesis(),
	} {
		raw, err := e.Codec.MarshalJSON(made)
		if err != nil {
			return nil, fmt.Errorf("encode the default genesis of %s: %w", name, err)
		}
		state[name] = raw
	}
	return state, nil
}

// ValidateGenesis checks every module's part of a genesis, each by itself.
func (e Encoding) ValidateGenesis(state GenesisState) error {
	if err := e.Basics.ValidateGenesis(e.Codec, e.TxConfig, state); err != nil {
		return fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	return nil
}

// bankGenesis tells wallets how to show the coin.
func bankGenesis() *banktypes.GenesisState {
	g := banktypes.DefaultGenesisState()
	g.DenomMetadata = []banktypes.Metadata{{
		Description: "The coin of the Nexara compute market",
		Base:        denom.Base,
		Display:     denom.Display,
		Name:        denom.Display,
		Symbol:      denom.Display,
		DenomUnits: []*banktypes.DenomUnit{
			{Denom: denom.Base, Exponent: 0},
			{Denom: "unex", Exponent: 12},
			{Denom: denom.Display, Exponent: denom.Exponent},
		},
	}}
	return g
}

func stakingGenesis() *stakingtypes.GenesisState {
	g := stakingtypes.DefaultGenesisState()
	g.Params.BondDenom = denom.Base
	g.Params.UnbondingTime = UnbondingTime
	// Past validator sets serve other chains' light clients only; there is no IBC yet.
	g.Params.HistoricalEntries = 0
	g.Params.MinCommissionRate = math.LegacyNewDecWithPrec(1, 2)
	g.Params.KeyRotationFee = NEX(1)
	return g
}

// slashingGenesis scales the windows to one-second blocks: a validator may be away for two and a
// half hours of any five before it is jailed.
func slashingGenesis() *slashingtypes.GenesisState {
	g := slashingtypes.DefaultGenesisState()
	g.Params.SignedBlocksWindow = 18_000
	g.Params.MinSignedPerWindow = math.LegacyNewDecWithPrec(50, 2)
	g.Params.DowntimeJailDuration = 10 * time.Minute
	g.Params.SlashFractionDoubleSign = math.LegacyNewDecWithPrec(5, 2)
	g.Params.SlashFractionDowntime = math.LegacyNewDecWithPrec(1, 4)
	return g
}

func mintGenesis() *minttypes.GenesisState {
	g := minttypes.DefaultGenesisState()
	g.Minter = minttypes.InitialMinter(math.LegacyNewDecWithPrec(5, 2))
	g.Params.MintDenom = denom.Base
	g.Params.InflationMin = math.LegacyNewDecWithPrec(3, 2)
	g.Params.InflationMax = math.LegacyNewDecWithPrec(7, 2)
	g.Params.InflationRateChange = math.LegacyNewDecWithPrec(4, 2)
	g.Params.GoalBonded = math.LegacyNewDecWithPrec(67, 2)
	g.Params.BlocksPerYear = blocksPerYear
	return g
}

func govGenesis() *govv1.GenesisState {
	g := govv1.DefaultGenesisState()
	deposit, voting, expedited := 7*24*time.Hour, 5*24*time.Hour, 24*time.Hour
	g.Params.MinDeposit = sdk.NewCoins(NEX(1_000))
	g.Params.ExpeditedMinDeposit = sdk.NewCoins(NEX(5_000))
	g.Params.MaxDepositPeriod = &deposit
	g.Params.VotingPeriod = &voting
	g.Params.ExpeditedVotingPeriod = &expedited
	// A tenth up front keeps the list of proposals from being written full for nothing.
	g.Params.MinInitialDepositRatio = math.LegacyNewDecWithPrec(10, 2).String()
	return g
}
