package key

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	basev1beta1 "cosmossdk.io/api/cosmos/base/v1beta1"
	secp256k1v1 "cosmossdk.io/api/cosmos/crypto/secp256k1"
	signingv1beta1 "cosmossdk.io/api/cosmos/tx/signing/v1beta1"
	txv1beta1 "cosmossdk.io/api/cosmos/tx/v1beta1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Bounds of a transaction.
const (
	// MaxMsgs bounds the messages of one transaction.
	MaxMsgs = 256
	// MaxMemoBytes is the chain's default bound on a memo.
	MaxMemoBytes = 256
	// MaxTxBytes bounds the encoded transaction: half of the smallest block.
	MaxTxBytes = 1 << 20
)

// ErrTx means that parameters make no valid transaction.
var ErrTx = errors.New("bad transaction parameters")

// Coin is an amount of base units of a denom, as decimal text because anex
// amounts pass 64 bits.
type Coin struct {
	Denom  string
	Amount string
}

// TxParams is everything a transaction holds except the signature.
type TxParams struct {
	// ChainID binds the signature to one chain.
	ChainID string
	// AccountNumber is the signer's, as the chain gave it.
	AccountNumber uint64
	// Sequence is the signer's next one; it must be 0 when Unordered.
	Sequence uint64
	// Unordered transactions need no sequence: TimeoutTimestamp, which must then
	// be set and unique per signer, protects against replay.
	Unordered        bool
	TimeoutTimestamp time.Time
	// TimeoutHeight is the last block that may include it; 0 for none.
	TimeoutHeight uint64
	// GasLimit is in gas; it must be positive.
	GasLimit uint64
	// Fee is what is offered for the gas, sorted by denom, without zeros.
	Fee []Coin
	// FeeGranter is the address that pays by an allowance; empty for the signer.
	FeeGranter string
	// Msgs are executed in order, all or none. The key must be their one signer.
	Msgs []proto.Message
	// Memo is public text.
	Memo string
}

func (p *TxParams) validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrTx, fmt.Sprintf(format, args...))
	}
	switch {
	case p.ChainID == "":
		return bad("no chain id")
	case p.GasLimit == 0:
		return bad("no gas limit")
	case len(p.Msgs) == 0 || len(p.Msgs) > MaxMsgs:
		return bad("%d messages, allowed is 1 to %d", len(p.Msgs), MaxMsgs)
	case len(p.Memo) > MaxMemoBytes || !utf8.ValidString(p.Memo):
		return bad("memo must be UTF-8 text of at most %d bytes", MaxMemoBytes)
	case p.Unordered && p.Sequence != 0:
		return bad("an unordered transaction has no sequence")
	case p.Unordered && p.TimeoutTimestamp.IsZero():
		return bad("an unordered transaction needs a timeout timestamp")
	}
	for i, c := range p.Fee {
		if c.Denom == "" || !positiveInteger(c.Amount) || i > 0 && p.Fee[i-1].Denom >= c.Denom {
			return bad("fee must be positive integers, sorted by denom")
		}
	}
	if p.FeeGranter != "" {
		if _, err := DecodeAddress(p.FeeGranter); err != nil {
			return fmt.Errorf("%w: fee granter: %w", ErrTx, err)
		}
	}
	return nil
}

func positiveInteger(s string) bool {
	if s == "" || len(s) > 78 || s[0] == '0' {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

// BuildTx gives the signed bytes of a transaction (SIGN_MODE_DIRECT, one signer),
// ready to broadcast.
func BuildTx(p TxParams, k *Key) ([]byte, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	body := &txv1beta1.TxBody{Memo: p.Memo, TimeoutHeight: p.TimeoutHeight, Unordered: p.Unordered}
	if !p.TimeoutTimestamp.IsZero() {
		body.TimeoutTimestamp = timestamppb.New(p.TimeoutTimestamp)
		if err := body.TimeoutTimestamp.CheckValid(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrTx, err)
		}
	}
	for _, m := range p.Msgs {
		a, err := packAny(m)
		if err != nil {
			return nil, err
		}
		body.Messages = append(body.Messages, a)
	}
	public, err := packAny(&secp256k1v1.PubKey{Key: k.PublicKey()})
	if err != nil {
		return nil, err
	}
	fee := &txv1beta1.Fee{GasLimit: p.GasLimit, Granter: p.FeeGranter}
	for _, c := range p.Fee {
		fee.Amount = append(fee.Amount, &basev1beta1.Coin{Denom: c.Denom, Amount: c.Amount})
	}
	auth := &txv1beta1.AuthInfo{
		SignerInfos: []*txv1beta1.SignerInfo{{
			PublicKey: public,
			ModeInfo: &txv1beta1.ModeInfo{Sum: &txv1beta1.ModeInfo_Single_{
				Single: &txv1beta1.ModeInfo_Single{Mode: signingv1beta1.SignMode_SIGN_MODE_DIRECT},
			}},
			Sequence: p.Sequence,
		}},
		Fee: fee,
	}
	bodyBytes, err := marshal(body)
	if err != nil {
		return nil, err
	}
	authBytes, err := marshal(auth)
	if err != nil {
		return nil, err
	}
	signBytes, err := marshal(&txv1beta1.SignDoc{
		BodyBytes: bodyBytes, AuthInfoBytes: authBytes, ChainId: p.ChainID, AccountNumber: p.AccountNumber,
	})
	if err != nil {
		return nil, err
	}
	tx, err := marshal(&txv1beta1.TxRaw{
		BodyBytes: bodyBytes, AuthInfoBytes: authBytes, Signatures: [][]byte{k.Sign(signBytes)},
	})
	if err != nil {
		return nil, err
	}
	if len(tx) > MaxTxBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTx, len(tx), MaxTxBytes)
	}
	return tx, nil
}

// packAny wraps a message under the type URL form the chain uses, which has no host.
func packAny(m proto.Message) (*anypb.Any, error) {
	if m == nil || !m.ProtoReflect().IsValid() {
		return nil, fmt.Errorf("%w: nil message", ErrTx)
	}
	b, err := marshal(m)
	if err != nil {
		return nil, err
	}
	return &anypb.Any{TypeUrl: "/" + string(m.ProtoReflect().Descriptor().FullName()), Value: b}, nil
}

func marshal(m proto.Message) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTx, err)
	}
	return b, nil
}

// TxHash is the name of a transaction as explorers and nodes print it: SHA-256
// in upper-case hex.
func TxHash(tx []byte) string {
	sum := sha256.Sum256(tx)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}
