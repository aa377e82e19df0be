package wasm

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/nexara/nexara/node/driver"
)

// maxTableEntries bounds each table of a module: 8 MiB of the daemon's memory.
const maxTableEntries = 1 << 20

// maxTables bounds their number.
const maxTables = 8

const (
	sectionTable  = 4
	sectionMemory = 5
)

// bound rewrites a module so that its tables cannot grow past maxTableEntries:
// tables live in the daemon's own memory, outside the memory limit, and a guest
// could grow one to 32 GiB. It also reads the memory the module starts with, in
// pages. Everything else stays byte for byte; the engine validates it later.
func bound(content []byte) (out []byte, minPages uint32, err error) {
	bad := func(what string) error { return fmt.Errorf("%w: %s", driver.ErrInvalidImage, what) }
	if len(content) < 8 || !bytes.Equal(content[:8], []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, 0, bad("not a WASM module")
	}
	out = make([]byte, 8, len(content)+16)
	copy(out, content)
	for rest := content[8:]; len(rest) > 0; {
		id := rest[0]
		size, n := uleb32(rest[1:])
		if n == 0 || uint64(size) > uint64(len(rest)-1-n) {
			return nil, 0, bad("truncated section")
		}
		body := rest[1+n : 1+n+int(size)]
		whole := rest[:1+n+int(size)]
		rest = rest[len(whole):]
		switch id {
		case sectionTable:
			tables, ok := boundTables(body)
			if !ok {
				return nil, 0, bad("table section: too large or not understood")
			}
			out = append(out, id)
			out = binary.AppendUvarint(out, uint64(len(tables)))
			out = append(out, tables...)
			continue
		case sectionMemory:
			var ok bool
			if minPages, ok = firstMemory(body); !ok {
				return nil, 0, bad("memory section not understood")
			}
		}
		out = append(out, whole...)
	}
	return out, minPages, nil
}

// boundTables gives a table section with a maximum on each table.
func boundTables(body []byte) ([]byte, bool) {
	count, n := uleb32(body)
	if n == 0 || count > maxTables {
		return nil, false
	}
	body = body[n:]
	out := binary.AppendUvarint(nil, uint64(count))
	for range count {
		// A reference type, then limits. Tables with an initialiser (0x40) and
		// 64-bit limits belong to later proposals and are refused.
		if len(body) < 2 || (body[0] != 0x70 && body[0] != 0x6f) || body[1] > 1 {
			return nil, false
		}
		kind, bounded := body[0], body[1] == 1
		least, n := uleb32(body[2:])
		if n == 0 || least > maxTableEntries {
			return nil, false
		}
		body = body[2+n:]
		most := uint32(maxTableEntries)
		if bounded {
			declared, n := uleb32(body)
			if n == 0 || declared < least {
				return nil, false
			}
			most, body = min(most, declared), body[n:]
		}
		out = append(out, kind, 1)
		out = binary.AppendUvarint(out, uint64(least))
		out = binary.AppendUvarint(out, uint64(most))
	}
	return out, len(body) == 0
}

// firstMemory reads the minimum of the module's own memory.
func firstMemory(body []byte) (uint32, bool) {
	count, n := uleb32(body)
	if n == 0 || count > 1 {
		return 0, false
	}
	if count == 0 {
		return 0, true
	}
	if body = body[n:]; len(body) < 2 || body[0] > 1 {
		return 0, false
	}
	least, n := uleb32(body[1:])
	return least, n > 0
}

// uleb32 decodes an unsigned LEB128 of at most 32 bits; n is 0 when it is not one.
func uleb32(b []byte) (v uint32, n int) {
	for i := 0; i < len(b) && i < 5; i++ {
		if i == 4 && b[i] > 0x0f {
			return 0, 0
		}
		v |= uint32(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}
