package containerd

import (
	"encoding/binary"
	"fmt"
	"runtime"
)

// waiter is a static program that waits until it is killed: what proves a runtime. It needs no image, no library
// and no compiler on the host. The error says that there is none for this architecture.
func waiter() ([]byte, error) {
	var machine uint16
	var code []byte
	switch runtime.GOARCH {
	case "amd64":
		machine, code = 62, []byte{
			0xb8, 0x22, 0x00, 0x00, 0x00, // mov eax, 34 (pause)
			0x0f, 0x05, // syscall
			0xeb, 0xf7, // jmp to the first
		}
	case "arm64":
		machine = 183
		for _, word := range []uint32{
			0xd2800000, 0xd2800001, 0xd2800002, 0xd2800003, 0xd2800004, // mov x0..x4, 0
			0xd2800928, // mov x8, 73 (ppoll)
			0xd4000001, // svc 0
			0x17fffff9, // b to the first
		} {
			code = binary.LittleEndian.AppendUint32(code, word)
		}
	default:
		return nil, fmt.Errorf("%w: no probe for %s", errUnproven, runtime.GOARCH)
	}
	const header, segment, base = 64, 56, 0x400000
	le := binary.LittleEndian
	out := []byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 15: 0}        // 64 bits, little endian
	out = le.AppendUint16(out, 2)                             // executable
	out = le.AppendUint16(out, machine)                       //
	out = le.AppendUint32(out, 1)                             // version
	out = le.AppendUint64(out, base+header+segment)           // entry
	out = le.AppendUint64(out, header)                        // where segments are described
	out = le.AppendUint64(out, 0)                             // no sections
	out = le.AppendUint32(out, 0)                             // flags
	for _, v := range []uint16{header, segment, 1, 0, 0, 0} { // sizes and numbers of those tables
		out = le.AppendUint16(out, v)
	}
	out = le.AppendUint32(out, 1) // one segment, to load
	out = le.AppendUint32(out, 5) // to read and execute
	size := uint64(header + segment + len(code))
	for _, v := range []uint64{0, base, base, size, size, 0x10000} { // from the file's start, page-aligned
		out = le.AppendUint64(out, v)
	}
	return append(out, code...), nil
}
