package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cosmossdk.io/log/v2"
	abci "github.com/cometbft/cometbft/abci/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/baseapp"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"
	gogoproto "github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cosmossdk.io/api/amino"
)

func wired(t *testing.T, home string) *App {
	t.Helper()
	SetConfig()
	app, err := New(log.NewNopLogger(), dbm.NewMemDB(), Options{Home: home, SkipLoad: true})
	require.NoError(t, err)
	return app
}

// TestModulesAreListedEverywhere says that no list of modules forgets one.
func TestModulesAreListedEverywhere(t *testing.T) {
	app := wired(t, "")
	basics := make([]string, 0, len(app.encoding.Basics))
	for name := range app.encoding.Basics {
		basics = append(basics, name)
	}
	require.ElementsMatch(t, app.modules.ModuleNames(), basics)
	require.ElementsMatch(t, app.modules.ModuleNames(), genesisOrder())
	require.Len(t, app.keys, len(storeKeys()))
}

// TestEndBlockOrder pins the order that other rooms rely on.
func TestEndBlockOrder(t *testing.T) {
	order := strings.Join(endBlockOrder(), " ")
	require.True(t, strings.HasPrefix(order, "bank gov staking "), order)
	require.True(t, strings.HasSuffix(order, " nexcore tasks reputation"), order)
}

// TestMessagesCanBeSigned says that every message of every module names its signers and has an amino
// name, so that wallets can show it as text.
func TestMessagesCanBeSigned(t *testing.T) {
	app := wired(t, "")
	files, err := gogoproto.MergedRegistry()
	require.NoError(t, err)
	require.NoError(t, msgservice.ValidateProtoAnnotations(files))
	require.NoError(t, app.encoding.Registry.SigningContext().Validate())

	checked := 0
	for _, url := range app.encoding.Registry.ListImplementations(sdk.MsgInterfaceProtoName) {
		if !strings.HasPrefix(url, "/nexara.") {
			continue
		}
		found, err := files.FindDescriptorByName(protoreflect.FullName(strings.TrimPrefix(url, "/")))
		require.NoError(t, err)
		require.NotEmpty(t, proto.GetExtension(found.Options(), amino.E_Name), "%s has no amino name", url)
		checked++
	}
	require.Positive(t, checked)
}

var errTest = errors.New("failed on purpose")

// TestUpgrade says that a plan stops a binary that lacks it or whose migration fails, and that one that has it
// migrates and goes on.
func TestUpgrade(t *testing.T) {
	ran := 0
	list := []release{
		{name: "known", before: func(context.Context) error { ran++; return nil }},
		{name: "failing", before: func(context.Context) error { return errTest }},
	}
	for _, tc := range []struct {
		plan string
		stop bool
	}{{"known", false}, {"failing", true}, {"unknown", true}} {
		t.Run(tc.plan, func(t *testing.T) {
			home := t.TempDir()
			app := bareChain(t, tc.plan, home)
			for h := int64(1); h < 3; h++ {
				require.NoError(t, runBlock(app, h))
			}
			// The new binary takes over right before the plan's height.
			require.NoError(t, app.installUpgrades(list, ""))
			err := runBlock(app, 3)
			require.Equal(t, tc.stop, err != nil, "%v", err)
		})
	}
	require.Equal(t, 1, ran)
}

// bareChain is a chain without validators, whose blocks do nothing but look for upgrades; the plan is due
// at height 3.
func bareChain(t *testing.T, plan, home string) *App {
	t.Helper()
	app := wired(t, home)
	baseapp.SetChainID("upgrade-1")(app.BaseApp)
	app.SetInitChainer(func(ctx sdk.Context, _ *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
		if err := app.UpgradeKeeper.SetModuleVersionMap(ctx, app.modules.GetVersionMap()); err != nil {
			return nil, err
		}
		return &abci.ResponseInitChain{}, app.UpgradeKeeper.ScheduleUpgrade(ctx, upgradetypes.Plan{Name: plan, Height: 3})
	})
	app.SetBeginBlocker(nil)
	app.SetEndBlocker(nil)
	require.NoError(t, app.LoadLatestVersion())
	params := ConsensusParams().ToProto()
	_, err := app.InitChain(&abci.RequestInitChain{ChainId: "upgrade-1", ConsensusParams: &params, InitialHeight: 1})
	require.NoError(t, err)
	return app
}

func runBlock(app *App, height int64) error {
	if _, err := app.FinalizeBlock(&abci.RequestFinalizeBlock{Height: height, Time: time.Unix(height, 0)}); err != nil {
		return err
	}
	_, err := app.Commit()
	return err
}
