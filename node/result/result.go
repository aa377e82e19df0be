// Package result gives a result its bytes: the manifest of one shard's run, the
// index of a whole lease with its Merkle root and outcome bitmap, and the custody
// message over it.
//
// It deals with values and bytes only. It never packs a folder, opens a store,
// signs, or talks to a chain; the lease room does that with what it gets here.
// The parts the chain checks too live in x/tasks/verdict.
//
// Place in the flow: driver outcome + CIDs from node/blob -> Manifest -> Index ->
// Index.Root, Index.Outcomes, Index.Custody -> MsgDeliver. A requester goes the
// other way: result CID -> Index -> Manifest -> outputs and logs.
//
// Everything under a result CID is one UnixFS folder, so that one CID covers it:
//
//	result.json                 the Index
//	shards/00003/manifest.json  the Manifest of the lease's fourth shard
//	shards/00003/outputs/       what it wrote to its output folder
//	shards/00003/log            what it printed
//
// Both documents are canonical JSON: fields in the order of the Go type, no
// spaces, every field present, 64-bit integers as decimal text. A decoder accepts
// nothing but what its encoder writes.
package result

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"

	"github.com/nexara/nexara/x/tasks/verdict"
)

// Names inside the folder of a result.
const (
	IndexName    = "result.json"
	ShardsName   = "shards"
	ManifestName = "manifest.json"
	OutputsName  = "outputs"
	LogName      = "log"
)

// ShardDir is the folder of the lease's i-th shard, counted from 0.
func ShardDir(i int) string { return fmt.Sprintf("%s/%05d", ShardsName, i) }

// Bounds on what a reader accepts.
const (
	// MaxManifestBytes bounds an encoded manifest: always one IPFS block.
	MaxManifestBytes = 16 << 10
	// MaxIndexBytes bounds an encoded index: always one IPFS block.
	MaxIndexBytes = 64 << 10
	// MaxInputs bounds the inputs of one shard.
	MaxInputs = 64
	// MaxReasonBytes bounds a reason code.
	MaxReasonBytes = 32
)

// What can be wrong with a document of a result.
var (
	// ErrManifest means bytes or values are not a canonical manifest.
	ErrManifest = errors.New("not a canonical manifest")
	// ErrIndex means bytes or values are not a canonical index of a lease.
	ErrIndex = errors.New("not a canonical lease index")
	// ErrMismatch means a manifest does not belong where an index puts it.
	ErrMismatch = errors.New("manifest does not belong to this lease")
)

// encode gives the canonical bytes of v.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decode reads one JSON value without unknown fields. Whether the bytes are the
// canonical ones is for the caller to see by encoding again.
func decode(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// CID is the CID of a document's bytes as a single raw block: what adding the
// bytes as a file to IPFS gives under the unixfs-v1-2025 profile.
func CID(b []byte) (string, error) {
	sum := sha256.Sum256(b)
	hash, err := mh.Encode(sum[:], mh.SHA2_256)
	if err != nil {
		return "", err
	}
	return cid.NewCidV1(cid.Raw, hash).String(), nil
}

// validCID accepts canonical CIDv1 text only, so that one thing has one name.
func validCID(s string) bool {
	if s == "" || len(s) > verdict.MaxCIDBytes {
		return false
	}
	c, err := cid.Decode(s)
	return err == nil && c.Version() == 1 && c.String() == s
}

func validChainID(s string) bool {
	if s == "" || len(s) > verdict.MaxChainIDBytes {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
