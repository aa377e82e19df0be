package types

import (
	"crypto/sha256"
	"encoding/binary"
)

// NextHash extends a block's commitment by one canonical record: SHA-256(previous | length as big-endian
// uint32 | record). The commitment before the first record is 32 zero bytes. A chain of hashes, rather than one
// hash over all records, makes each record cost the same however many the block has.
func NextHash(previous [HashBytes]byte, record []byte) [HashBytes]byte {
	b := make([]byte, 0, HashBytes+4+len(record))
	b = append(b, previous[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(record)))
	return sha256.Sum256(append(b, record...))
}
