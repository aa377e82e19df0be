package bond

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// RegistrationDomain separates registration signatures from all others of the same key.
const RegistrationDomain = "nexara/register/v1"

// Bounds on the values of a registration.
const (
	// MaxChainIDBytes bounds a chain id.
	MaxChainIDBytes = 64
	// MaxAddressBytes bounds an address in text.
	MaxAddressBytes = 128
	// PubkeyBytes is the length of a compressed secp256k1 key.
	PubkeyBytes = 33
)

// ErrRegistration says that the values cannot be signed.
var ErrRegistration = errors.New("invalid registration")

// Registration is what a hot node key signs: "this operator may register me on this chain". It stops anyone
// from registering, and so blocking, another's key.
type Registration struct {
	// ChainID binds the signature to one chain.
	ChainID string
	// Operator is the address of the operator, in lower-case bech32 as in the message.
	Operator string
	// NodePubkey is the compressed secp256k1 key itself.
	NodePubkey []byte
}

// Message gives the bytes to be signed. Each part is preceded by its length as big-endian uint32:
//
//	RegistrationDomain | ChainID | Operator | NodePubkey
//
// Every part has one place and its own length, so two different registrations never share a message.
func (r Registration) Message() ([]byte, error) {
	if r.ChainID == "" || len(r.ChainID) > MaxChainIDBytes {
		return nil, fmt.Errorf("%w: chain id of %d bytes", ErrRegistration, len(r.ChainID))
	}
	if r.Operator == "" || len(r.Operator) > MaxAddressBytes {
		return nil, fmt.Errorf("%w: operator of %d bytes", ErrRegistration, len(r.Operator))
	}
	if len(r.NodePubkey) != PubkeyBytes {
		return nil, fmt.Errorf("%w: node key of %d bytes", ErrRegistration, len(r.NodePubkey))
	}
	b := make([]byte, 0, 4*4+len(RegistrationDomain)+len(r.ChainID)+len(r.Operator)+PubkeyBytes)
	for _, part := range []string{RegistrationDomain, r.ChainID, r.Operator, string(r.NodePubkey)} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b, nil
}

// Digest is SHA-256 of Message: what the curve signs. Signers that hash by themselves (as Cosmos secp256k1
// keys do) are given Message instead.
func (r Registration) Digest() ([sha256.Size]byte, error) {
	m, err := r.Message()
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(m), nil
}
