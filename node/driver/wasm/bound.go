package wasm

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/nexara/nexara/node/driver"
)

// Bounds of a module. What the engine makes of a module lives in the daemon's own
// memory, outside the memory limit of any run, and compiling costs the daemon's time.
const (
	// maxTableEntries bounds each table of a module: 8 MiB of the daemon's memory.
	maxTableEntries = 1 << 20
	// maxTables bounds their number.
	maxTables = 8
	// maxCodeBytes and maxFunctions bound what is compiled.
	maxCodeBytes = 32 << 20
	maxFunctions = 200_000
	// maxLocals bounds one function. The engine's work on a function grows faster than
	// its size; what bounds that is the compiler's own process.
	maxLocals = 50_000
	// maxPages is the largest memory: one page less than the engine's limit, for charger.callBack.
	maxPages = 1<<16 - 1
)

const (
	sectionCustom   = 0
	sectionType     = 1
	sectionImport   = 2
	sectionFunction = 3
	sectionTable    = 4
	sectionMemory   = 5
	sectionGlobal   = 6
	sectionCode     = 10
	sectionData     = 11
	sectionCount    = 12
)

// bounded is a module made safe to run.
type bounded struct {
	content []byte
	// minPages is the memory it starts with, maxPages what it allows itself at most.
	minPages, maxPages uint32
	codeBytes          int // of the section as it came
}

// parts are a module's sections in their order; each of them but custom ones at most once.
type parts []part

type part struct {
	id   byte
	body []byte
}

// order is the place of a section among the others.
func order(id byte) int {
	if id == sectionCount { // before code
		return 2*sectionCode - 1
	}
	return 2 * int(id)
}

// split takes a module apart.
func split(content []byte) (parts, error) {
	if len(content) < 8 || !bytes.Equal(content[:8], []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, bad("not a WASM module")
	}
	var list parts
	last := 0
	for rest := content[8:]; len(rest) > 0; {
		id := rest[0]
		size, n := uleb32(rest[1:])
		if n == 0 || uint64(size) > uint64(len(rest)-1-n) {
			return nil, bad("truncated section")
		}
		body := rest[1+n : 1+n+int(size)]
		rest = rest[1+n+int(size):]
		if id != sectionCustom {
			if id > sectionCount || order(id) <= last {
				return nil, bad("sections out of order")
			}
			last = order(id)
		}
		list = append(list, part{id, body})
	}
	return list, nil
}

// get gives a section's body.
func (p parts) get(id byte) ([]byte, bool) {
	for _, s := range p {
		if s.id == id {
			return s.body, true
		}
	}
	return nil, false
}

// put replaces a section or inserts it at its place.
func (p *parts) put(id byte, body []byte) {
	for i, s := range *p {
		if s.id == id {
			(*p)[i].body = body
			return
		}
		if s.id != sectionCustom && order(s.id) > order(id) {
			*p = append((*p)[:i], append(parts{{id, body}}, (*p)[i:]...)...)
			return
		}
	}
	*p = append(*p, part{id, body})
}

// join puts a module together.
func (p parts) join() []byte {
	size := 8
	for _, s := range p {
		size += len(s.body) + 6
	}
	out := append(make([]byte, 0, size), "\x00asm\x01\x00\x00\x00"...)
	for _, s := range p {
		out = binary.AppendUvarint(append(out, s.id), uint64(len(s.body)))
		out = append(out, s.body...)
	}
	return out
}

// vector reads a section that starts with a count.
func (p parts) vector(id byte) (count uint32, rest []byte, err error) {
	body, ok := p.get(id)
	if !ok {
		return 0, nil, nil
	}
	count, n := uleb32(body)
	if n == 0 {
		return 0, nil, bad("section without a count")
	}
	return count, body[n:], nil
}

// more appends entries to a section that starts with a count.
func (p *parts) more(id byte, count uint32, rest []byte, added uint32, entries []byte) {
	body := binary.AppendUvarint(nil, uint64(count)+uint64(added))
	p.put(id, append(append(body, rest...), entries...))
}

func bad(what string) error { return fmt.Errorf("%w: %s", driver.ErrInvalidImage, what) }

