package blob

import (
	"crypto/sha256"
	"fmt"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

const (
	// MaxBlockSize is the largest block in bytes: what bitswap peers accept.
	MaxBlockSize = 2 << 20
	// MaxInlineSize is the largest identity CID's payload in bytes: such a CID is its own block.
	MaxInlineSize = 128
	// maxCIDText bounds a CID's text before it is parsed.
	maxCIDText = 512
)

// Block is bytes that are known to match their CID: the only ways to make one are NewBlock, which computes
// the CID, and VerifyBlock, which checks it.
type Block struct {
	cid  cid.Cid
	data []byte
}

// CID names the block.
func (b Block) CID() cid.Cid { return b.cid }

// Data is the block's bytes; the caller must not change them.
func (b Block) Data() []byte { return b.data }

// NewBlock hashes data (sha2-256) into a CIDv1 of the given codec (cid.Raw or cid.DagProtobuf). The block
// refers to data, which must not change afterwards.
func NewBlock(codec uint64, data []byte) (Block, error) {
	if len(data) > MaxBlockSize {
		return Block{}, fmt.Errorf("block of %d bytes: %w", len(data), ErrTooLarge)
	}
	c := sum(codec, data)
	if err := Check(c); err != nil {
		return Block{}, err
	}
	return Block{cid: c, data: data}, nil
}

// VerifyBlock checks data against c: ErrCorrupt when they do not match.
func VerifyBlock(c cid.Cid, data []byte) (Block, error) {
	if err := Check(c); err != nil {
		return Block{}, err
	}
	if b, ok := Inline(c); ok {
		if string(b.data) != string(data) {
			return Block{}, fmt.Errorf("block %s: %w", c, ErrCorrupt)
		}
		return b, nil
	}
	if len(data) > MaxBlockSize {
		return Block{}, fmt.Errorf("block %s of %d bytes: %w", c, len(data), ErrTooLarge)
	}
	if Digest(c) != sha256.Sum256(data) {
		return Block{}, fmt.Errorf("block %s: %w", c, ErrCorrupt)
	}
	return Block{cid: c, data: data}, nil
}

// Check tells whether a CID is one this package handles: raw or dag-pb, with sha2-256 or a small identity
// hash; otherwise ErrUnsupported.
func Check(c cid.Cid) error {
	if !c.Defined() {
		return fmt.Errorf("empty CID: %w", ErrInvalid)
	}
	p := c.Prefix()
	if p.Codec != cid.Raw && p.Codec != cid.DagProtobuf {
		return fmt.Errorf("CID %s has codec 0x%x: %w", c, p.Codec, ErrUnsupported)
	}
	switch {
	case p.MhType == mh.SHA2_256 && p.MhLength == sha256.Size:
		return nil
	case p.MhType == mh.IDENTITY && p.MhLength <= MaxInlineSize:
		return nil
	default:
		return fmt.Errorf("CID with hash 0x%x of %d bytes: %w", p.MhType, p.MhLength, ErrUnsupported)
	}
}

// Parse reads a CID's text and checks it.
func Parse(s string) (cid.Cid, error) {
	if len(s) > maxCIDText {
		return cid.Undef, fmt.Errorf("CID of %d characters: %w", len(s), ErrTooLarge)
	}
	c, err := cid.Decode(s)
	if err != nil {
		return cid.Undef, fmt.Errorf("CID %q: %w: %w", s, ErrInvalid, err)
	}
	return c, Check(c)
}

// Inline gives the block that an identity CID carries in itself; ok is false for every other CID.
func Inline(c cid.Cid) (b Block, ok bool) {
	if p := c.Prefix(); p.MhType != mh.IDENTITY || p.MhLength > MaxInlineSize {
		return Block{}, false
	}
	dec, err := mh.Decode(c.Hash())
	if err != nil {
		return Block{}, false
	}
	return Block{cid: c, data: dec.Digest}, true
}

// Digest is the sha2-256 digest inside a CID that passed Check and is not inline: the key under which
// stores keep blocks, so that one block has one place whatever the CID's version and codec.
func Digest(c cid.Cid) (d [sha256.Size]byte) {
	h := c.Hash()
	if len(h) >= sha256.Size {
		copy(d[:], h[len(h)-sha256.Size:])
	}
	return d
}

func sum(codec uint64, data []byte) cid.Cid {
	d := sha256.Sum256(data)
	h := make([]byte, 0, 2+sha256.Size)
	h = append(h, mh.SHA2_256, sha256.Size)
	return cid.NewCidV1(codec, append(h, d[:]...))
}
