package blob

import (
	"fmt"

	"github.com/ipfs/go-cid"
	"google.golang.org/protobuf/encoding/protowire"
)

// dag-pb, the codec of UnixFS: a node is a list of named links and a byte field. Written in canonical form,
// links first (the order every CID of the profile rests on); read leniently in order, strictly in fields.

type link struct {
	cid   cid.Cid
	name  string
	tsize uint64 // bytes of the distinct or repeated blocks at and below the link, as its writer counted
}

type node struct {
	links []link
	data  []byte
}

// encodedLinkSize is the length of one link inside an encoded node.
func encodedLinkSize(l link) int {
	n := 1 + protowire.SizeBytes(l.cid.ByteLen()) + 1 + protowire.SizeBytes(len(l.name)) + 1 + protowire.SizeVarint(l.tsize)
	return 1 + protowire.SizeBytes(n)
}

func encodeNode(n node) []byte {
	size := 1 + protowire.SizeBytes(len(n.data))
	for _, l := range n.links {
		size += encodedLinkSize(l)
	}
	out := make([]byte, 0, size)
	for _, l := range n.links {
		h := l.cid.Bytes()
		inner := 1 + protowire.SizeBytes(len(h)) + 1 + protowire.SizeBytes(len(l.name)) + 1 + protowire.SizeVarint(l.tsize)
		out = protowire.AppendTag(out, 2, protowire.BytesType)
		out = protowire.AppendVarint(out, uint64(inner))
		out = protowire.AppendTag(out, 1, protowire.BytesType)
		out = protowire.AppendBytes(out, h)
		out = protowire.AppendTag(out, 2, protowire.BytesType)
		out = protowire.AppendString(out, l.name)
		out = protowire.AppendTag(out, 3, protowire.VarintType)
		out = protowire.AppendVarint(out, l.tsize)
	}
	out = protowire.AppendTag(out, 1, protowire.BytesType)
	return protowire.AppendBytes(out, n.data)
}

func decodeNode(b []byte) (node, error) {
	var n node
	seenData := false
	err := eachField(b, func(num protowire.Number, v []byte, _ uint64) error {
		switch {
		case num == 1 && v != nil && !seenData:
			n.data, seenData = v, true
			return nil
		case num == 2 && v != nil:
			l, err := decodeLink(v)
			n.links = append(n.links, l)
			return err
		default:
			return fmt.Errorf("dag-pb field %d: %w", num, ErrInvalid)
		}
	})
	return n, err
}

func decodeLink(b []byte) (link, error) {
	var l link
	err := eachField(b, func(num protowire.Number, v []byte, u uint64) error {
		switch {
		case num == 1 && v != nil && !l.cid.Defined():
			c, err := cid.Cast(v)
			if err != nil {
				return fmt.Errorf("dag-pb link: %w: %w", ErrInvalid, err)
			}
			l.cid = c
		case num == 2 && v != nil:
			l.name = string(v)
		case num == 3 && v == nil:
			l.tsize = u
		default:
			return fmt.Errorf("dag-pb link field %d: %w", num, ErrInvalid)
		}
		return nil
	})
	if err == nil && !l.cid.Defined() {
		err = fmt.Errorf("dag-pb link without a CID: %w", ErrInvalid)
	}
	return l, err
}

// eachField walks the fields of a protobuf message. For a length-delimited field v is its bytes (never
// nil); for a varint v is nil and u its value; other wire types are passed over as ErrInvalid.
func eachField(b []byte, f func(num protowire.Number, v []byte, u uint64) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("protobuf tag: %w", ErrInvalid)
		}
		b = b[n:]
		var v []byte
		var u uint64
		switch typ {
		case protowire.BytesType:
			if v, n = protowire.ConsumeBytes(b); v == nil {
				v = []byte{}
			}
		case protowire.VarintType:
			u, n = protowire.ConsumeVarint(b)
		default:
			return fmt.Errorf("protobuf wire type %d: %w", typ, ErrInvalid)
		}
		if n < 0 {
			return fmt.Errorf("protobuf field %d: %w", num, ErrInvalid)
		}
		b = b[n:]
		if err := f(num, v, u); err != nil {
			return err
		}
	}
	return nil
}

// children lists the CIDs a block links to; none for raw blocks.
func children(b Block) ([]cid.Cid, error) {
	if b.cid.Prefix().Codec != cid.DagProtobuf {
		return nil, nil
	}
	n, err := decodeNode(b.data)
	if err != nil {
		return nil, fmt.Errorf("block %s: %w", b.cid, err)
	}
	out := make([]cid.Cid, len(n.links))
	for i, l := range n.links {
		out[i] = l.cid
	}
	return out, nil
}
