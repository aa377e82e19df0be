package blob

import (
	"context"
	"fmt"

	"github.com/ipfs/go-cid"
)

// WalkDAG visits every distinct block at and below root once, parents before children, depth first in link
// order, and returns their number and bytes. visit may be nil. It stops at the first block that is missing,
// corrupt or beyond the limits. Inline blocks are followed but neither visited nor counted.
func WalkDAG(ctx context.Context, r Reader, root cid.Cid, lim Limits, visit func(Block) error) (Stat, error) {
	return walk(ctx, r, root, lim, true, func(b Block, _ cid.Cid, _ int64) error {
		if visit == nil {
			return nil
		}
		return visit(b)
	})
}

// Walk is WalkDAG without reading the bytes of leaves: visit gets each block's CID and length. It is the
// cheap way to learn that a DAG is complete.
func Walk(ctx context.Context, r Reader, root cid.Cid, lim Limits, visit func(c cid.Cid, size int64) error) (Stat, error) {
	return walk(ctx, r, root, lim, false, func(_ Block, c cid.Cid, size int64) error {
		if visit == nil {
			return nil
		}
		return visit(c, size)
	})
}

func walk(ctx context.Context, r Reader, root cid.Cid, lim Limits, leaves bool, visit func(Block, cid.Cid, int64) error) (Stat, error) {
	type step struct {
		cid   cid.Cid
		depth int
	}
	bud := newBudget(lim)
	// Keyed by codec and digest: one digest under both codecs is two blocks to follow, one to store.
	seen := map[blockKey]struct{}{}
	stack := []step{{root, 0}}
	st := Stat{}
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if err := ContextErr(ctx); err != nil {
			return st, err
		}
		if err := Check(at.cid); err != nil {
			return st, err
		}
		if at.depth > bud.lim.MaxDepth {
			return st, fmt.Errorf("deeper than %d links: %w", bud.lim.MaxDepth, ErrTooLarge)
		}
		b, inline := Inline(at.cid)
		if !inline {
			k := keyOf(at.cid)
			if _, dup := seen[k]; dup {
				continue
			}
			seen[k] = struct{}{}
			if err := bud.block(at.depth); err != nil {
				return st, err
			}
			var err error
			var size int64
			if leaves || k.pb {
				b, err = r.Get(ctx, at.cid)
				size = int64(len(b.data))
			} else {
				size, err = r.Size(ctx, at.cid)
			}
			if err == nil {
				err = bud.content(size)
			}
			if err == nil {
				err = visit(b, at.cid, size)
			}
			if err != nil {
				return st, err
			}
			st.Blocks++
			st.Bytes += size
			if !k.pb {
				continue
			}
		}
		kids, err := children(b)
		if err != nil {
			return st, err
		}
		for i := len(kids) - 1; i >= 0; i-- {
			if _, dup := seen[keyOf(kids[i])]; !dup {
				stack = append(stack, step{kids[i], at.depth + 1})
			}
		}
	}
	return st, nil
}

// blockKey is the identity of a block as a place in a DAG.
type blockKey struct {
	digest [32]byte
	pb     bool
}

// keyOf is meaningful for CIDs that pass Check and are not inline; for others it is merely a value that
// callers must not rely on, so they Check first or look the key up only to skip known work.
func keyOf(c cid.Cid) blockKey {
	if _, inline := Inline(c); inline || Check(c) != nil {
		return blockKey{}
	}
	return blockKey{Digest(c), c.Prefix().Codec == cid.DagProtobuf}
}