// bound rewrites a module so that it can be run inside the daemon. Tables cannot
// grow past maxTableEntries: a guest could grow one to 32 GiB. The memory's own
// maximum is taken out and kept by memory.Reallocate, and the code is charged for
// what it runs (see charger). Whether the module is valid is for the engine to say.
func bound(content []byte) (bounded, error) {
	p, err := split(content)
	if err != nil {
		return bounded{}, err
	}
	if body, ok := p.get(sectionTable); ok {
		tables, ok := boundTables(body)
		if !ok {
			return bounded{}, bad("table section: too large or not understood")
		}
		p.put(sectionTable, tables)
	}
	out := bounded{}
	body, _ := p.get(sectionMemory)
	var ok bool
	if out.minPages, out.maxPages, ok = firstMemory(body); !ok {
		return bounded{}, bad("memory section not understood")
	}
	// One memory, from its minimum to the engine's limit.
	p.put(sectionMemory, binary.AppendUvarint(binary.AppendUvarint([]byte{1, 1}, uint64(out.minPages)), maxPages+1))
	code, _ := p.get(sectionCode)
	out.codeBytes = len(code)
	if err := p.charge(); err != nil {
		return bounded{}, err
	}
	out.content = p.join()
	return out, nil
}

// charge adds what a charger needs and has it rewrite the code.
func (p *parts) charge() error {
	imported, rest, err := p.vector(sectionImport)
	if err != nil || !functionsOnly(imported, rest) {
		return bad("imports something else than functions")
	}
	count, functions, err := p.vector(sectionFunction)
	if err != nil {
		return err
	}
	code, _ := p.get(sectionCode)
	if count > maxFunctions || imported > maxFunctions || len(code) > maxCodeBytes {
		return fmt.Errorf("%w: %d functions in %d bytes, at most %d in %d", driver.ErrImageTooLarge, count, len(code), maxFunctions, maxCodeBytes)
	}
	if count == 0 {
		return nil // nothing runs
	}
	types, typeList, err := p.vector(sectionType)
	if err != nil {
		return err
	}
	globals, globalList, err := p.vector(sectionGlobal)
	if err != nil {
		return err
	}
	c := &charger{imported: imported, globals: globals, tick: imported + count}
	charged, err := c.code(code, count)
	if err != nil {
		return fmt.Errorf("%w: %w", driver.ErrInvalidImage, err)
	}
	p.put(sectionCode, charged)
	p.more(sectionType, types, typeList, 1, []byte{typeFunc, 0, 0})
	p.more(sectionFunction, count, functions, 1, binary.AppendUvarint(nil, uint64(types)))
	fuel := append(appendSigned([]byte{typeI32, 1, opI32Const}, quantum), opEnd)
	p.more(sectionGlobal, globals, globalList, 2, append(fuel, typeI32, 1, opI32Const, 0, opEnd))
	return nil
}

// functionsOnly is whether a list of imports holds functions and nothing else.
// Indices of globals would not start with the module's own otherwise.
func functionsOnly(count uint32, list []byte) bool {
	for range count {
		for range 2 { // names of module and field
			size, n := uleb32(list)
			if n == 0 || uint64(size) > uint64(len(list)-n) {
				return false
			}
			list = list[n+int(size):]
		}
		if len(list) == 0 || list[0] != 0 {
			return false
		}
		_, n := uleb32(list[1:])
		if n == 0 {
			return false
		}
		list = list[1+n:]
	}
	return len(list) == 0
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

// firstMemory reads the limits of the module's own memory, in pages. Without one
// they are 0.
func firstMemory(body []byte) (least, most uint32, ok bool) {
	if len(body) == 0 {
		return 0, 0, true
	}
	count, n := uleb32(body)
	if n == 0 || count > 1 {
		return 0, 0, false
	}
	if body = body[n:]; count == 0 {
		return 0, 0, len(body) == 0
	}
	if len(body) < 2 || body[0] > 1 {
		return 0, 0, false
	}
	limited := body[0] == 1
	least, n = uleb32(body[1:])
	if n == 0 || least > maxPages+1 {
		return 0, 0, false
	}
	most, body = maxPages+1, body[1+n:]
	if limited {
		if most, n = uleb32(body); n == 0 || most < least || most > maxPages+1 {
			return 0, 0, false
		}
		body = body[n:]
	}
	return least, most, len(body) == 0
}
