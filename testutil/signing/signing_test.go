// Package signing proves that the chain's own code accepts what node/key signs.
// It holds tests only: node/** may not import the SDK, so the proof lives here.
package signing

import (
	"context"
	"errors"
	"testing"
	"time"

	bankv1beta1 "cosmossdk.io/api/cosmos/bank/v1beta1"
	basev1beta1 "cosmossdk.io/api/cosmos/base/v1beta1"
	coreaddress "cosmossdk.io/core/address"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/address"
	"github.com/cosmos/cosmos-sdk/codec/types"
	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/bech32"
	sdktx "github.com/cosmos/cosmos-sdk/types/tx/signing"
	"github.com/cosmos/cosmos-sdk/x/auth/ante"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	txsigning "github.com/cosmos/cosmos-sdk/x/tx/signing"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"
	gproto "google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/nexara/nexara/node/key"
	taskstypes "github.com/nexara/nexara/x/tasks/types"
)

const (
	chainID       = "nexara-test"
	accountNumber = 17
	sequence      = 4
)

// accounts answers the ante handler from one account. It stands in for the auth
// keeper's store; every rule applied below is the SDK's own.
type accounts struct {
	account sdk.AccountI
	nonces  map[time.Time]bool
	replays int
}

func (a *accounts) GetParams(context.Context) authtypes.Params { return authtypes.DefaultParams() }
func (a *accounts) GetAccount(_ context.Context, addr sdk.AccAddress) sdk.AccountI {
	if a.account.GetAddress().Equals(addr) {
		return a.account
	}
	return nil
}
func (a *accounts) SetAccount(_ context.Context, acc sdk.AccountI) { a.account = acc }
func (a *accounts) GetModuleAddress(string) sdk.AccAddress         { return nil }
func (a *accounts) AddressCodec() coreaddress.Codec                { return address.NewBech32Codec(key.Prefix) }
func (a *accounts) UnorderedTransactionsEnabled() bool             { return true }
func (a *accounts) RemoveExpiredUnorderedNonces(sdk.Context) error { return nil }
func (a *accounts) TryAddUnorderedNonce(_ sdk.Context, _ []byte, ts time.Time) error {
	if a.nonces[ts] {
		a.replays++
		return errors.New("nonce used")
	}
	a.nonces[ts] = true
	return nil
}

type chain struct {
	accounts *accounts
	cfg      client.TxConfig
	ante     sdk.AnteHandler
	ctx      sdk.Context
	now      time.Time
}

// newChain wires the SDK's decoder and signature rules for one account.
func newChain(t require.TestingT, k *key.Key) *chain {
	registry, err := types.NewInterfaceRegistryWithOptions(types.InterfaceRegistryOptions{
		ProtoFiles: proto.HybridResolver,
		SigningOptions: txsigning.Options{
			AddressCodec:          address.NewBech32Codec(key.Prefix),
			ValidatorAddressCodec: address.NewBech32Codec(key.Prefix + "valoper"),
		},
	})
	require.NoError(t, err)
	cryptocodec.RegisterInterfaces(registry)
	authtypes.RegisterInterfaces(registry)
	banktypes.RegisterInterfaces(registry)
	taskstypes.RegisterInterfaces(registry)
	cfg := authtx.NewTxConfig(codec.NewProtoCodec(registry), authtx.DefaultSignModes)
	raw, err := key.DecodeAddress(k.Address())
	require.NoError(t, err)
	// No public key on the account: a first transaction must bring it.
	ak := &accounts{account: authtypes.NewBaseAccount(raw, nil, accountNumber, sequence), nonces: map[time.Time]bool{}}
	now := time.Unix(1_790_000_000, 0).UTC()
	return &chain{
		accounts: ak, cfg: cfg, now: now,
		ctx: sdk.Context{}.WithContext(context.Background()).WithChainID(chainID).WithBlockHeight(10).
			WithBlockTime(now).WithGasMeter(storetypes.NewInfiniteGasMeter()).WithIsSigverifyTx(true).WithEventManager(sdk.NewEventManager()),
		ante: sdk.ChainAnteDecorators(
			ante.NewValidateBasicDecorator(),
			ante.NewTxTimeoutHeightDecorator(),
			ante.NewSetPubKeyDecorator(ak),
			ante.NewValidateSigCountDecorator(ak),
			ante.NewSigVerificationDecorator(ak, cfg.SignModeHandler()),
		),
	}
}

func (c *chain) deliver(tx []byte) (sdk.Tx, error) {
	decoded, err := c.cfg.TxDecoder()(tx)
	if err != nil {
		return nil, err
	}
	_, err = c.ante(c.ctx, decoded, false)
	return decoded, err
}

func send(k *key.Key, amount string) *bankv1beta1.MsgSend {
	return &bankv1beta1.MsgSend{
		FromAddress: k.Address(), ToAddress: k.Address(),
		Amount: []*basev1beta1.Coin{{Denom: "anex", Amount: amount}},
	}
}

