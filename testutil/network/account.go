package network

import (
	"context"
	"fmt"
	"time"

	"github.com/cosmos/cosmos-sdk/client"
	clienttx "github.com/cosmos/cosmos-sdk/client/tx"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"

	"github.com/nexara/nexara/x/denom"
)

const (
	// DefaultGas is the gas limit of a transaction that sets none: some 200 fit a block.
	DefaultGas = 1_000_000
	// DefaultGasPrice is the price that its fee is reckoned with, in anex.
	DefaultGasPrice = 1_000
)

// Account is a key pair of a test chain, made from its name.
type Account struct {
	// Name is what the test calls it.
	Name string
	// Key signs.
	Key cryptotypes.PrivKey
	// Address is that of Key.
	Address sdk.AccAddress

	pending uint64 // transactions signed since the last block
}

// String returns the bech32 address.
func (a *Account) String() string { return a.Address.String() }

// Account returns the account of a name, always with the same key. Only those of Options.Accounts hold coins.
func (c *Chain) Account(name string) *Account {
	if a, known := c.accounts[name]; known {
		return a
	}
	key := NamedKey(name)
	a := &Account{Name: name, Key: key, Address: sdk.AccAddress(key.PubKey().Address())}
	c.accounts[name] = a
	return a
}

// NamedKey is the key of the account of that name, on every test chain.
func NamedKey(name string) cryptotypes.PrivKey {
	return secp256k1.GenPrivKeyFromSecret([]byte("account " + name + " of " + ChainID))
}

// TxOptions shape a signed transaction; the zero value signs in order with the default gas and fee.
type TxOptions struct {
	// Gas is the limit; zero is DefaultGas.
	Gas uint64
	// Fee is what is paid; nil is Gas times DefaultGasPrice.
	Fee sdk.Coins
	// Granter pays the fee, if not nil.
	Granter *Account
	// Memo is carried along.
	Memo string
	// Unordered leaves the sequence out; the transaction is then valid until Timeout.
	Unordered bool
	// Timeout of an unordered transaction; zero is 30 s ahead, made unique.
	Timeout time.Time
	// Also signs beside the first account: for messages of several signers, in their order.
	Also []*Account
	// AminoJSON signs the text that old wallets show.
	AminoJSON bool
}

// Sign returns a signed, encoded transaction of one account. It ends the test if it cannot sign.
func (c *Chain) Sign(from *Account, msgs ...sdk.Msg) []byte {
	c.tb.Helper()
	return c.SignWith(from, TxOptions{}, msgs...)
}

// SignWith is Sign with options.
func (c *Chain) SignWith(from *Account, opts TxOptions, msgs ...sdk.Msg) []byte {
	c.tb.Helper()
	raw, err := c.sign(from, opts, msgs)
	if err != nil {
		c.tb.Fatalf("sign for %s: %v", from.Name, err)
	}
	return raw
}

func (c *Chain) sign(from *Account, opts TxOptions, msgs []sdk.Msg) ([]byte, error) {
	b, err := c.build(opts, msgs)
	if err != nil {
		return nil, err
	}
	mode := signing.SignMode_SIGN_MODE_DIRECT
	if opts.AminoJSON {
		mode = signing.SignMode_SIGN_MODE_LEGACY_AMINO_JSON
	}
	signers := append([]*Account{from}, opts.Also...)
	data := make([]authsigning.SignerData, len(signers))
	sigs := make([]signing.SignatureV2, len(signers))
	ctx := c.Context()
	for i, a := range signers {
		d := authsigning.SignerData{Address: a.String(), ChainID: ChainID, PubKey: a.Key.PubKey()}
		if acc := c.App.AccountKeeper.GetAccount(ctx, a.Address); acc != nil {
			d.AccountNumber = acc.GetAccountNumber()
			if !opts.Unordered {
				d.Sequence = acc.GetSequence() + a.pending
			}
		}
		data[i] = d
		sigs[i] = signing.SignatureV2{
			PubKey: d.PubKey, Sequence: d.Sequence, Data: &signing.SingleSignatureData{SignMode: mode},
		}
	}
	// The signer infos are part of what is signed, so they go in first, without signatures.
	if err := b.SetSignatures(sigs...); err != nil {
		return nil, fmt.Errorf("set the signers: %w", err)
	}
	for i, a := range signers {
		sig, err := clienttx.SignWithPrivKey(
			context.Background(), mode, data[i], b, a.Key, c.Encoding.TxConfig, data[i].Sequence,
		)
		if err != nil {
			return nil, fmt.Errorf("sign as %s: %w", a.Name, err)
		}
		sigs[i] = sig
	}
	if err := b.SetSignatures(sigs...); err != nil {
		return nil, fmt.Errorf("set the signatures: %w", err)
	}
	raw, err := c.Encoding.TxConfig.TxEncoder()(b.GetTx())
	if err != nil {
		return nil, fmt.Errorf("encode the transaction: %w", err)
	}
	if !opts.Unordered {
		for _, a := range signers {
			a.pending++
		}
	}
	return raw, nil
}

func (c *Chain) build(opts TxOptions, msgs []sdk.Msg) (client.TxBuilder, error) {
	b := c.Encoding.TxConfig.NewTxBuilder()
	if err := b.SetMsgs(msgs...); err != nil {
		return nil, fmt.Errorf("set the messages: %w", err)
	}
	gas := opts.Gas
	if gas == 0 {
		gas = DefaultGas
	}
	fee := opts.Fee
	if fee == nil {
		fee = sdk.NewCoins(sdk.NewInt64Coin(denom.Base, int64(gas)*DefaultGasPrice))
	}
	b.SetGasLimit(gas)
	b.SetFeeAmount(fee)
	b.SetMemo(opts.Memo)
	if opts.Granter != nil {
		b.SetFeeGranter(opts.Granter.Address)
	}
	if opts.Unordered {
		at := opts.Timeout
		if at.IsZero() {
			// Two unordered transactions of one account must differ in their timeout.
			c.nonce++
			at = c.now.Add(30*time.Second + time.Duration(c.nonce))
		}
		b.SetUnordered(true)
		b.SetTimeoutTimestamp(at)
	}
	return b, nil
}
