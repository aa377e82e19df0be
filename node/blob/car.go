package blob

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ipfs/go-cid"
)

// CARv1 with one root, depth-first order and no duplicates: one DAG has one CAR.
const (
	// CARContentType is the media type of what WriteCAR writes.
	CARContentType = "application/vnd.ipld.car; version=1; order=dfs; dups=n"
	// RawContentType is the media type of a single block.
	RawContentType = "application/vnd.ipld.raw"

	maxCARHeader = 1 << 10 // bytes; a header of one root is under 100
	maxCIDBytes  = 256
)

// WriteCAR writes the DAG below root. Should a block be missing or corrupt, it stops with the error: what
// was written is then cut short and no reader can take it for whole.
func WriteCAR(ctx context.Context, w io.Writer, r Reader, root cid.Cid, lim Limits) (Stat, error) {
	bw := bufio.NewWriterSize(w, 64<<10)
	if err := Check(root); err != nil {
		return Stat{}, err
	}
	// The header goes out with the first block only: a root that is not there leaves w untouched.
	begun := false
	begin := func() error {
		if begun {
			return nil
		}
		begun = true
		h := carHeader(root)
		_, err := bw.Write(append(binary.AppendUvarint(nil, uint64(len(h))), h...))
		return err
	}
	st, err := WalkDAG(ctx, r, root, lim, func(b Block) error {
		if err := begin(); err != nil {
			return err
		}
		id := b.cid.Bytes()
		head := binary.AppendUvarint(make([]byte, 0, 64), uint64(len(id)+len(b.data)))
		if _, err := bw.Write(append(head, id...)); err != nil {
			return err
		}
		_, err := bw.Write(b.data)
		return err
	})
	if err == nil {
		err = begin() // a root that is inline has no block of its own
	}
	if err != nil {
		return st, fmt.Errorf("write CAR of %s: %w", root, err)
	}
	return st, bw.Flush()
}

// carHeader is dag-cbor for {"roots": [root], "version": 1}.
func carHeader(root cid.Cid) []byte {
	id := root.Bytes()
	h := []byte("\xa2\x65roots\x81\xd8\x2a")
	n := len(id) + 1
	switch {
	case n < 24:
		h = append(h, 0x40|byte(n))
	case n < 256:
		h = append(h, 0x58, byte(n))
	default:
		h = append(h, 0x59, byte(n>>8), byte(n))
	}
	h = append(append(h, 0), id...)
	return append(h, "\x67version\x01"...)
}

// parseCARHeader reads a header of version 1 and one root in the only form dag-cbor allows.
func parseCARHeader(h []byte) (cid.Cid, error) {
	const v2 = "\xa1\x67version\x02"
	if string(h) == v2 {
		return cid.Undef, fmt.Errorf("CAR version 2: %w", ErrUnsupported)
	}
	rest, ok := bytes.CutPrefix(h, []byte("\xa2\x65roots"))
	if ok && len(rest) > 0 && rest[0] != 0x81 && rest[0]>>5 == 4 {
		return cid.Undef, fmt.Errorf("CAR with not exactly one root: %w", ErrUnsupported)
	}
	if rest, ok = bytes.CutSuffix(rest, []byte("\x67version\x01")); !ok {
		return cid.Undef, fmt.Errorf("CAR header: %w", ErrInvalid)
	}
	// The root's bytes start after the list, tag and byte-string heads; writing the header anew is the check
	// that those were right.
	zero := bytes.IndexByte(rest, 0)
	if zero < 0 {
		return cid.Undef, fmt.Errorf("CAR header: %w", ErrInvalid)
	}
	root, err := cid.Cast(rest[zero+1:])
	if err != nil || !bytes.Equal(carHeader(root), h) {
		return cid.Undef, fmt.Errorf("CAR header: %w", errors.Join(ErrInvalid, err))
	}
	return root, Check(root)
}

// ReadCAR stores the blocks of a CAR and returns its root. Every block is verified, and must be the root or
// be linked from a block before it: a CAR cannot smuggle in blocks of no use. When it returns without an
// error the whole DAG is in st: blocks that the CAR leaves out must be there already, else ErrNotFound. A
// stream that breaks off is ErrUnavailable; what arrived stays stored, unpinned.
func ReadCAR(ctx context.Context, st Store, r io.Reader, lim Limits) (cid.Cid, Stat, error) {
	defer st.Hold()()
	root, stat, err := readCAR(ctx, st, r, newBudget(lim))
	if err != nil {
		return root, stat, fmt.Errorf("read CAR: %w", err)
	}
	return root, stat, nil
}

