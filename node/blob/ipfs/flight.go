package ipfs

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"

	"github.com/ipfs/go-cid"

	"github.com/nexara/nexara/node/blob"
)

// flights lets one block be asked for once at a time, however many fetches want it. It saves traffic, and it
// avoids a stall: a bitswap server drops a want that reaches it while its answer to an earlier one is still on
// the way, so that a want repeated right after the block came waits for the next broadcast.
type flights struct {
	mu  sync.Mutex
	now map[[sha256.Size]byte]chan struct{} // closed when the flight has ended, well or not
}

// get returns the block from the store or has ask bring it. ask runs in one caller at a time per block.
func (f *flights) get(ctx context.Context, st blob.Store, c cid.Cid, ask func() (blob.Block, error)) (blob.Block, error) {
	k := blob.Digest(c)
	for {
		f.mu.Lock()
		other, busy := f.now[k]
		if !busy {
			f.now[k] = make(chan struct{})
		}
		f.mu.Unlock()
		if !busy {
			return f.lead(ctx, st, c, ask)
		}
		select {
		case <-other: // stored, or that fetch gave up and it is our turn
		case <-ctx.Done():
			return blob.Block{}, ctx.Err()
		}
	}
}

func (f *flights) lead(ctx context.Context, st blob.Store, c cid.Cid, ask func() (blob.Block, error)) (blob.Block, error) {
	k := blob.Digest(c)
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		close(f.now[k])
		delete(f.now, k)
	}()
	// The flight before ours may have landed since the caller looked.
	b, err := st.Get(ctx, c)
	if err == nil || !errors.Is(err, blob.ErrNotFound) && !errors.Is(err, blob.ErrCorrupt) {
		return b, err
	}
	if b, err = ask(); err != nil {
		return blob.Block{}, err
	}
	// Stored before the flight ends, or the next one would ask again.
	return b, st.Put(ctx, b)
}
