package nexcore_test

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"cosmossdk.io/client/v2/autocli"
	"cosmossdk.io/core/appmodule"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec/address"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module/testutil"
	"github.com/cosmos/cosmos-sdk/version"

	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/nexcore"
	"github.com/nexara/nexara/x/nexcore/types"
)

func TestMain(m *testing.M) {
	sdk.GetConfig().SetBech32PrefixForAccount(denom.Bech32Prefix, denom.Bech32Prefix+"pub")
	version.AppName = "nexarad"
	os.Exit(m.Run())
}

func TestDefaultGenesis(t *testing.T) {
	m := nexcore.NewAppModule(nil)
	enc := testutil.MakeTestEncodingConfig(m)
	raw := m.DefaultGenesis(enc.Codec)
	require.NoError(t, m.ValidateGenesis(enc.Codec, enc.TxConfig, raw))
	require.Error(t, m.ValidateGenesis(enc.Codec, enc.TxConfig, []byte(`{"nonsense":1}`)))
	require.ErrorIs(t, m.ValidateGenesis(enc.Codec, enc.TxConfig, []byte(`{}`)), types.ErrParams)
}

// Every generated command exists, and every example in its help parses.
func TestCommands(t *testing.T) {
	m := nexcore.NewAppModule(nil)
	enc := testutil.MakeTestEncodingConfig(m)
	root := &cobra.Command{Use: "nexarad"}
	require.NoError(t, autocli.AppOptions{
		Modules:               map[string]appmodule.AppModule{types.ModuleName: m},
		AddressCodec:          address.NewBech32Codec(denom.Bech32Prefix),
		ValidatorAddressCodec: address.NewBech32Codec(denom.Bech32Prefix + "valoper"),
		ConsensusAddressCodec: address.NewBech32Codec(denom.Bech32Prefix + "valcons"),
		ClientCtx:             client.Context{InterfaceRegistry: enc.InterfaceRegistry, Codec: enc.Codec, TxConfig: enc.TxConfig},
	}.EnhanceRootCommand(root))
	// Files and keys that examples name.
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("spec.json", []byte(`{"arch":"amd64","cpu_milli":"4000","memory_mib":"8192","runtimes":["wasm"],"region":"eu-west"}`), 0o600))
	require.NoError(t, os.WriteFile("params.json", []byte(`{"min_bond":"1"}`), 0o600))
	replace := strings.NewReplacer("$PUBKEY_HEX", strings.Repeat("02", 33), "$PROOF_HEX", strings.Repeat("ab", 64))

	for path, want := range map[string]int{"query": 5, "tx": 7} {
		group, _, err := root.Find([]string{path, types.ModuleName})
		require.NoError(t, err)
		require.Len(t, group.Commands(), want, "%s commands", path)
		for _, cmd := range group.Commands() {
			require.NotEmpty(t, cmd.Example, cmd.CommandPath())
			for _, line := range strings.Split(cmd.Example, "\n") {
				args := strings.Fields(replace.Replace(line))
				found, rest, err := root.Find(args[1:])
				require.NoError(t, err, line)
				require.Equal(t, cmd, found, line)
				require.NoError(t, found.ParseFlags(rest), line)
				require.NoError(t, found.ValidateArgs(found.Flags().Args()), line)
			}
		}
	}
}
