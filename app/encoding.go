package app

import (
	"fmt"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/std"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	authcodec "github.com/cosmos/cosmos-sdk/x/auth/codec"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	"github.com/cosmos/cosmos-sdk/x/tx/signing"
	"github.com/cosmos/gogoproto/proto"
)

// Encoding is every codec of the chain, complete and from then on only read: the applications of one
// process may share it.
type Encoding struct {
	// Registry knows every message and interface type.
	Registry codectypes.InterfaceRegistry
	// Codec is the protobuf codec over Registry.
	Codec codec.Codec
	// TxConfig signs, encodes and decodes transactions: SIGN_MODE_DIRECT and amino JSON.
	TxConfig client.TxConfig
	// Amino is what old wallets sign with.
	Amino *codec.LegacyAmino
	// Basics is the stateless half of every module: codecs, genesis checks, REST routes.
	Basics module.BasicManager
}

// NewEncoding returns the codecs with every module's types registered. SetConfig must have run, since
// the address codecs take their prefixes from it.
func NewEncoding() (Encoding, error) {
	cfg := sdk.GetConfig()
	registry, err := codectypes.NewInterfaceRegistryWithOptions(codectypes.InterfaceRegistryOptions{
		ProtoFiles: proto.HybridResolver,
		SigningOptions: signing.Options{
			AddressCodec:          authcodec.NewBech32Codec(cfg.GetBech32AccountAddrPrefix()),
			ValidatorAddressCodec: authcodec.NewBech32Codec(cfg.GetBech32ValidatorAddrPrefix()),
		},
	})
	if err != nil {
		return Encoding{}, fmt.Errorf("build the type registry: %w", err)
	}
	cdc := codec.NewProtoCodec(registry)
	amino := codec.NewLegacyAmino()
	std.RegisterLegacyAminoCodec(amino)
	std.RegisterInterfaces(registry)
	basics := moduleBasics()
	basics.RegisterInterfaces(registry)
	basics.RegisterLegacyAminoCodec(amino)
	if err := registry.SigningContext().Validate(); err != nil {
		return Encoding{}, fmt.Errorf("check the signers of every message: %w", err)
	}
	return Encoding{
		Registry: registry,
		Codec:    cdc,
		TxConfig: authtx.NewTxConfig(cdc, authtx.DefaultSignModes),
		Amino:    amino,
		Basics:   basics,
	}, nil
}
