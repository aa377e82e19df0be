package auction

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// MaxFileBytes bounds a model file.
const MaxFileBytes = 16 << 20

// ErrFile says that bytes are no canonical model file.
var ErrFile = errors.New("not a canonical model file")

// fileMagic starts every model file; the last byte is its version.
const fileMagic = "NXC\x01"

// File is everything about one clearing: what it saw and what it decided. Its digest is in the chain's state.
type File struct {
	Height     int64
	Solver     string
	Book       Book
	Allocation Allocation
}

// Encode is the canonical encoding: supplies ascending by number, entries by (job, first), hints by number, shapes
// and all else in the order given; numbers as zig-zag varints, lists and words with their length before them. Equal
// files have equal bytes whatever the order in which a store listed the book. docs/spec/clearing.md has the layout.
func (f *File) Encode() []byte {
	w := writer{out: make([]byte, 0, 1<<16)}
	w.out = append(w.out, fileMagic...)
	w.int(f.Height)
	w.word(f.Solver)
	w.book(&f.Book)
	w.allocation(&f.Allocation)
	return w.out
}

// FileDigest is the SHA-256 of an encoded file.
func FileDigest(data []byte) [32]byte { return sha256.Sum256(data) }

// DecodeFile reads what Encode wrote. Anything else is ErrFile: no two byte strings are the same file.
func DecodeFile(data []byte) (*File, error) {
	if len(data) > MaxFileBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrFile, len(data), MaxFileBytes)
	}
	r := reader{data: data}
	if string(r.bytes(len(fileMagic))) != fileMagic {
		return nil, fmt.Errorf("%w: it does not start with the magic of version 1", ErrFile)
	}
	f := &File{Height: r.int(), Solver: r.word()}
	r.book(&f.Book)
	r.allocation(&f.Allocation)
	if r.failed || len(r.data) > 0 {
		return nil, fmt.Errorf("%w: it ends too soon, goes on too long or has a list too large", ErrFile)
	}
	if !bytes.Equal(f.Encode(), data) {
		return nil, fmt.Errorf("%w: its order or its numbers are not canonical", ErrFile)
	}
	return f, nil
}

type writer struct{ out []byte }

func (w *writer) int(v int64)    { w.out = binary.AppendVarint(w.out, v) }
func (w *writer) uint(v uint64)  { w.out = binary.AppendUvarint(w.out, v) }
func (w *writer) bytes(b []byte) { w.uint(uint64(len(b))); w.out = append(w.out, b...) }
func (w *writer) word(s string)  { w.uint(uint64(len(s))); w.out = append(w.out, s...) }
func (w *writer) ints(v ...int64) {
	for _, x := range v {
		w.int(x)
	}
}

func (w *writer) flags(flags ...bool) {
	b := byte(0)
	for i, f := range flags {
		if f {
			b |= 1 << i
		}
	}
	w.out = append(w.out, b)
}

func (w *writer) book(b *Book) {
	p := &b.Params
	w.ints(p.BurnPPM, p.PenaltyKPPM, p.LockPPM, p.LeaseMax, p.MaxShapes, p.MaxSupplies, p.MaxEntries, p.MaxShards, p.MaxMatches)
	w.out = append(w.out, b.Seed[:]...)
	w.uint(uint64(len(b.Shapes)))
	for i := range b.Shapes {
		w.bytes(b.Shapes[i].encode())
	}
	supplies := slices.Clone(b.Supplies)
	slices.SortStableFunc(supplies, func(x, y Supply) int { return cmp.Compare(x.ID, y.ID) })
	w.uint(uint64(len(supplies)))
	for i := range supplies {
		w.supply(&supplies[i])
	}
	entries := slices.Clone(b.Entries)
	slices.SortStableFunc(entries, func(x, y Entry) int {
		return cmp.Or(cmp.Compare(x.JobID, y.JobID), cmp.Compare(x.First, y.First))
	})
	w.uint(uint64(len(entries)))
	for i := range entries {
		e := &entries[i]
		w.uint(e.JobID)
		w.ints(e.First, e.Count, int64(e.ShapeIndex), e.Limit, e.VisibleBefore)
		w.uint(uint64(len(e.Excluded)))
		for _, x := range e.Excluded {
			w.uint(x)
		}
	}
	hints := slices.Clone(b.Hints)
	slices.SortStableFunc(hints, func(x, y Hint) int { return cmp.Compare(x.NexCoreID, y.NexCoreID) })
	w.uint(uint64(len(hints)))
	for i := range hints {
		w.uint(hints[i].NexCoreID)
		w.prices(&hints[i].Prices)
		w.int(hints[i].Width)
	}
}

func (w *writer) supply(s *Supply) {
	w.uint(s.ID)
	w.word(s.Operator)
	w.flags(s.Active, s.Expired, s.Paused, s.Draining, s.Jailed, s.Network)
	w.ints(s.Capacity[:]...)
	w.ints(s.Free[:]...)
	for _, v := range s.Ask {
		w.uint(v)
	}
	w.int(s.AskHeight)
	w.uint(uint64(len(s.Runtimes)))
	for _, r := range s.Runtimes {
		w.word(r)
	}
	w.word(s.Arch)
	w.word(s.Region)
	w.word(s.GPUModel)
	w.ints(s.MaxRunSeconds, s.FreeBond, s.LeaseSlots, s.ScorePPM)
}

func (w *writer) prices(p *Prices) {
	w.ints(p.Slot, p.Tie)
	w.ints(p.Dims[:]...)
}

