package wasm

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/nexara/nexara/node/driver"
)

// The engine runs native code that nothing can interrupt: a guest would keep its
// thread, and with it the collector of the whole daemon, for as long as it liked.
// So the code is rewritten. It counts down the instructions it has yet to run, at
// the entry of each function, at each turn of a loop and before each bulk
// instruction, and below zero it calls back (run.tick): there the run ends, or
// pauses to keep to its share of a core.
const (
	// quantum is how many instructions run between two calls back at most: well
	// under a millisecond of ordinary code.
	quantum = 1 << 20
	// hostCallCost and indirectCost stand for calls whose work is not in the module.
	hostCallCost = quantum / 64
	indirectCost = quantum / 4096
	// bulkShift turns the bytes, or the table entries, of a bulk instruction into instructions.
	memoryShift, tableShift = 4, 0
)

// charger rewrites the functions of one module. Everything it adds comes after
// what is there, so that no index of the module changes.
type charger struct {
	imported uint32 // functions
	globals  uint32 // of the module itself
	tick     uint32 // index of the function that calls back
}

// fuel and scratch are the indices of the two globals that are added. A module
// that names them is not valid by itself, and is refused.
func (c *charger) fuel() uint32    { return c.globals }
func (c *charger) scratch() uint32 { return c.globals + 1 }

// site is a place where code is inserted.
type site struct {
	at    int   // offset in the body, before which it goes
	cost  int64 // instructions
	bulk  bool  // the length on top of the stack counts too
	shift int32
}

// sites decodes a function's instructions, from offset at, and finds where to charge how much.
func (c *charger) sites(body []byte, at int) ([]site, error) {
	type open struct{ site int } // -1: not a loop
	list := []site{{at: at}}
	blocks := []open{{0}}
	total := int64(0)
	var began []int64 // total at the start of each site's stretch
	began = append(began, 0)
	for at < len(body) {
		in, err := decode(body[at:])
		if err != nil {
			return nil, err
		}
		if len(blocks) == 0 {
			return nil, errCode // instructions after the last end
		}
		total++
		next := at + in.size
		switch in.op {
		case opBlock, opIf:
			blocks = append(blocks, open{-1})
		case opLoop:
			blocks = append(blocks, open{len(list)})
			list, began = append(list, site{at: next}), append(began, total)
		case opEnd:
			if s := blocks[len(blocks)-1].site; s >= 0 {
				list[s].cost = min(total-began[s], quantum)
			}
			blocks = blocks[:len(blocks)-1]
		case opCall:
			if in.arg < c.imported {
				total += hostCallCost
			}
		case opCallIndirect:
			total += indirectCost
		case opGlobalGet, opGlobalSet:
			if in.arg >= c.globals {
				return nil, errCode
			}
		case opMisc:
			s := site{at: at, bulk: true, shift: tableShift}
			switch in.misc {
			case miscMemoryInit, miscMemoryCopy, miscMemoryFill:
				s.shift = memoryShift
			case miscTableInit, miscTableCopy, miscTableGrow, miscTableFill:
			default:
				s.bulk = false
			}
			if s.bulk {
				list, began = append(list, s), append(began, total)
			}
		}
		at = next
	}
	if len(blocks) != 0 {
		return nil, errCode
	}
	return list, nil
}

// function gives the body of a function with its charges.
func (c *charger) function(body []byte) ([]byte, error) {
	at, err := skipLocals(body)
	if err != nil {
		return nil, err
	}
	list, err := c.sites(body, at)
	if err != nil {
		return nil, err
	}
	// Sites are in the order of their places: each is found before what comes after it.
	out := make([]byte, 0, len(body)+24*len(list))
	from := 0
	for _, s := range list {
		out = append(out, body[from:s.at]...)
		out = c.charge(out, s)
		from = s.at
	}
	return append(out, body[from:]...), nil
}

// charge appends the code of a site: fuel -= cost; if fuel < 0, call back.
func (c *charger) charge(out []byte, s site) []byte {
	index := func(op byte, i uint32) { out = binary.AppendUvarint(append(out, op), uint64(i)) }
	constant := func(v int32) { out = appendSigned(append(out, opI32Const), v) }
	if s.bulk {
		index(opGlobalSet, c.scratch())
	}
	index(opGlobalGet, c.fuel())
	if s.bulk {
		index(opGlobalGet, c.scratch())
		constant(s.shift)
		out = append(out, opI32ShrU, opI32Sub)
		s.cost++
	}
	constant(int32(s.cost))
	out = append(out, opI32Sub)
	index(opGlobalSet, c.fuel())
	index(opGlobalGet, c.fuel())
	constant(0)
	out = append(out, opI32LtS, opIf, blockEmpty)
	index(opCall, c.tick)
	out = append(out, opEnd)
	if s.bulk {
		index(opGlobalGet, c.scratch())
	}
	return out
}

// callBack is the body of the function that calls back. The host is reached by an
// attempt to grow the memory to 4 GiB, which memory.Reallocate always refuses: an
// import would shift the index of every function.
func (c *charger) callBack() []byte {
	out := []byte{0} // no locals
	out = appendSigned(append(out, opI32Const), maxPages+1)
	out = append(out, opMemorySize, 0, opI32Sub, opMemoryGrow, 0, opDrop)
	out = appendSigned(append(out, opI32Const), quantum)
	out = binary.AppendUvarint(append(out, opGlobalSet), uint64(c.fuel()))
	return append(out, opEnd)
}

// skipLocals gives the offset of a function's first instruction.
func skipLocals(body []byte) (int, error) {
	groups, at := uleb32(body)
	if at == 0 {
		return 0, errCode
	}
	total := uint64(0)
	for range groups {
		count, n := uleb32(body[at:])
		if n == 0 || at+n >= len(body) {
			return 0, errCode
		}
		at += n + 1
		if total += uint64(count); total > maxLocals {
			return 0, fmt.Errorf("%w: a function of more than %d locals", driver.ErrImageTooLarge, maxLocals)
		}
	}
	return at, nil
}

// code rewrites a code section of count functions and adds the one that calls back.
func (c *charger) code(section []byte, count uint32) ([]byte, error) {
	got, at := uleb32(section)
	if at == 0 || got != count || count == math.MaxUint32 {
		return nil, errCode
	}
	out := binary.AppendUvarint(make([]byte, 0, len(section)*3/2), uint64(count)+1)
	add := func(body []byte) {
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	for range count {
		size, n := uleb32(section[at:])
		if n == 0 || uint64(size) > uint64(len(section)-at-n) {
			return nil, errCode
		}
		at += n
		body, err := c.function(section[at : at+int(size)])
		if err != nil {
			return nil, err
		}
		add(body)
		at += int(size)
	}
	if at != len(section) {
		return nil, errCode
	}
	add(c.callBack())
	return out, nil
}
