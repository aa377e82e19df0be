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
	legacy.RegisterAminoMsg(cdc, &MsgPostOffer{}, "nexara/tasks/MsgPostOffer")
	legacy.RegisterAminoMsg(cdc, &MsgRefreshOffer{}, "nexara/tasks/MsgRefreshOffer")
	legacy.RegisterAminoMsg(cdc, &MsgWithdrawOffer{}, "nexara/tasks/MsgWithdrawOffer")
	legacy.RegisterAminoMsg(cdc, &MsgSubmit{}, "nexara/tasks/MsgSubmit")
	legacy.RegisterAminoMsg(cdc, &MsgTopUp{}, "nexara/tasks/MsgTopUp")
	legacy.RegisterAminoMsg(cdc, &MsgCancel{}, "nexara/tasks/MsgCancel")
	legacy.RegisterAminoMsg(cdc, &MsgAcknowledge{}, "nexara/tasks/MsgAcknowledge")
	legacy.RegisterAminoMsg(cdc, &MsgDecline{}, "nexara/tasks/MsgDecline")
	legacy.RegisterAminoMsg(cdc, &MsgDeliver{}, "nexara/tasks/MsgDeliver")
	legacy.RegisterAminoMsg(cdc, &MsgUpdateParams{}, "nexara/x/tasks/MsgUpdateParams")
	cdc.RegisterConcrete(&Params{}, "nexara/x/tasks/Params", nil)
}

// RegisterInterfaces registers the messages.
func RegisterInterfaces(registry cdctypes.InterfaceRegistry) {
	registry.RegisterImplementations((*sdk.Msg)(nil),
		&MsgPostOffer{}, &MsgRefreshOffer{}, &MsgWithdrawOffer{}, &MsgSubmit{}, &MsgTopUp{}, &MsgCancel{},
		&MsgAcknowledge{}, &MsgDecline{}, &MsgDeliver{}, &MsgUpdateParams{})
	msgservice.RegisterMsgServiceDesc(registry, &_Msg_serviceDesc)
}
