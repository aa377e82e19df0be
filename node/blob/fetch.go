package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"

	"github.com/ipfs/go-cid"
)

// Source gets one block from elsewhere. The block is verified by the caller, so a Source returns the bytes as
// they came. Errors are of the classes of Fetcher.Fetch.
type Source func(ctx context.Context, c cid.Cid) ([]byte, error)

var emptyDigest = sha256.Sum256(nil)

// FetchDAG makes the DAG below root local: the walk that every Fetcher by blocks shares. Up to workers
// blocks are asked for at a time; blocks that are stored already are read instead. The first error stops it,
// and what arrived stays stored (unpinned), so that the next call resumes.
func FetchDAG(ctx context.Context, st Store, root cid.Cid, lim Limits, workers int, src Source) (Stat, error) {
	if err := Check(root); err != nil {
		return Stat{}, err
	}
	defer st.Hold()()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &fetch{st: st, src: src, budget: newBudget(lim), seen: map[blockKey]struct{}{}}
	f.wake = sync.NewCond(&f.mu)
	f.add([]fetchStep{{root, 0}})
	var wg sync.WaitGroup
	for range max(1, workers) {
		wg.Go(func() {
			if err := f.work(ctx); err != nil {
				if ended := ContextErr(ctx); ended != nil {
					err = ended // unless another worker failed first, and then f.err is set
				}
				f.fail(err)
				cancel(err)
			}
		})
	}
	stop := context.AfterFunc(ctx, func() { f.fail(ContextErr(ctx)) })
	wg.Wait()
	stop()
	return f.stat, f.err
}

type fetchStep struct {
	cid   cid.Cid
	depth int
}

type fetch struct {
	st  Store
	src Source

	mu      sync.Mutex
	wake    *sync.Cond
	budget  *budget
	seen    map[blockKey]struct{}
	todo    []fetchStep // a stack: depth first keeps it short
	working int
	stat    Stat
	err     error
}

func (f *fetch) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
	f.wake.Broadcast()
}

// add queues steps that were not seen; the caller need not hold the lock.
func (f *fetch) add(steps []fetchStep) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(steps) - 1; i >= 0; i-- {
		s := steps[i]
		if _, inline := Inline(s.cid); !inline {
			k := keyOf(s.cid)
			if _, dup := f.seen[k]; dup {
				continue
			}
			f.seen[k] = struct{}{}
		}
		f.todo = append(f.todo, s)
	}
	f.wake.Broadcast()
}

// next takes a step; ok is false when all is done or failed.
func (f *fetch) next() (s fetchStep, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.todo) == 0 && f.working > 0 && f.err == nil {
		f.wake.Wait()
	}
	if f.err != nil || len(f.todo) == 0 {
		return s, false
	}
	s = f.todo[len(f.todo)-1]
	f.todo = f.todo[:len(f.todo)-1]
	f.working++
	return s, true
}

func (f *fetch) done() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.working--
	f.wake.Broadcast()
}

func (f *fetch) work(ctx context.Context) error {
	for {
		s, ok := f.next()
		if !ok {
			return nil
		}
		err := f.step(ctx, s)
		f.done()
		if err != nil {
			return err
		}
	}
}

func (f *fetch) step(ctx context.Context, s fetchStep) error {
	if err := Check(s.cid); err != nil {
		return err
	}
	b, inline := Inline(s.cid)
	if !inline {
		var err error
		if b, err = f.block(ctx, s); err != nil {
			return err
		}
	}
	kids, err := children(b)
	if err != nil {
		return err
	}
	steps := make([]fetchStep, len(kids))
	for i, k := range kids {
		if err := Check(k); err != nil {
			return err
		}
		steps[i] = fetchStep{k, s.depth + 1}
	}
	f.add(steps)
	return nil
}

// block gets the block of a step from the store or the source and counts it. A stored leaf is not read.
func (f *fetch) block(ctx context.Context, s fetchStep) (Block, error) {
	if s.cid.Prefix().Codec == cid.Raw {
		size, err := f.st.Size(ctx, s.cid)
		if err == nil {
			return Block{cid: s.cid}, f.count(s, size)
		}
		if !errors.Is(err, ErrNotFound) {
			return Block{}, err
		}
	} else {
		b, err := f.st.Get(ctx, s.cid)
		if err == nil {
			return b, f.count(s, int64(len(b.data)))
		}
		if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCorrupt) {
			return Block{}, err
		}
	}
	// Counted before it is asked for: a DAG over the limit costs no more than the limit.
	if err := f.count(s, 0); err != nil {
		return Block{}, err
	}
	var data []byte
	var err error
	// The empty block is known to all, and bitswap cannot carry it (its engine reads size 0 as absent).
	if Digest(s.cid) != emptyDigest {
		if data, err = f.src(ctx, s.cid); err != nil {
			return Block{}, err
		}
	}
	b, err := VerifyBlock(s.cid, data)
	if err != nil {
		return Block{}, err
	}
	f.mu.Lock()
	err = f.budget.content(int64(len(data)))
	if err == nil {
		f.stat.Bytes += int64(len(data))
		f.stat.Got += int64(len(data))
	}
	f.mu.Unlock()
	if err != nil {
		return Block{}, err
	}
	return b, f.st.Put(ctx, b)
}

func (f *fetch) count(s fetchStep, size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stat.Blocks++
	f.stat.Bytes += size
	return errors.Join(f.budget.block(s.depth), f.budget.content(size))
}
