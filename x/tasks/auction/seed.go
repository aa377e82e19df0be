package auction

import (
	"crypto/sha256"
	"encoding/binary"
)

// Every choice that money does not decide is decided by hashes of the seed. A key is the first 8 bytes of
// SHA-256(seed, label, 0, data); mix spreads a key over many items far cheaper than a SHA-256 each. All
// inputs are public once the seed is: the hashes are fair, not secret.

func seedKey(seed [32]byte, label string, data []byte) uint64 {
	buf := make([]byte, 0, 96)
	buf = append(buf, seed[:]...)
	buf = append(buf, label...)
	buf = append(buf, 0)
	buf = append(buf, data...)
	sum := sha256.Sum256(buf)
	return binary.BigEndian.Uint64(sum[:8])
}

// mix is the finaliser of SplitMix64, a bijection of 64 bits.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

// rankOf places item id under key. For one key no two ids share a rank.
func rankOf(key, id uint64) uint64 { return mix(mix(id^key) + key) }

// rankOfEntry places an entry under key; two entries may share a rank, (job, first) then decides.
func rankOfEntry(key, job uint64, first int64) uint64 { return rankOf(rankOf(key, job), uint64(first)) }

// A match earns a bonus in the second order, ties, for its edge and for its entry: the first bits of their hashes,
// reversed, so that a lower rank comes first and every match is worth something. Among allocations of equal welfare
// the greatest sum stands. That two of them share it has a chance of at most one in 2^tieBits for each shard that an
// edge or an entry could carry (the isolation lemma of Mulmuley, Vazirani and Vazirani).
const (
	tieBits = 30
	tieSpan = uint64(1) << tieBits
	// maxTie bounds a tie price: 2^10 NexCores in a row each differ by a bonus. Sums over all shards stay in int64.
	maxTie = int64(1) << 41
)

// tieBonus is 1 to 2^tieBits, falling with the rank.
func tieBonus(rank uint64) int64 { return int64(tieSpan - rank>>(64-tieBits)) }
