// Package key is the off-chain half's own small signer: secp256k1 keys in files,
// bech32 addresses, signatures, and Cosmos transactions built and signed from
// light protobuf messages.
//
// It exists so that the daemon and the CLI need no chain code. It never talks to
// a chain, never asks for an account number or a gas price, never holds a
// mnemonic; the room that broadcasts gives it those values. The peer key of the
// IPFS node is not here either: one key, one duty.
//
// Place in the flow: node/chain fills TxParams -> BuildTx -> bytes to broadcast;
// node/lease signs and checks custody messages with Sign and Verify. A test in
// testutil/signing proves with the chain's own code that it accepts the bytes.
package key

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/cosmos/btcutil/bech32"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/crypto/ripemd160" //nolint:staticcheck // Cosmos addresses are defined by it.
)

// Prefix is the human-readable part of an account address.
const Prefix = "nexa"

// Sizes in bytes.
const (
	// SecretSize is the size of a secret scalar.
	SecretSize = 32
	// PublicKeySize is the size of a compressed public key.
	PublicKeySize = 33
	// SignatureSize is the size of R||S.
	SignatureSize = 64
	// AddressSize is the size of an address before bech32.
	AddressSize = 20
)

var (
	// ErrSecret means bytes are not a secret key: wrong size, zero, or not below the curve's order.
	ErrSecret = errors.New("not a secp256k1 secret key")
	// ErrPublicKey means bytes are not a compressed point on the curve.
	ErrPublicKey = errors.New("not a compressed secp256k1 public key")
	// ErrSignature means a signature is malformed, not in low-S form, or does not
	// belong to the message and key.
	ErrSignature = errors.New("signature does not verify")
	// ErrAddress means text is not an account address of this chain.
	ErrAddress = errors.New("not a " + Prefix + " address")
)

// Key is a secret key with its public half. It prints as its address, so that a
// secret cannot slip into a log.
type Key struct {
	secret  *secp256k1.PrivateKey
	public  [PublicKeySize]byte
	address string
}

// Generate makes a new key from the system's randomness.
func Generate() (*Key, error) {
	secret, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return newKey(secret)
}

// FromSecret makes a key from SecretSize big-endian bytes.
func FromSecret(b []byte) (*Key, error) {
	var scalar secp256k1.ModNScalar
	if len(b) != SecretSize || scalar.SetByteSlice(b) || scalar.IsZero() {
		return nil, ErrSecret
	}
	return newKey(secp256k1.NewPrivateKey(&scalar))
}

func newKey(secret *secp256k1.PrivateKey) (*Key, error) {
	k := &Key{secret: secret}
	copy(k.public[:], secret.PubKey().SerializeCompressed())
	var err error
	k.address, err = Address(k.public[:])
	return k, err
}

// PublicKey is the compressed public key, PublicKeySize bytes, a fresh copy.
func (k *Key) PublicKey() []byte { return append([]byte(nil), k.public[:]...) }

// Address is the bech32 account address.
func (k *Key) Address() string { return k.address }

// String is the address.
func (k *Key) String() string { return k.address }

// GoString is the address, so that %#v shows no secret.
func (k *Key) GoString() string { return k.address }

// Sign signs SHA-256 of message and gives R||S with low S, SignatureSize bytes.
// It is deterministic (RFC 6979).
func (k *Key) Sign(message []byte) []byte {
	digest := sha256.Sum256(message)
	sig := ecdsa.Sign(k.secret, digest[:])
	r, s := sig.R(), sig.S()
	out := make([]byte, SignatureSize)
	r.PutBytesUnchecked(out[:32])
	s.PutBytesUnchecked(out[32:])
	return out
}

// Verify says whether signature is R||S in low-S form over SHA-256 of message by
// the compressed publicKey. It accepts exactly what the chain accepts.
func Verify(publicKey, message, signature []byte) error {
	if len(publicKey) != PublicKeySize {
		return ErrPublicKey
	}
	point, err := secp256k1.ParsePubKey(publicKey)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPublicKey, err)
	}
	if len(signature) != SignatureSize {
		return ErrSignature
	}
	var r, s secp256k1.ModNScalar
	if r.SetByteSlice(signature[:32]) || s.SetByteSlice(signature[32:]) || r.IsZero() || s.IsZero() || s.IsOverHalfOrder() {
		return ErrSignature
	}
	digest := sha256.Sum256(message)
	if !ecdsa.NewSignature(&r, &s).Verify(digest[:], point) {
		return ErrSignature
	}
	return nil
}

// Address gives the bech32 address of a compressed public key:
// RIPEMD-160(SHA-256(key)) under Prefix.
func Address(publicKey []byte) (string, error) {
	if len(publicKey) != PublicKeySize {
		return "", ErrPublicKey
	}
	if _, err := secp256k1.ParsePubKey(publicKey); err != nil {
		return "", fmt.Errorf("%w: %w", ErrPublicKey, err)
	}
	inner := sha256.Sum256(publicKey)
	h := ripemd160.New()
	h.Write(inner[:])
	return EncodeAddress(h.Sum(nil))
}

// EncodeAddress writes raw address bytes as bech32.
func EncodeAddress(raw []byte) (string, error) {
	five, err := bech32.ConvertBits(raw, 8, 5, true)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrAddress, err)
	}
	s, err := bech32.Encode(Prefix, five)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrAddress, err)
	}
	return s, nil
}

// DecodeAddress reads an account address into its AddressSize bytes. It refuses
// other prefixes, wrong checksums and every spelling but the lower-case one.
func DecodeAddress(s string) ([]byte, error) {
	const longest = 90 // as BIP 173
	if len(s) > longest {
		return nil, ErrAddress
	}
	prefix, five, err := bech32.Decode(s, longest)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	raw, err := bech32.ConvertBits(five, 5, 8, false)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	if prefix != Prefix || len(raw) != AddressSize {
		return nil, ErrAddress
	}
	if again, err := EncodeAddress(raw); err != nil || again != s {
		return nil, ErrAddress
	}
	return raw, nil
}
