// Package verdict holds what the chain and the daemons must agree on about a
// result, to the byte: the Merkle root over the manifests of a lease, the bitmap
// of which shards were delivered, and the message a custodian signs.
//
// It is a pure room: values in, values out, standard library only. It never
// reads a store, a clock or a network, never verifies a signature (the keeper
// and the daemon do, each with its own keys), and never decides about money.
//
// Place in the flow: node/result builds the root, the bitmap and the custody
// message; x/tasks/keeper checks them when a result is delivered, and later a
// single shard against the root when it is disputed.
package verdict

import "errors"

// MaxLeaseShards is the most shards of one lease, hence of one result.
const MaxLeaseShards = 256

// HashSize is the size of every hash here, in bytes.
const HashSize = 32

// What can be wrong with the parts of a result.
var (
	// ErrLeaves means a tree has no leaf, or more than MaxLeaseShards.
	ErrLeaves = errors.New("number of leaves out of range")
	// ErrIndex means a shard's index lies outside its lease.
	ErrIndex = errors.New("index out of range")
	// ErrProof means an inclusion proof does not lead to the root.
	ErrProof = errors.New("proof does not lead to the root")
	// ErrOutcomes means a bitmap is not the one canonical form for its lease.
	ErrOutcomes = errors.New("outcome bitmap is malformed")
	// ErrCustody means a custody message cannot be formed from these values.
	ErrCustody = errors.New("custody values out of range")
)
