package wasm

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/driver"
)

// section builds a section of a module.
func section(id byte, body ...byte) []byte {
	return append(binary.AppendUvarint([]byte{id}, uint64(len(body))), body...)
}

func assemble(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x01\x00\x00\x00"), bytes.Join(sections, nil)...)
}

func TestBound(t *testing.T) {
	other := section(1, 1, 0x60, 0, 0)
	for name, c := range map[string]struct {
		in   []byte
		want []byte // table section's body; nil: refused
	}{
		"no maximum":      {[]byte{1, 0x70, 0, 5}, []byte{1, 0x70, 1, 5, 0x80, 0x80, 0x40}},
		"small maximum":   {[]byte{1, 0x70, 1, 5, 9}, []byte{1, 0x70, 1, 5, 9}},
		"large maximum":   {[]byte{1, 0x6f, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f}, []byte{1, 0x6f, 1, 0, 0x80, 0x80, 0x40}},
		"two tables":      {[]byte{2, 0x70, 0, 1, 0x6f, 1, 2, 3}, []byte{2, 0x70, 1, 1, 0x80, 0x80, 0x40, 0x6f, 1, 2, 3}},
		"padded numbers":  {[]byte{0x81, 0, 0x70, 0, 0x85, 0x80, 0}, []byte{1, 0x70, 1, 5, 0x80, 0x80, 0x40}},
		"huge minimum":    {[]byte{1, 0x70, 0, 0xff, 0xff, 0xff, 0x0f}, nil},
		"maximum < min":   {[]byte{1, 0x70, 1, 5, 4}, nil},
		"many tables":     {[]byte{9}, nil},
		"64-bit limits":   {[]byte{1, 0x70, 4, 1}, nil},
		"initialiser":     {[]byte{1, 0x40, 0, 0x70, 0, 1}, nil},
		"truncated":       {[]byte{1, 0x70, 0}, nil},
		"trailing":        {[]byte{1, 0x70, 0, 5, 5}, nil},
		"number too long": {[]byte{1, 0x70, 0, 0x80, 0x80, 0x80, 0x80, 0x10}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			out, _, err := bound(assemble(other, section(sectionTable, c.in...), other))
			if c.want == nil {
				require.ErrorIs(t, err, driver.ErrInvalidImage)
				return
			}
			require.NoError(t, err)
			require.Equal(t, assemble(other, section(sectionTable, c.want...), other), out)
		})
	}
	_, pages, err := bound(assemble(section(sectionMemory, 1, 0, 0x90, 0x4e)))
	require.NoError(t, err)
	require.Equal(t, uint32(10000), pages)
	for _, bad := range [][]byte{nil, []byte("\x7fELF"), assemble([]byte{1, 9}), assemble(section(sectionMemory, 2, 0, 1, 0, 1))} {
		_, _, err := bound(bad)
		require.ErrorIs(t, err, driver.ErrInvalidImage)
	}
}

// FuzzBound: whatever is accepted is accepted unchanged a second time.
func FuzzBound(f *testing.F) {
	f.Add(assemble(section(sectionTable, 1, 0x70, 0, 5), section(sectionMemory, 1, 0, 1)))
	f.Add(assemble(section(sectionTable, 2, 0x70, 0, 1, 0x6f, 1, 2, 3)))
	f.Fuzz(func(t *testing.T, in []byte) {
		out, pages, err := bound(in)
		if err != nil {
			require.ErrorIs(t, err, driver.ErrInvalidImage)
			return
		}
		again, same, err := bound(out)
		require.NoError(t, err)
		require.Equal(t, out, again)
		require.Equal(t, pages, same)
	})
}