func params(c *chain, msgs ...gproto.Message) key.TxParams {
	return key.TxParams{
		ChainID: chainID, AccountNumber: accountNumber, Unordered: true,
		TimeoutTimestamp: c.now.Add(30*time.Second + 123*time.Nanosecond),
		GasLimit:         200_000, Fee: []key.Coin{{Denom: "anex", Amount: "20000000000000000000"}},
		Msgs: msgs, Memo: "grüße",
	}
}

func TestChainAcceptsUnorderedTransactions(t *testing.T) {
	k, err := key.Generate()
	require.NoError(t, err)
	c := newChain(t, k)
	p := params(c, send(k, "1"), send(k, "2"))
	granter, err := key.Generate()
	require.NoError(t, err)
	p.FeeGranter = granter.Address()
	tx, err := key.BuildTx(p, k)
	require.NoError(t, err)
	decoded, err := c.deliver(tx)
	require.NoError(t, err)

	require.Len(t, decoded.GetMsgs(), 2)
	got := decoded.GetMsgs()[1].(*banktypes.MsgSend)
	require.Equal(t, k.Address(), got.FromAddress)
	require.Equal(t, "2anex", got.Amount.String())
	feeTx := decoded.(sdk.FeeTx)
	require.Equal(t, uint64(200_000), feeTx.GetGas())
	require.Equal(t, "20000000000000000000anex", feeTx.GetFee().String())
	raw, err := key.DecodeAddress(granter.Address())
	require.NoError(t, err)
	require.Equal(t, raw, feeTx.FeeGranter())
	require.True(t, decoded.(sdk.TxWithUnordered).GetTimeoutTimeStamp().Equal(p.TimeoutTimestamp))
	require.Equal(t, "grüße", decoded.(sdk.TxWithMemo).GetMemo())
	signed, err := decoded.(interface {
		GetSignaturesV2() ([]sdktx.SignatureV2, error)
	}).GetSignaturesV2()
	require.NoError(t, err)
	require.Equal(t, k.PublicKey(), signed[0].PubKey.Bytes())
	again, err := c.cfg.TxEncoder()(decoded)
	require.NoError(t, err)
	require.Equal(t, tx, again, "the SDK encodes the same bytes")

	_, err = c.deliver(tx)
	require.Error(t, err)
	require.Equal(t, 1, c.accounts.replays, "a replay is refused by its nonce")
}

func TestChainAcceptsOrderedTransactions(t *testing.T) {
	k, err := key.Generate()
	require.NoError(t, err)
	c := newChain(t, k)
	p := params(c, send(k, "1"))
	p.Unordered, p.TimeoutTimestamp, p.Sequence, p.TimeoutHeight, p.Memo, p.Fee = false, time.Time{}, sequence, 11, "", nil
	tx, err := key.BuildTx(p, k)
	require.NoError(t, err)
	_, err = c.deliver(tx)
	require.NoError(t, err)
}

func TestChainRefusesWhatIsNotSigned(t *testing.T) {
	k, err := key.Generate()
	require.NoError(t, err)
	for name, bend := range map[string]func(*key.TxParams){
		"other chain":    func(p *key.TxParams) { p.ChainID = "nexara-other" },
		"other account":  func(p *key.TxParams) { p.AccountNumber++ },
		"late timeout":   func(p *key.TxParams) { p.TimeoutTimestamp = p.TimeoutTimestamp.Add(time.Hour) },
		"past timeout":   func(p *key.TxParams) { p.TimeoutTimestamp = p.TimeoutTimestamp.Add(-time.Hour) },
		"timeout height": func(p *key.TxParams) { p.TimeoutHeight = 9 },
		"other signer": func(p *key.TxParams) {
			other, err := key.Generate()
			require.NoError(t, err)
			p.Msgs = []gproto.Message{send(other, "1")}
		},
	} {
		c := newChain(t, k)
		p := params(c, send(k, "1"))
		bend(&p)
		tx, err := key.BuildTx(p, k)
		require.NoError(t, err, name)
		_, err = c.deliver(tx)
		require.Error(t, err, name)
	}
	c := newChain(t, k)
	tx, err := key.BuildTx(params(c, send(k, "1")), k)
	require.NoError(t, err)
	tx[len(tx)-1] ^= 1
	_, err = c.deliver(tx)
	require.Error(t, err, "a bent signature")
}

// The two implementations agree on addresses and on signatures, both ways.
func TestKeysEqualTheSDKs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), key.SecretSize, key.SecretSize).Draw(t, "secret")
		k, err := key.FromSecret(secret)
		if err != nil {
			return
		}
		msg := rapid.SliceOf(rapid.Byte()).Draw(t, "msg")
		theirs := &secp256k1.PrivKey{Key: secret}
		require.Equal(t, theirs.PubKey().Bytes(), k.PublicKey())
		text, err := bech32.ConvertAndEncode(key.Prefix, theirs.PubKey().Address())
		require.NoError(t, err)
		require.Equal(t, text, k.Address())
		require.True(t, theirs.PubKey().VerifySignature(msg, k.Sign(msg)))
		sig, err := theirs.Sign(msg)
		require.NoError(t, err)
		require.Equal(t, sig, k.Sign(msg))
		require.NoError(t, key.Verify(k.PublicKey(), msg, sig))
	})
}
