package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/client/input"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/crypto/hd"
	"github.com/cosmos/cosmos-sdk/crypto/keyring"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/go-bip39"
	"github.com/spf13/cobra"
)

// The flags of keys, named as in other Cosmos chains.
const (
	flagAccount   = "account"
	flagIndex     = "index"
	flagNoBackup  = "no-backup"
	flagAddress   = "address"
	flagBech      = "bech"
	flagYes       = "yes"
	flagMultisig  = "multisig"
	flagThreshold = "multisig-threshold"
)

const maxKeyFileBytes = 64 << 10

var (
	errKeyExists = errors.New("a key of this name is already there")
	errKeyForm   = errors.New("--bech is one of acc, val, cons")
)

// keyReport is how a key is printed.
type keyReport struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Address  string `json:"address"`
	PubKey   string `json:"pubkey"`
	Mnemonic string `json:"mnemonic,omitempty"`
}

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, list and move the keys that sign",
		Long: `Keys are kept by --keyring-backend in --keyring-dir, which is --home unless set:
os (the system's keyring), file (encrypted, asks for a passphrase), kwallet, pass, memory, or test
(not encrypted: for tests only).`,
		Example: `  nexarad keys add alice --keyring-backend file
  nexarad keys list --output json
  nexarad keys show alice --address`,
		RunE: client.ValidateCmd,
	}
	cmd.AddCommand(keysAddCommand(), keysListCommand(), keysShowCommand(), keysDeleteCommand(),
		keysRenameCommand(), keysExportCommand(), keysImportCommand())
	flags.AddKeyringFlags(cmd.PersistentFlags())
	cmd.PersistentFlags().StringP(flags.FlagOutput, "o", flags.OutputFormatText, "how to print the result (text|json)")
	return cmd
}

// keyCommand is a leaf of keys: it hands run the keyring that the flags name.
func keyCommand(use, short, example string, args int, run func(*cobra.Command, client.Context, []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: example, Args: cobra.ExactArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, err := client.GetClientQueryContext(cmd)
			if err != nil {
				return err
			}
			return run(cmd, ctx, args)
		},
	}
}

func keysAddCommand() *cobra.Command {
	cmd := keyCommand("add NAME", "Make a key, or bring one back from its mnemonic",
		`  nexarad keys add alice
  nexarad keys add alice --recover < mnemonic.txt
  nexarad keys add treasury --multisig alice,bob,carol --multisig-threshold 2`, 1, runKeysAdd)
	f := cmd.Flags()
	f.Bool(flagRecover, false, "read the mnemonic instead of making one")
	f.Uint32(flagAccount, 0, "the account number of the derivation path")
	f.Uint32(flagIndex, 0, "the address index of the derivation path")
	f.Bool(flagNoBackup, false, "do not print the mnemonic")
	f.StringSlice(flagMultisig, nil, "make a multisig key of these keys, in order of their addresses")
	f.Int(flagThreshold, 1, "how many of them must sign")
	return cmd
}

func runKeysAdd(cmd *cobra.Command, ctx client.Context, args []string) error {
	f, name := cmd.Flags(), strings.TrimSpace(args[0])
	if !accountName.MatchString(name) {
		return fmt.Errorf("%q is no name for a key: letters, digits, '_', '.', '-', at most 63", args[0])
	}
	if _, err := ctx.Keyring.Key(name); err == nil {
		return fmt.Errorf("%w: %s", errKeyExists, name)
	} else if !errors.Is(err, sdkerrors.ErrKeyNotFound) {
		return fmt.Errorf("look for the key: %w", err)
	}
	if members, _ := f.GetStringSlice(flagMultisig); len(members) > 0 {
		threshold, _ := f.GetInt(flagThreshold)
		return addMultisig(cmd, ctx, name, members, threshold)
	}
	account, _ := f.GetUint32(flagAccount)
	index, _ := f.GetUint32(flagIndex)
	path := hd.CreateHDPath(sdk.GetConfig().GetCoinType(), account, index).String()
	if again, _ := f.GetBool(flagRecover); again {
		said, err := input.GetString("Enter the key's BIP-39 mnemonic", bufio.NewReader(cmd.InOrStdin()))
		if err != nil {
			return fmt.Errorf("read the mnemonic: %w", err)
		}
		mnemonic := strings.TrimSpace(said)
		if !bip39.IsMnemonicValid(mnemonic) {
			return errMnemonic
		}
		record, err := ctx.Keyring.NewAccount(name, mnemonic, keyring.DefaultBIP39Passphrase, path, hd.Secp256k1)
		if err != nil {
			return fmt.Errorf("keep the key: %w", err)
		}
		return printKey(cmd, record, "")
	}
	record, mnemonic, err := ctx.Keyring.NewMnemonic(name, keyring.English, path, keyring.DefaultBIP39Passphrase, hd.Secp256k1)
	if err != nil {
		return fmt.Errorf("make the key: %w", err)
	}
	if hide, _ := f.GetBool(flagNoBackup); hide {
		mnemonic = ""
	}
	return printKey(cmd, record, mnemonic)
}

