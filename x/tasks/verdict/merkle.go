package verdict

import "crypto/sha256"

// Domain separation of RFC 6962: a leaf can never pass for an inner node.
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// Hash is a SHA-256 value.
type Hash = [HashSize]byte

// LeafHash is SHA-256(0x00 || data).
func LeafHash(data []byte) Hash {
	h := sha256.New()
	h.Write([]byte{leafPrefix})
	h.Write(data)
	return Hash(h.Sum(nil))
}

// NodeHash is SHA-256(0x01 || left || right).
func NodeHash(left, right Hash) Hash {
	var b [1 + 2*HashSize]byte
	b[0] = nodePrefix
	copy(b[1:], left[:])
	copy(b[1+HashSize:], right[:])
	return sha256.Sum256(b[:])
}

// Root is the Merkle tree hash of RFC 6962 section 2.1 over 1 to MaxLeaseShards
// leaves, in order. In a result, leaf i is the manifest CID of the lease's i-th
// shard as canonical text, and empty for a shard that was not delivered.
func Root(leaves [][]byte) (Hash, error) {
	if len(leaves) == 0 || len(leaves) > MaxLeaseShards {
		return Hash{}, ErrLeaves
	}
	return subtree(leaves), nil
}

// subtree needs at least one leaf.
func subtree(leaves [][]byte) Hash {
	if len(leaves) == 1 {
		return LeafHash(leaves[0])
	}
	k := split(len(leaves))
	return NodeHash(subtree(leaves[:k]), subtree(leaves[k:]))
}

// split is the largest power of two below n; n is at least 2.
func split(n int) int {
	k := 1
	for k*2 < n {
		k *= 2
	}
	return k
}

// Prove gives the inclusion proof of leaf i: the sibling hashes from the leaf
// upwards (RFC 6962 section 2.1.1).
func Prove(leaves [][]byte, i int) ([]Hash, error) {
	if len(leaves) == 0 || len(leaves) > MaxLeaseShards {
		return nil, ErrLeaves
	}
	if i < 0 || i >= len(leaves) {
		return nil, ErrIndex
	}
	return prove(leaves, i), nil
}

func prove(leaves [][]byte, i int) []Hash {
	if len(leaves) == 1 {
		return nil
	}
	k := split(len(leaves))
	if i < k {
		return append(prove(leaves[:k], i), subtree(leaves[k:]))
	}
	return append(prove(leaves[k:], i-k), subtree(leaves[:k]))
}

// VerifyInclusion says whether leaf is the i-th of n under root. n comes from
// the lease on chain, never from the prover, so a proof has exactly one length.
func VerifyInclusion(root Hash, leaf []byte, i, n int, proof []Hash) error {
	if n < 1 || n > MaxLeaseShards {
		return ErrLeaves
	}
	if i < 0 || i >= n {
		return ErrIndex
	}
	got, rest, ok := climb(LeafHash(leaf), i, n, proof)
	if !ok || len(rest) != 0 || got != root {
		return ErrProof
	}
	return nil
}

// climb mirrors prove: it folds the siblings of a subtree of n leaves and
// returns those that are left over.
func climb(leaf Hash, i, n int, proof []Hash) (top Hash, rest []Hash, ok bool) {
	if n == 1 {
		return leaf, proof, true
	}
	k := split(n)
	right := i >= k
	if right {
		i, n = i-k, n-k
	} else {
		n = k
	}
	top, rest, ok = climb(leaf, i, n, proof)
	if !ok || len(rest) == 0 {
		return Hash{}, nil, false
	}
	if right {
		return NodeHash(rest[0], top), rest[1:], true
	}
	return NodeHash(top, rest[0]), rest[1:], true
}
