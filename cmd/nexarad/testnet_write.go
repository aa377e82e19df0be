package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cosmossdk.io/math"
	cmtcfg "github.com/cometbft/cometbft/config"
	clienttx "github.com/cosmos/cosmos-sdk/client/tx"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/genutil"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/nexara/nexara/app"
)

const (
	validatorKey     = "validator"
	validatorBalance = 2_000_000 // NEX, of which validatorStake is bonded
	validatorStake   = 1_000_000
	loopback         = "127.0.0.1"
)

// testNode is one node while its files are being written.
type testNode struct {
	report nodeReport
	ports  ports
	comet  *cmtcfg.Config
	keys   keyring.Keyring
	pub    cryptotypes.PubKey
	addr   sdk.AccAddress
}

// testnetWriter collects the genesis while nodes and accounts are made.
type testnetWriter struct {
	enc      app.Encoding
	cfg      testnetConfig
	nodes    []*testNode
	accounts []authtypes.GenesisAccount
	balances []banktypes.Balance
	report   testnetReport
}

// writeTestnet writes every file of the network, or none: what it made is taken away if it fails.
func writeTestnet(ctx context.Context, enc app.Encoding, cfg testnetConfig) (_ testnetReport, err error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return testnetReport{}, fmt.Errorf("find %s: %w", cfg.Dir, err)
	}
	cfg.Dir = dir
	for i := range cfg.Validators {
		home := nodeHome(dir, i)
		if _, err := os.Stat(home); err == nil {
			return testnetReport{}, fmt.Errorf("%w: %s is already there; remove it or choose another --%s", errTestnet, home, flagOutputDir)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return testnetReport{}, fmt.Errorf("look for %s: %w", home, err)
		}
	}
	defer func() {
		if err == nil {
			return
		}
		for i := range cfg.Validators {
			err = errors.Join(err, os.RemoveAll(nodeHome(dir, i)))
		}
	}()
	w := &testnetWriter{enc: enc, cfg: cfg, report: testnetReport{ChainID: cfg.ChainID}}
	for i := range cfg.Validators {
		if err := w.addNode(i); err != nil {
			return testnetReport{}, fmt.Errorf("node%d: %w", i, err)
		}
	}
	if err := w.addAccounts(); err != nil {
		return testnetReport{}, err
	}
	if err := w.writeGenesis(ctx); err != nil {
		return testnetReport{}, err
	}
	return w.report, w.writeSettings()
}

func nodeHome(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("node%d", i)) }

// addNode makes a node's keys and its validator's account.
func (w *testnetWriter) addNode(i int) error {
	home, p := nodeHome(w.cfg.Dir, i), w.cfg.Ports.plus(i*w.cfg.PortStep)
	cfg := cometConfig(w.cfg.BlockTime)
	cfg.SetRoot(home)
	cfg.Moniker = filepath.Base(home)
	cfg.P2P.ListenAddress = fmt.Sprintf("tcp://%s:%d", loopback, p.P2P)
	cfg.RPC.ListenAddress = fmt.Sprintf("tcp://%s:%d", loopback, p.RPC)
	// All peers share one private address, which a node in the open must refuse.
	cfg.P2P.AddrBookStrict = false
	cfg.P2P.AllowDuplicateIP = true

	nodeID, pub, err := writeNodeKeys(cfg, "")
	if err != nil {
		return err
	}
	keys, err := openKeyring(w.enc.Codec, w.cfg.Keyring, home, w.cfg.Stdin)
	if err != nil {
		return err
	}
	addr, err := w.newAccount(keys, validatorKey, app.NEX(validatorBalance))
	if err != nil {
		return err
	}
	n := &testNode{ports: p, comet: cfg, keys: keys, pub: pub, addr: addr}
	n.report = nodeReport{
		Name: cfg.Moniker, Home: home, NodeID: nodeID, Validator: sdk.ValAddress(addr).String(),
		P2P: cfg.P2P.ListenAddress, RPC: fmt.Sprintf("http://%s:%d", loopback, p.RPC),
		API: fmt.Sprintf("http://%s:%d", loopback, p.API), GRPC: fmt.Sprintf("%s:%d", loopback, p.GRPC),
	}
	w.nodes = append(w.nodes, n)
	w.report.Nodes = append(w.report.Nodes, n.report)
	return nil
}

// openKeyring opens a node's keyring; a backend that asks for a passphrase reads it from in.
func openKeyring(cdc codec.Codec, backend, home string, in io.Reader) (keyring.Keyring, error) {
	keys, err := keyring.New(sdk.KeyringServiceName(), backend, home, in, cdc)
	if err != nil {
		return nil, fmt.Errorf("open the keyring of %s: %w", home, err)
	}
	return keys, nil
}

// newAccount makes a key and gives its account coins at genesis.
func (w *testnetWriter) newAccount(keys keyring.Keyring, name string, coins sdk.Coin) (sdk.AccAddress, error) {
	record, _, err := keys.NewMnemonic(name, keyring.English, sdk.GetConfig().GetFullBIP44Path(), keyring.DefaultBIP39Passphrase, hd.Secp256k1)
	if err != nil {
		return nil, fmt.Errorf("make the key %s: %w", name, err)
	}
	addr, err := record.GetAddress()
	if err != nil {
		return nil, fmt.Errorf("read the address of %s: %w", name, err)
	}
	w.accounts = append(w.accounts, authtypes.NewBaseAccount(addr, nil, 0, 0))
	w.balances = append(w.balances, banktypes.Balance{Address: addr.String(), Coins: sdk.NewCoins(coins)})
	return addr, nil
}

