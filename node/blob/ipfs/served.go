package ipfs

import (
	"context"
	"errors"

	"github.com/ipfs/boxo/blockstore"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"

	"github.com/nexara/nexara/node/blob"
)

// served is what bitswap sees of the store: blocks to read. It stores nothing itself: a block that comes in
// goes to the Fetch that asked for it, which stores it and so learns of a full disk; bitswap would log that
// and leave the Fetch waiting.
type served struct{ st blob.Store }

var _ blockstore.Blockstore = served{}

// absent puts ErrNotFound and CIDs we do not handle into IPLD's word, for which bitswap answers DONT_HAVE.
func absent(c cid.Cid, err error) error {
	if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrUnsupported) || errors.Is(err, blob.ErrCorrupt) {
		return ipld.ErrNotFound{Cid: c}
	}
	return err
}

func (s served) Has(ctx context.Context, c cid.Cid) (bool, error) {
	_, err := s.GetSize(ctx, c)
	if ipld.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

func (s served) GetSize(ctx context.Context, c cid.Cid) (int, error) {
	n, err := s.st.Size(ctx, c)
	return int(n), absent(c, err)
}

func (s served) Get(ctx context.Context, c cid.Cid) (blocks.Block, error) {
	b, err := s.st.Get(ctx, c)
	if err != nil {
		return nil, absent(c, err)
	}
	return blocks.NewBlockWithCid(b.Data(), c)
}

func (served) Put(context.Context, blocks.Block) error       { return nil }
func (served) PutMany(context.Context, []blocks.Block) error { return nil }
func (served) DeleteBlock(context.Context, cid.Cid) error    { return blob.ErrUnsupported }

// AllKeysChan is not used by bitswap.
func (served) AllKeysChan(context.Context) (<-chan cid.Cid, error) { return nil, blob.ErrUnsupported }
