package verdict

import (
	"crypto/sha256"
	"encoding/binary"
)

// CustodyDomain separates custody signatures from all others of the same key.
const CustodyDomain = "nexara/custody/v2"

// Bounds on the values of a custody message.
const (
	// MaxChainIDBytes bounds a chain id.
	MaxChainIDBytes = 64
	// MaxCIDBytes bounds a CID in text.
	MaxCIDBytes = 128
)

// Custody is what a gateway or a NexCore of another operator signs: "I hold
// every block under ResultCID, and these shards have their manifests in it".
// Without it no payout: the chain sees neither blocks nor manifests, so what is
// paid for (Outcomes) stands under the signature of the one who did see them.
type Custody struct {
	// ChainID binds the signature to one chain.
	ChainID string
	// LeaseID is the lease whose result this is.
	LeaseID uint64
	// ResultCID is the canonical text of the result's CID.
	ResultCID string
	// Root is the Merkle root the result claims.
	Root Hash
	// Bytes is the size of everything under ResultCID, at least 1.
	Bytes int64
	// Outcomes has the bit of every shard that the result holds, at least one. That
	// its length fits the lease is checked where the lease is known.
	Outcomes Outcomes
}

// Message gives the bytes to be signed. Layout, integers big-endian, text
// preceded by its length as uint32:
//
//	text CustodyDomain | text ChainID | uint64 LeaseID | text ResultCID | 32 bytes Root | uint64 Bytes | text Outcomes
//
// Every field has one place and one length, so two different receipts never
// share a message.
func (c Custody) Message() ([]byte, error) {
	if c.ChainID == "" || len(c.ChainID) > MaxChainIDBytes ||
		c.ResultCID == "" || len(c.ResultCID) > MaxCIDBytes ||
		c.LeaseID == 0 || c.Bytes < 1 || len(c.Outcomes) > MaxLeaseShards/8 || c.Outcomes.Count() == 0 {
		return nil, ErrCustody
	}
	b := make([]byte, 0, 4*4+len(CustodyDomain)+len(c.ChainID)+len(c.ResultCID)+2*8+HashSize+len(c.Outcomes))
	b = appendText(b, CustodyDomain)
	b = appendText(b, c.ChainID)
	b = binary.BigEndian.AppendUint64(b, c.LeaseID)
	b = appendText(b, c.ResultCID)
	b = append(b, c.Root[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(c.Bytes))
	return appendText(b, string(c.Outcomes)), nil
}

// Digest is SHA-256 of Message: what the curve signs. Signers that hash by
// themselves (as Cosmos secp256k1 keys do) are given Message instead.
func (c Custody) Digest() (Hash, error) {
	m, err := c.Message()
	if err != nil {
		return Hash{}, err
	}
	return sha256.Sum256(m), nil
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}
