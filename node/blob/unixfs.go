package blob

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// The unixfs-v1-2025 profile. Any change here changes CIDs.
const (
	chunkSize    = 1 << 20   // bytes of a file's leaf
	fileWidth    = 1024      // links of a file node
	shardAbove   = 256 << 10 // a directory whose block would be larger becomes a HAMT
	shardFanout  = 256       // slots of a HAMT node
	shardHash    = 0x22      // murmur3-x64-64
	shardPadding = 2         // hex digits of a slot in a link's name
)

// UnixFS node types.
const (
	fsRaw       = 0
	fsDirectory = 1
	fsFile      = 2
	fsSymlink   = 4
	fsShard     = 5
)

// fsNode is the UnixFS message in a dag-pb node's data field.
type fsNode struct {
	typ      uint64
	data     []byte // a file's inline bytes, a symlink's target, a shard's bitfield
	size     uint64 // bytes of a file at and below this node
	sizes    []uint64
	hashType uint64
	fanout   uint64
}

func encodeFileNode(size uint64, sizes []uint64) []byte {
	out := protowire.AppendTag(nil, 1, protowire.VarintType)
	out = protowire.AppendVarint(out, fsFile)
	out = protowire.AppendTag(out, 3, protowire.VarintType)
	out = protowire.AppendVarint(out, size)
	for _, s := range sizes {
		out = protowire.AppendTag(out, 4, protowire.VarintType)
		out = protowire.AppendVarint(out, s)
	}
	return out
}

func encodeShardNode(bitfield []byte) []byte {
	out := protowire.AppendTag(nil, 1, protowire.VarintType)
	out = protowire.AppendVarint(out, fsShard)
	out = protowire.AppendTag(out, 2, protowire.BytesType)
	out = protowire.AppendBytes(out, bitfield)
	out = protowire.AppendTag(out, 5, protowire.VarintType)
	out = protowire.AppendVarint(out, shardHash)
	out = protowire.AppendTag(out, 6, protowire.VarintType)
	return protowire.AppendVarint(out, shardFanout)
}

func encodeDirectoryNode() []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), fsDirectory)
}

// decodeFS reads the UnixFS message. Mode and time stamps (fields 7 and 8) are passed over: an export gives
// every file the same mode.
func decodeFS(b []byte) (fsNode, error) {
	n := fsNode{typ: 1 << 32}
	err := eachField(b, func(num protowire.Number, v []byte, u uint64) error {
		switch {
		case num == 1 && v == nil:
			n.typ = u
		case num == 2 && v != nil:
			n.data = v
		case num == 3 && v == nil:
			n.size = u
		case num == 4 && v == nil:
			n.sizes = append(n.sizes, u)
		case num == 4:
			for len(v) > 0 { // the packed form
				s, k := protowire.ConsumeVarint(v)
				if k < 0 {
					return fmt.Errorf("unixfs block sizes: %w", ErrInvalid)
				}
				n.sizes, v = append(n.sizes, s), v[k:]
			}
		case num == 5 && v == nil:
			n.hashType = u
		case num == 6 && v == nil:
			n.fanout = u
		case num == 7 || num == 8:
		default:
			return fmt.Errorf("unixfs field %d: %w", num, ErrInvalid)
		}
		return nil
	})
	if err == nil && n.typ == 1<<32 {
		err = fmt.Errorf("unixfs node without a type: %w", ErrInvalid)
	}
	return n, err
}

// CheckName tells whether a directory entry's name is one we write and export: 1 to 255 bytes of UTF-8,
// neither "." nor "..", without slash, backslash or NUL. Otherwise ErrInvalid.
func CheckName(name string) error {
	bad := name == "" || name == "." || name == ".." || len(name) > 255 || !utf8.ValidString(name)
	for i := 0; i < len(name) && !bad; i++ {
		bad = name[i] == '/' || name[i] == '\\' || name[i] == 0
	}
	if bad {
		return fmt.Errorf("entry name %.80q: %w", name, ErrInvalid)
	}
	return nil
}
