package app

import (
	"fmt"
	"time"

	errorsmod "cosmossdk.io/errors"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/x/auth/ante"
)

const (
	// MaxTxBytes bounds one encoded transaction, in its mempool and in a block.
	MaxTxBytes = 256 << 10
	// MaxUnorderedTimeout bounds how far ahead an unordered transaction's timeout may lie: its nonce is
	// kept until then, so this bounds the nonces kept.
	MaxUnorderedTimeout = 60 * time.Second
)

// wireAnte installs the checks that every transaction passes before its messages run.
func (app *App) wireAnte() error {
	sigOptions := []ante.SigVerificationDecoratorOption{
		ante.WithUnorderedTxGasCost(ante.DefaultUnorderedTxGasCost),
		ante.WithMaxUnorderedTxTimeoutDuration(MaxUnorderedTimeout),
	}
	handler, err := ante.NewAnteHandler(ante.HandlerOptions{
		AccountKeeper:    app.AccountKeeper,
		BankKeeper:       app.BankKeeper,
		FeegrantKeeper:   app.FeeGrantKeeper,
		SignModeHandler:  app.encoding.TxConfig.SignModeHandler(),
		SigGasConsumer:   ante.DefaultSigVerificationGasConsumer,
		SigVerifyOptions: sigOptions,
	})
	if err != nil {
		return fmt.Errorf("build the ante handler: %w", err)
	}
	app.SetAnteHandler(limitTxBytes(handler))
	return nil
}

// limitTxBytes refuses a transaction that no block may hold before anything is paid to look at it;
// without it such a transaction would stay in the mempool and never be proposed.
func limitTxBytes(next sdk.AnteHandler) sdk.AnteHandler {
	return func(ctx sdk.Context, tx sdk.Tx, simulate bool) (sdk.Context, error) {
		if n := len(ctx.TxBytes()); n > MaxTxBytes {
			return ctx, errorsmod.Wrapf(sdkerrors.ErrTxTooLarge, "%d bytes, at most %d", n, MaxTxBytes)
		}
		return next(ctx, tx, simulate)
	}
}
