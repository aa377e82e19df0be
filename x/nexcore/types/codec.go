package types

import (
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/legacy"
	cdctypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/msgservice"
)

// RegisterLegacyAminoCodec gives every message its amino name, so that wallets can sign it as text.
func RegisterLegacyAminoCodec(cdc *codec.LegacyAmino) {
	legacy.RegisterAminoMsg(cdc, &MsgRegister{}, "nexara/nexcore/MsgRegister")
	legacy.RegisterAminoMsg(cdc, &MsgUpdate{}, "nexara/nexcore/MsgUpdate")
	legacy.RegisterAminoMsg(cdc, &MsgBond{}, "nexara/nexcore/MsgBond")
	legacy.RegisterAminoMsg(cdc, &MsgUnbond{}, "nexara/nexcore/MsgUnbond")
	legacy.RegisterAminoMsg(cdc, &MsgDrain{}, "nexara/nexcore/MsgDrain")
	legacy.RegisterAminoMsg(cdc, &MsgDeregister{}, "nexara/nexcore/MsgDeregister")
	legacy.RegisterAminoMsg(cdc, &MsgUnjail{}, "nexara/nexcore/MsgUnjail")
	legacy.RegisterAminoMsg(cdc, &MsgUpdateParams{}, "nexara/x/nexcore/MsgUpdateParams")
	cdc.RegisterConcrete(&Params{}, "nexara/x/nexcore/Params", nil)
}

// RegisterInterfaces registers the messages.
func RegisterInterfaces(registry cdctypes.InterfaceRegistry) {
	registry.RegisterImplementations((*sdk.Msg)(nil),
		&MsgRegister{}, &MsgUpdate{}, &MsgBond{}, &MsgUnbond{}, &MsgDrain{}, &MsgDeregister{}, &MsgUnjail{}, &MsgUpdateParams{})
	msgservice.RegisterMsgServiceDesc(registry, &_Msg_serviceDesc)
}