func (w *writer) allocation(a *Allocation) {
	w.uint(uint64(len(a.Matches)))
	for i := range a.Matches {
		m := &a.Matches[i]
		w.uint(m.JobID)
		w.ints(m.First, m.Count)
		w.uint(m.NexCoreID)
		w.ints(m.Price, m.Rent, m.Welfare)
	}
	w.ints(a.Welfare, a.Matched, a.Unmatched, a.Work)
	w.flags(a.Cut, a.Certificate.Exact)
	w.int(a.Bound)
	w.uint(uint64(len(a.Certificate.Prices)))
	for i := range a.Certificate.Prices {
		p := &a.Certificate.Prices[i]
		w.uint(p.NexCoreID)
		w.prices(&p.Prices)
		w.int(p.Width)
	}
	w.uint(uint64(len(a.Certificate.Proof)))
	for i := range a.Certificate.Proof {
		s := &a.Certificate.Proof[i]
		w.uint(s.NexCoreID)
		w.uint(s.JobID)
		w.int(s.First)
		w.uint(s.Parent)
	}
}

// reader takes a file apart. After a failure it returns zero values.
type reader struct {
	data   []byte
	failed bool
}

func (r *reader) bytes(n int) []byte {
	if r.failed || n < 0 || n > len(r.data) {
		r.failed = true
		return nil
	}
	out := r.data[:n]
	r.data = r.data[n:]
	return out
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		r.failed = true
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.failed = true
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) ints(into ...*int64) {
	for _, p := range into {
		*p = r.int()
	}
}

// count is the length of a list whose items take at least so many bytes: what is left bounds it, so that a
// small file cannot ask for much memory.
func (r *reader) count(itemBytes int) int {
	n := r.uint()
	if r.failed || n > uint64(len(r.data)/itemBytes) {
		r.failed = true
		return 0
	}
	return int(n)
}

func (r *reader) word() string { return string(r.bytes(r.count(1))) }

func (r *reader) flags(into ...*bool) {
	b := r.bytes(1)
	if b == nil {
		return
	}
	for i, f := range into {
		*f = b[0]&(1<<i) != 0
	}
}

func list[T any](r *reader, itemBytes int, read func(*T)) []T {
	n := r.count(itemBytes)
	if n == 0 {
		return nil
	}
	out := make([]T, n)
	for i := range out {
		if read(&out[i]); r.failed {
			return nil
		}
	}
	return out
}

func (r *reader) book(b *Book) {
	p := &b.Params
	r.ints(&p.BurnPPM, &p.PenaltyKPPM, &p.LockPPM, &p.LeaseMax, &p.MaxShapes, &p.MaxSupplies, &p.MaxEntries, &p.MaxShards, &p.MaxMatches)
	copy(b.Seed[:], r.bytes(len(b.Seed)))
	b.Shapes = list(r, 64, func(s *Shape) {
		shape, err := DecodeShape(r.bytes(r.count(1)))
		if err != nil {
			r.failed = true
		}
		*s = shape
	})
	b.Supplies = list(r, 24, r.supply)
	b.Entries = list(r, 7, func(e *Entry) {
		e.JobID = r.uint()
		shape := int64(0)
		r.ints(&e.First, &e.Count, &shape, &e.Limit, &e.VisibleBefore)
		e.ShapeIndex = int(shape)
		e.Excluded = list(r, 1, func(x *uint64) { *x = r.uint() })
	})
	b.Hints = list(r, 1+2+NumDims+1, func(h *Hint) {
		h.NexCoreID = r.uint()
		r.prices(&h.Prices)
		h.Width = r.int()
	})
}

func (r *reader) supply(s *Supply) {
	s.ID = r.uint()
	s.Operator = r.word()
	r.flags(&s.Active, &s.Expired, &s.Paused, &s.Draining, &s.Jailed, &s.Network)
	for i := range s.Capacity {
		s.Capacity[i] = r.int()
	}
	for i := range s.Free {
		s.Free[i] = r.int()
	}
	for i := range s.Ask {
		s.Ask[i] = r.uint()
	}
	s.AskHeight = r.int()
	s.Runtimes = list(r, 1, func(w *string) { *w = r.word() })
	s.Arch, s.Region, s.GPUModel = r.word(), r.word(), r.word()
	r.ints(&s.MaxRunSeconds, &s.FreeBond, &s.LeaseSlots, &s.ScorePPM)
}

func (r *reader) prices(p *Prices) {
	r.ints(&p.Slot, &p.Tie)
	for i := range p.Dims {
		p.Dims[i] = r.int()
	}
}

func (r *reader) allocation(a *Allocation) {
	a.Matches = list(r, 7, func(m *Match) {
		m.JobID = r.uint()
		r.ints(&m.First, &m.Count)
		m.NexCoreID = r.uint()
		r.ints(&m.Price, &m.Rent, &m.Welfare)
	})
	r.ints(&a.Welfare, &a.Matched, &a.Unmatched, &a.Work)
	r.flags(&a.Cut, &a.Certificate.Exact)
	a.Bound = r.int()
	a.Certificate.Prices = list(r, 1+2+NumDims+1, func(p *Priced) {
		p.NexCoreID = r.uint()
		r.prices(&p.Prices)
		p.Width = r.int()
	})
	a.Certificate.Proof = list(r, 4, func(s *Step) {
		s.NexCoreID, s.JobID = r.uint(), r.uint()
		s.First = r.int()
		s.Parent = r.uint()
	})
}
