package blob

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/ipfs/go-cid"
	"github.com/spaolacci/murmur3"
)

// Entry is a named child of a directory.
type Entry struct {
	Name string
	Node Node
}

// AddDir stores the directory of the given entries, whose blocks are (or will be) stored apart: it is how a
// tree is put together from nodes that exist already. Names obey CheckName and are distinct. A directory
// whose block would pass 256 KiB becomes a HAMT.
func AddDir(ctx context.Context, w Writer, entries []Entry) (Node, error) {
	es := slices.Clone(entries)
	slices.SortFunc(es, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	var out Node
	n := node{links: make([]link, len(es)), data: encodeDirectoryNode()}
	size := 2 + len(n.data)
	for i, e := range es {
		if err := CheckName(e.Name); err != nil {
			return Node{}, err
		}
		if i > 0 && es[i-1].Name == e.Name {
			return Node{}, fmt.Errorf("entry name %.80q twice: %w", e.Name, ErrInvalid)
		}
		if err := Check(e.Node.CID); err != nil {
			return Node{}, fmt.Errorf("entry %.80q: %w", e.Name, err)
		}
		n.links[i] = link{cid: e.Node.CID, name: e.Name, tsize: uint64(e.Node.DAGSize)}
		size += encodedLinkSize(n.links[i])
		out.Bytes += e.Node.Bytes
	}
	var top link
	var err error
	if size > shardAbove {
		top, err = addShard(ctx, w, n.links, 0)
	} else {
		top, err = putNode(ctx, w, n)
	}
	out.CID, out.DAGSize = top.cid, int64(top.tsize)
	return out, err
}

// Link describes an existing node for AddDir by reading its root block only; Bytes is 0 for directories.
func Link(ctx context.Context, r Reader, c cid.Cid) (Node, error) {
	b, err := r.Get(ctx, c)
	if err != nil {
		return Node{}, err
	}
	out := Node{CID: c, Bytes: int64(len(b.data)), DAGSize: int64(len(b.data))}
	if c.Prefix().Codec == cid.Raw {
		return out, nil
	}
	n, fsn, err := decodeUnixFS(b)
	if err != nil {
		return Node{}, err
	}
	out.Bytes = 0
	if fsn.typ == fsFile || fsn.typ == fsRaw {
		out.Bytes = int64(fsn.size)
	}
	for _, l := range n.links {
		out.DAGSize += int64(l.tsize)
	}
	return out, nil
}

func putNode(ctx context.Context, w Writer, n node) (link, error) {
	b, err := NewBlock(cid.DagProtobuf, encodeNode(n))
	if err == nil {
		err = w.Put(ctx, b)
	}
	up := link{cid: b.cid, tsize: uint64(len(b.data))}
	for _, l := range n.links {
		up.tsize += l.tsize
	}
	return up, err
}

// addShard stores the HAMT node at the given depth over links sorted by name. The slot of a name is the
// depth-th byte of its murmur3 hash, so the tree does not depend on the order of insertion.
func addShard(ctx context.Context, w Writer, links []link, depth int) (link, error) {
	if depth == 8 {
		return link{}, fmt.Errorf("entry names with one 64-bit hash: %w", ErrInvalid)
	}
	var slots [shardFanout][]link
	for _, l := range links {
		i := nameHash(l.name)[depth]
		slots[i] = append(slots[i], l)
	}
	var bits [shardFanout / 8]byte
	var n node
	for i, in := range slots {
		if len(in) == 0 {
			continue
		}
		bits[len(bits)-1-i/8] |= 1 << (i % 8)
		prefix := fmt.Sprintf("%0*X", shardPadding, i)
		if len(in) == 1 {
			n.links = append(n.links, link{cid: in[0].cid, name: prefix + in[0].name, tsize: in[0].tsize})
			continue
		}
		sub, err := addShard(ctx, w, in, depth+1)
		if err != nil {
			return link{}, err
		}
		sub.name = prefix
		n.links = append(n.links, sub)
	}
	used := bits[:]
	for len(used) > 0 && used[0] == 0 {
		used = used[1:]
	}
	n.data = encodeShardNode(used)
	return putNode(ctx, w, n)
}

func nameHash(name string) (h [8]byte) {
	binary.BigEndian.PutUint64(h[:], murmur3.Sum64([]byte(name)))
	return h
}
