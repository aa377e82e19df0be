package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"sort"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/input"
	"github.com/cosmos/cosmos-sdk/crypto/keys/multisig"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	"github.com/spf13/cobra"
)

var (
	errAborted  = errors.New("aborted")
	errMultisig = errors.New("multisig")
)

// addMultisig keeps a key that some of its members must sign for together.
func addMultisig(cmd *cobra.Command, ctx client.Context, name string, members []string, threshold int) error {
	if threshold < 1 || threshold > len(members) {
		return fmt.Errorf("%w: %d of %d cannot sign", errMultisig, threshold, len(members))
	}
	pubs := make([]cryptotypes.PubKey, 0, len(members))
	for _, member := range members {
		record, err := ctx.Keyring.Key(member)
		if err != nil {
			return err
		}
		pub, err := record.GetPubKey()
		if err != nil {
			return fmt.Errorf("read the public key of %s: %w", member, err)
		}
		for _, other := range pubs {
			if pub.Equals(other) {
				return fmt.Errorf("%w: %s is a member twice", errMultisig, member)
			}
		}
		pubs = append(pubs, pub)
	}
	sort.Slice(pubs, func(i, j int) bool { return bytes.Compare(pubs[i].Address(), pubs[j].Address()) < 0 })
	record, err := ctx.Keyring.SaveMultisig(name, multisig.NewLegacyAminoPubKey(threshold, pubs))
	if err != nil {
		return fmt.Errorf("keep the key: %w", err)
	}
	return printKey(cmd, record, "")
}

func keysDeleteCommand() *cobra.Command {
	cmd := keyCommand("delete NAME", "Delete a key", "  nexarad keys delete alice --yes", 1,
		func(cmd *cobra.Command, ctx client.Context, args []string) error {
			if _, err := ctx.Keyring.Key(args[0]); err != nil {
				return err
			}
			if sure, _ := cmd.Flags().GetBool(flagYes); !sure {
				said, err := input.GetConfirmation("The key is gone for good unless you have its mnemonic. Delete it?",
					bufio.NewReader(cmd.InOrStdin()), cmd.ErrOrStderr())
				if err != nil {
					return fmt.Errorf("read the answer: %w", err)
				}
				if !said {
					return errAborted
				}
			}
			return ctx.Keyring.Delete(args[0])
		})
	cmd.Flags().BoolP(flagYes, "y", false, "do not ask")
	return cmd
}

func keysRenameCommand() *cobra.Command {
	return keyCommand("rename OLD NEW", "Rename a key", "  nexarad keys rename alice alice-old", 2,
		func(_ *cobra.Command, ctx client.Context, args []string) error {
			if !accountName.MatchString(args[1]) {
				return fmt.Errorf("%q is no name for a key", args[1])
			}
			return ctx.Keyring.Rename(args[0], args[1])
		})
}

func keysExportCommand() *cobra.Command {
	return keyCommand("export NAME", "Print a private key, encrypted with a passphrase", "  nexarad keys export alice > alice.key", 1,
		func(cmd *cobra.Command, ctx client.Context, args []string) error {
			pass, err := input.GetPassword("Enter a passphrase to encrypt the key:", bufio.NewReader(cmd.InOrStdin()))
			if err != nil {
				return fmt.Errorf("read the passphrase: %w", err)
			}
			armor, err := ctx.Keyring.ExportPrivKeyArmor(args[0], pass)
			if err != nil {
				return fmt.Errorf("export the key: %w", err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), armor)
			return err
		})
}

func keysImportCommand() *cobra.Command {
	return keyCommand("import NAME FILE", "Keep a private key that export printed", "  nexarad keys import alice alice.key", 2,
		func(cmd *cobra.Command, ctx client.Context, args []string) error {
			armor, err := readLimited(args[1], maxKeyFileBytes)
			if err != nil {
				return err
			}
			pass, err := input.GetPassword("Enter the passphrase of the key:", bufio.NewReader(cmd.InOrStdin()))
			if err != nil {
				return fmt.Errorf("read the passphrase: %w", err)
			}
			if err := ctx.Keyring.ImportPrivKey(args[0], string(armor), pass); err != nil {
				return fmt.Errorf("import the key: %w", err)
			}
			return nil
		})
}
