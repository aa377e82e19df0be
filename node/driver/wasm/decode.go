package wasm

import "errors"

// Instructions that the rewriting of a module looks at; the rest is only skipped.
const (
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBrTable      = 0x0e
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelectTyped  = 0x1c
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32LtS       = 0x48
	opI32Sub       = 0x6b
	opI32ShrU      = 0x76
	opLastNumeric  = 0xc4
	opRefNull      = 0xd0
	opRefIsNull    = 0xd1
	opRefFunc      = 0xd2
	opMisc         = 0xfc
	opVector       = 0xfd

	blockEmpty = 0x40
	typeI32    = 0x7f
	typeFunc   = 0x60
)

// Instructions behind opMisc whose work grows with an operand: the length on top of the stack.
const (
	miscMemoryInit = 8
	miscMemoryCopy = 10
	miscMemoryFill = 11
	miscTableInit  = 12
	miscTableCopy  = 14
	miscTableGrow  = 15
	miscTableSize  = 16
	miscTableFill  = 17
)

// errCode: an instruction that is not of WASM 2.0, or half of one.
var errCode = errors.New("wasm: code not understood")

// instruction is one decoded instruction.
type instruction struct {
	op   byte
	misc byte   // behind opMisc
	arg  uint32 // first index of a call or of an access to a global
	size int    // in bytes, with opcode and immediates
}

// decode reads the instruction at the start of b. It takes exactly as many bytes
// as the engine does, or fails: an instruction that the two read differently
// could hide another one. Validity beyond that is the engine's to judge.
func decode(b []byte) (in instruction, err error) {
	if len(b) == 0 {
		return in, errCode
	}
	in.op = b[0]
	at := 1
	skip := func(n int) {
		if at += n; at > len(b) {
			err, at = errCode, len(b)
		}
	}
	number := func() (v uint32) {
		v, n := uleb32(b[at:])
		if n == 0 {
			err = errCode
		}
		skip(n)
		return v
	}
	// signed skips a number of up to limit bytes whose value does not matter.
	signed := func(limit int) {
		for i := 1; ; i++ {
			if i > limit || at >= len(b) {
				err = errCode
				return
			}
			if at++; b[at-1] < 0x80 {
				return
			}
		}
	}
	zero := func() { // an index of which there is only 0, in one byte
		if at >= len(b) || b[at] != 0 {
			err = errCode
			return
		}
		at++
	}
	switch op := in.op; {
	case op == opBlock || op == opLoop || op == opIf:
		signed(5)
	case op == opBrTable:
		for n := uint64(number()) + 1; n > 0 && err == nil; n-- {
			number()
		}
	case op == opCallIndirect:
		number()
		number()
	case op == opSelectTyped:
		if number() != 1 {
			err = errCode
		}
		skip(1)
	case op == opCall || op == opGlobalGet || op == opGlobalSet:
		in.arg = number()
	case op == 0x0c || op == 0x0d || op >= 0x20 && op <= 0x26 || op == opRefFunc: // br, br_if; locals, tables
		number()
	case op >= 0x28 && op <= 0x3e: // loads and stores
		number()
		number()
	case op == opMemorySize || op == opMemoryGrow:
		zero()
	case op == opI32Const:
		signed(5)
	case op == opI64Const:
		signed(10)
	case op == opF32Const:
		skip(4)
	case op == opF64Const:
		skip(8)
	case op == opRefNull:
		skip(1)
	case op == opMisc:
		sub := number()
		if sub > miscTableFill {
			return in, errCode
		}
		in.misc = byte(sub)
		switch in.misc {
		case miscMemoryInit:
			number()
			zero()
		case miscMemoryCopy:
			zero()
			zero()
		case miscMemoryFill:
			zero()
		case 9, 13, miscTableGrow, miscTableSize, miscTableFill: // data.drop, elem.drop
			number()
		case miscTableInit, miscTableCopy:
			number()
			number()
		}
	case op == opVector:
		// One byte, as the engine reads it: the second byte of a longer number is 1, which is a nop by itself.
		skip(1)
		if err != nil {
			return in, err
		}
		switch sub := b[at-1]; {
		case sub <= 11 || sub == 92 || sub == 93: // loads and stores
			number()
			number()
		case sub >= 84 && sub <= 91: // of one lane
			number()
			number()
			skip(1)
		case sub == 12 || sub == 13: // constant, shuffle
			skip(16)
		case sub >= 21 && sub <= 34: // lanes
			skip(1)
		}
	case op <= 0x01 || op == opElse || op == opEnd || op == 0x0f || op == opDrop || op == 0x1b || // nop to return, select
		op >= 0x45 && op <= opLastNumeric || op == opRefIsNull:
	default:
		return in, errCode
	}
	in.size = at
	return in, err
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

// appendSigned encodes v as signed LEB128.
func appendSigned(b []byte, v int32) []byte {
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}
