package store

import (
	"bytes"
	"fmt"

	"go.etcd.io/bbolt"
)

// Append writes steps of one lease, all or none, and returns when they are on
// disk. A step that cannot follow is ErrOrder and writes nothing.
func (j *Journal) Append(lease uint64, steps ...Step) error {
	if len(steps) == 0 {
		return nil
	}
	a := &appending{lease: lease, steps: steps, reply: make(chan error, 1)}
	j.closing.Lock()
	if j.closed {
		j.closing.Unlock()
		return ErrClosed
	}
	j.senders.Add(1)
	j.closing.Unlock()
	j.appends <- a
	j.senders.Done()
	return <-a.reply
}

// write is the only writer. It takes whatever waits and commits it at once.
func (j *Journal) write() {
	defer close(j.done)
	for first := range j.appends {
		batch := []*appending{first}
	drain:
		for len(batch) < maxBatch {
			select {
			case a, ok := <-j.appends:
				if !ok {
					break drain
				}
				batch = append(batch, a)
			default:
				break drain
			}
		}
		j.commit(batch)
	}
}

// commit writes a batch. An append that is out of order fails alone; a disk that
// refuses fails all of them, and memory stays as the disk is.
func (j *Journal) commit(batch []*appending) {
	refused := make([]error, len(batch))
	staged := map[uint64]*Lease{}
	err := j.db.Update(func(tx *bbolt.Tx) error {
		for i, a := range batch {
			before, isStaged := staged[a.lease]
			if !isStaged {
				before = j.open[a.lease]
			}
			after, err := j.check(tx, before, a, len(staged))
			if err != nil {
				refused[i] = err
				continue
			}
			if err := j.put(tx, a, after); err != nil {
				return err
			}
			staged[a.lease] = after
		}
		return nil
	})
	if err == nil {
		j.mu.Lock()
		for id, lease := range staged {
			if lease.Final != nil {
				delete(j.open, id)
				continue
			}
			j.open[id] = lease
		}
		j.mu.Unlock()
	}
	for i, a := range batch {
		switch {
		case refused[i] != nil:
			a.reply <- refused[i]
		case err != nil:
			a.reply <- fmt.Errorf("%w: %w", ErrWrite, err)
		default:
			a.reply <- nil
		}
	}
}

// check applies the steps to a copy, so that a refused append leaves no trace.
func (j *Journal) check(tx *bbolt.Tx, before *Lease, a *appending, staged int) (*Lease, error) {
	if before == nil {
		if tx.Bucket(bucketFinished).Get(key(a.lease)) != nil {
			return nil, fmt.Errorf("%w: lease %d is finished", ErrOrder, a.lease)
		}
		if len(j.open)+staged >= MaxOpenLeases {
			return nil, fmt.Errorf("%w: more than %d open leases", ErrOrder, MaxOpenLeases)
		}
	}
	after := before.Clone()
	for _, s := range a.steps {
		var err error
		if after, err = apply(after, a.lease, s); err != nil {
			return nil, err
		}
	}
	return after, nil
}

func (j *Journal) put(tx *bbolt.Tx, a *appending, after *Lease) error {
	steps := tx.Bucket(bucketSteps)
	if after.Final != nil {
		return j.finish(tx, steps, after)
	}
	b, err := steps.CreateBucketIfNotExists(key(a.lease))
	if err != nil {
		return err
	}
	for _, s := range a.steps {
		v, err := EncodeStep(s)
		if err != nil {
			return err
		}
		n, err := b.NextSequence()
		if err != nil {
			return err
		}
		if err := b.Put(key(n), v); err != nil {
			return err
		}
	}
	return nil
}

// finish replaces a lease's steps by its short record and forgets the oldest
// records above the bound.
func (j *Journal) finish(tx *bbolt.Tx, steps *bbolt.Bucket, lease *Lease) error {
	k := key(lease.ID)
	if steps.Bucket(k) != nil {
		if err := steps.DeleteBucket(k); err != nil {
			return err
		}
	}
	v, err := encodeFinished(lease.finished())
	if err != nil {
		return err
	}
	finished, order := tx.Bucket(bucketFinished), tx.Bucket(bucketOrder)
	if err := finished.Put(k, v); err != nil {
		return err
	}
	n, err := order.NextSequence()
	if err != nil {
		return err
	}
	if err := order.Put(key(n), k); err != nil {
		return err
	}
	// The sequence is dense, so the oldest one to keep follows from the newest.
	if n <= uint64(j.keep) {
		return nil
	}
	last := key(n - uint64(j.keep))
	c := order.Cursor()
	for at, old := c.First(); at != nil && bytes.Compare(at, last) <= 0; at, old = c.First() {
		if err := finished.Delete(old); err != nil {
			return err
		}
		if err := order.Delete(at); err != nil {
			return err
		}
	}
	return nil
}