func keysListCommand() *cobra.Command {
	return keyCommand("list", "List all keys", "  nexarad keys list --keyring-backend test --output json", 0,
		func(cmd *cobra.Command, ctx client.Context, _ []string) error {
			records, err := ctx.Keyring.List()
			if err != nil {
				return fmt.Errorf("list the keys: %w", err)
			}
			reports := make([]keyReport, 0, len(records))
			for _, r := range records {
				report, err := reportKey(r, "")
				if err != nil {
					return err
				}
				reports = append(reports, report)
			}
			return printReport(cmd, reports, func(rs []keyReport) string {
				var b strings.Builder
				for _, r := range rs {
					b.WriteString(showKey(r))
				}
				return b.String()
			})
		})
}

func keysShowCommand() *cobra.Command {
	cmd := keyCommand("show NAME", "Show one key", `  nexarad keys show alice -a
  nexarad keys show validator --bech val --address`, 1,
		func(cmd *cobra.Command, ctx client.Context, args []string) error {
			record, err := ctx.Keyring.Key(args[0])
			if err != nil {
				return err
			}
			report, err := reportKey(record, "")
			if err != nil {
				return err
			}
			form, _ := cmd.Flags().GetString(flagBech)
			if report.Address, err = addressAs(record, form); err != nil {
				return err
			}
			if only, _ := cmd.Flags().GetBool(flagAddress); only {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), report.Address)
				return err
			}
			return printReport(cmd, report, showKey)
		})
	cmd.Flags().BoolP(flagAddress, "a", false, "print the address alone")
	cmd.Flags().String(flagBech, "acc", "the address's prefix (acc|val|cons)")
	return cmd
}

func addressAs(record *keyring.Record, form string) (string, error) {
	addr, err := record.GetAddress()
	if err != nil {
		return "", fmt.Errorf("read the key's address: %w", err)
	}
	switch form {
	case "acc":
		return addr.String(), nil
	case "val":
		return sdk.ValAddress(addr).String(), nil
	case "cons":
		return sdk.ConsAddress(addr).String(), nil
	default:
		return "", fmt.Errorf("%w: %q", errKeyForm, form)
	}
}

func reportKey(record *keyring.Record, mnemonic string) (keyReport, error) {
	addr, err := record.GetAddress()
	if err != nil {
		return keyReport{}, fmt.Errorf("read the address of %s: %w", record.Name, err)
	}
	pub, err := codec.ProtoMarshalJSON(record.PubKey, nil)
	if err != nil {
		return keyReport{}, fmt.Errorf("encode the public key of %s: %w", record.Name, err)
	}
	return keyReport{
		Name: record.Name, Type: record.GetType().String(), Address: addr.String(), PubKey: string(pub), Mnemonic: mnemonic,
	}, nil
}

func printKey(cmd *cobra.Command, record *keyring.Record, mnemonic string) error {
	report, err := reportKey(record, mnemonic)
	if err != nil {
		return err
	}
	return printReport(cmd, report, showKey)
}

func showKey(r keyReport) string {
	s := fmt.Sprintf("- name: %s\n  type: %s\n  address: %s\n  pubkey: '%s'\n", r.Name, r.Type, r.Address, r.PubKey)
	if r.Mnemonic != "" {
		s += "\nWrite this mnemonic down: it alone brings the key back.\n\n" + r.Mnemonic + "\n"
	}
	return s
}