func readCAR(ctx context.Context, st Store, r io.Reader, bud *budget) (root cid.Cid, stat Stat, err error) {
	br := bufio.NewReaderSize(r, 64<<10)
	// After the length comes a dag-cbor map; a web page or the like is told at once.
	head, err := br.Peek(3)
	if len(head) == 0 && !errors.Is(err, io.EOF) {
		return cid.Undef, stat, streamErr(ctx, err)
	}
	if len(head) > 1 && head[0] >= 0x80 {
		head = head[1:]
	}
	if len(head) == 0 || len(head) > 1 && head[1]>>5 != 5 {
		return cid.Undef, stat, fmt.Errorf("stream is no CAR: %w", ErrInvalid)
	}
	buf, err := carSection(ctx, br, nil, maxCARHeader)
	if err != nil {
		return cid.Undef, stat, err
	}
	if root, err = parseCARHeader(buf); err != nil {
		return cid.Undef, stat, err
	}
	w := wanted{lim: bud.lim, at: map[blockKey]*wantedBlock{}}
	if err := w.want(root, 0); err != nil {
		return root, stat, err
	}
	for {
		buf, err = carSection(ctx, br, buf, maxCIDBytes+MaxBlockSize)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return root, stat, err
		}
		n, c, err := cid.CidFromBytes(buf)
		if err != nil {
			return root, stat, fmt.Errorf("section: %w: %w", ErrInvalid, err)
		}
		if _, inline := Inline(c); inline {
			continue // some writers include them; they carry themselves
		}
		b, err := VerifyBlock(c, buf[n:])
		if err != nil {
			return root, stat, err
		}
		as := w.at[keyOf(c)]
		if as == nil {
			return root, stat, fmt.Errorf("block %s is not linked from a block before it: %w", c, ErrInvalid)
		}
		if as.came {
			continue // writers may repeat blocks
		}
		as.came = true
		err = bud.block(as.depth)
		if err == nil {
			err = bud.content(int64(len(b.data)))
		}
		// Stored before its links are judged: who asks for one block only gets it, and the limit's error.
		if err == nil {
			err = st.Put(ctx, b)
		}
		if err == nil {
			err = w.follow(b, as.depth)
		}
		if err != nil {
			return root, stat, err
		}
		stat.Blocks++
		stat.Bytes += int64(len(b.data))
		stat.Got = stat.Bytes
	}
	for _, as := range w.at {
		if !as.came {
			// The rest may be stored already, at any depth: walking it all is the only proof.
			whole, err := Walk(ctx, st, root, bud.lim, nil)
			whole.Got = stat.Got
			return root, whole, err
		}
	}
	return root, stat, nil
}

// wanted is what the blocks of a CAR so far link to.
type wanted struct {
	lim Limits
	at  map[blockKey]*wantedBlock
}

type wantedBlock struct {
	depth int // links from the root by the first path seen
	came  bool
}

func (w *wanted) want(c cid.Cid, depth int) error {
	if err := Check(c); err != nil {
		return err
	}
	if depth > w.lim.MaxDepth {
		return fmt.Errorf("deeper than %d links: %w", w.lim.MaxDepth, ErrTooLarge)
	}
	if b, inline := Inline(c); inline {
		return w.follow(b, depth)
	}
	if k := keyOf(c); w.at[k] == nil {
		w.at[k] = &wantedBlock{depth: depth}
	}
	if int64(len(w.at)) > w.lim.MaxBlocks {
		return fmt.Errorf("links to more than %d blocks: %w", w.lim.MaxBlocks, ErrTooLarge)
	}
	return nil
}

func (w *wanted) follow(b Block, depth int) error {
	kids, err := children(b)
	for i := 0; err == nil && i < len(kids); i++ {
		err = w.want(kids[i], depth+1)
	}
	return err
}

// carSection reads one length-prefixed section into buf's room. io.EOF exactly when the stream ends before
// a section begins.
func carSection(ctx context.Context, br *bufio.Reader, buf []byte, max uint64) ([]byte, error) {
	if err := ContextErr(ctx); err != nil {
		return nil, err
	}
	if _, err := br.Peek(1); err != nil {
		return nil, streamErr(ctx, err)
	}
	n, err := binary.ReadUvarint(br)
	if err != nil {
		return nil, streamErr(ctx, unexpected(err))
	}
	if n == 0 {
		return nil, fmt.Errorf("empty section: %w", ErrInvalid)
	}
	if n > max {
		return nil, fmt.Errorf("section of %d bytes: %w", n, ErrTooLarge)
	}
	// Room is taken as bytes arrive, not as announced, beyond the first 64 KiB.
	if uint64(cap(buf)) < n {
		buf = make([]byte, min(n, 64<<10))
	}
	buf = buf[:min(n, uint64(cap(buf)))]
	for got := uint64(0); ; {
		k, err := io.ReadFull(br, buf[got:])
		if got += uint64(k); err != nil {
			return nil, streamErr(ctx, unexpected(err))
		}
		if got == n {
			return buf, nil
		}
		grown := make([]byte, min(n, 4*got))
		copy(grown, buf)
		buf = grown
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// streamErr sorts the errors of a source's stream: a plain end stays io.EOF, the end of ctx keeps its class,
// ErrTooLarge and ErrTimeout of a limiting reader stay, everything else means that the source broke off.
func streamErr(ctx context.Context, err error) error {
	switch {
	case err == io.EOF: //nolint:errorlint // exactly the bare end of the stream
		return err
	case ContextErr(ctx) != nil:
		return ContextErr(ctx)
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrTimeout):
		return err
	default:
		return fmt.Errorf("stream broke off: %w: %w", ErrUnavailable, err)
	}
}