func (w *testnetWriter) addAccounts() error {
	first := w.nodes[0]
	for _, a := range w.cfg.Fund {
		addr, err := w.newAccount(first.keys, a.Name, a.Amount)
		if err != nil {
			return err
		}
		w.report.Accounts = append(w.report.Accounts, accountReport{
			Name: a.Name, Address: addr.String(), Balance: showAmount(a.Amount), Home: first.report.Home,
		})
	}
	return nil
}

// writeGenesis writes the same genesis to every node: defaults, accounts, the override, and then the
// validators, which an override cannot take away by accident.
func (w *testnetWriter) writeGenesis(ctx context.Context) error {
	state, err := w.enc.DefaultGenesis()
	if err != nil {
		return err
	}
	packed, err := authtypes.PackAccounts(w.accounts)
	if err != nil {
		return fmt.Errorf("pack the accounts: %w", err)
	}
	auth := authtypes.DefaultGenesisState()
	auth.Accounts = packed
	if state[authtypes.ModuleName], err = w.enc.Codec.MarshalJSON(auth); err != nil {
		return fmt.Errorf("encode the accounts: %w", err)
	}
	var bank banktypes.GenesisState
	if err := w.enc.Codec.UnmarshalJSON(state[banktypes.ModuleName], &bank); err != nil {
		return fmt.Errorf("decode the bank's genesis: %w", err)
	}
	bank.Balances = banktypes.SanitizeGenesisBalances(w.balances)
	if state[banktypes.ModuleName], err = w.enc.Codec.MarshalJSON(&bank); err != nil {
		return fmt.Errorf("encode the balances: %w", err)
	}
	if len(w.cfg.Gateways) > 0 {
		patch, err := json.Marshal(map[string]any{"tasks": map[string]any{"params": map[string]any{"gateways": w.cfg.Gateways}}})
		if err != nil {
			return fmt.Errorf("--%s: %w", flagGateway, err)
		}
		if state, err = state.Patch(patch); err != nil {
			return fmt.Errorf("--%s: %w", flagGateway, err)
		}
	}
	if len(w.cfg.Override) > 0 {
		if state, err = state.Patch(w.cfg.Override); err != nil {
			return fmt.Errorf("--%s: %w", flagGenesisOverride, err)
		}
	}
	if state[genutiltypes.ModuleName], err = w.genTxs(ctx); err != nil {
		return err
	}
	if err := w.enc.ValidateGenesis(state); err != nil {
		return err
	}
	genesis, err := newGenesis(w.cfg.ChainID, state)
	if err != nil {
		return err
	}
	for _, n := range w.nodes {
		if err := genutil.ExportGenesisFile(genesis, n.comet.GenesisFile()); err != nil {
			return fmt.Errorf("write the genesis of %s: %w", n.report.Name, err)
		}
	}
	w.report.Genesis = w.nodes[0].comet.GenesisFile()
	return nil
}

// genTxs is each validator's signed self-delegation.
func (w *testnetWriter) genTxs(ctx context.Context) (json.RawMessage, error) {
	var txs []json.RawMessage
	for _, n := range w.nodes {
		msg, err := stakingtypes.NewMsgCreateValidator(
			n.report.Validator, n.pub, app.NEX(validatorStake),
			stakingtypes.NewDescription(n.report.Name, "", "", "", ""),
			stakingtypes.NewCommissionRates(math.LegacyNewDecWithPrec(5, 2), math.LegacyOneDec(), math.LegacyNewDecWithPrec(1, 2)),
			math.OneInt(),
		)
		if err != nil {
			return nil, fmt.Errorf("describe the validator %s: %w", n.report.Name, err)
		}
		b := w.enc.TxConfig.NewTxBuilder()
		if err := b.SetMsgs(msg); err != nil {
			return nil, fmt.Errorf("build the genesis transaction of %s: %w", n.report.Name, err)
		}
		b.SetMemo(n.peer())
		factory := clienttx.Factory{}.WithChainID(w.cfg.ChainID).WithKeybase(n.keys).WithTxConfig(w.enc.TxConfig)
		if err := clienttx.Sign(ctx, factory, validatorKey, b, true); err != nil {
			return nil, fmt.Errorf("sign the genesis transaction of %s: %w", n.report.Name, err)
		}
		raw, err := w.enc.TxConfig.TxJSONEncoder()(b.GetTx())
		if err != nil {
			return nil, fmt.Errorf("encode the genesis transaction of %s: %w", n.report.Name, err)
		}
		txs = append(txs, raw)
	}
	out, err := w.enc.Codec.MarshalJSON(genutiltypes.NewGenesisState(txs))
	if err != nil {
		return nil, fmt.Errorf("encode the genesis transactions: %w", err)
	}
	return out, nil
}

func (n *testNode) peer() string {
	return fmt.Sprintf("%s@%s:%d", n.report.NodeID, loopback, n.ports.P2P)
}

// writeSettings writes each node's three files, now that all peers are known.
func (w *testnetWriter) writeSettings() error {
	for _, n := range w.nodes {
		var peers []string
		for _, other := range w.nodes {
			if other != n {
				peers = append(peers, other.peer())
			}
		}
		n.comet.P2P.PersistentPeers = strings.Join(peers, ",")
		if err := writeCometConfig(n.report.Home, n.comet); err != nil {
			return err
		}
		settings := appConfig()
		settings.MinGasPrices = w.cfg.MinGasPrices
		settings.API.Enable = true
		settings.API.Address = fmt.Sprintf("tcp://%s:%d", loopback, n.ports.API)
		settings.GRPC.Address = n.report.GRPC
		if err := writeAppConfig(n.report.Home, settings); err != nil {
			return err
		}
		if err := writeClientConfig(n.report.Home, w.cfg.ChainID, w.cfg.Keyring, n.comet.RPC.ListenAddress); err != nil {
			return err
		}
	}
	return nil
}
