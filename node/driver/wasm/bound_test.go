package wasm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

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

// memorySection is what a module without a memory gets.
var memorySection = section(sectionMemory, 1, 1, 0, 0x80, 0x80, 4)

func TestBoundTables(t *testing.T) {
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
			out, err := bound(assemble(other, section(sectionTable, c.in...)))
			if c.want == nil {
				require.ErrorIs(t, err, driver.ErrInvalidImage)
				return
			}
			require.NoError(t, err)
			require.Equal(t, assemble(other, section(sectionTable, c.want...), memorySection), out.content)
		})
	}
}

func TestBoundMemory(t *testing.T) {
	for name, c := range map[string]struct {
		in          []byte
		least, most uint32
		bad         bool
	}{
		"none":          {nil, 0, 0, false},
		"empty":         {section(sectionMemory, 0), 0, 0, false},
		"no maximum":    {section(sectionMemory, 1, 0, 0x90, 0x4e), 10000, 1 << 16, false},
		"maximum":       {section(sectionMemory, 1, 1, 1, 7), 1, 7, false},
		"maximum < min": {section(sectionMemory, 1, 1, 7, 1), 0, 0, true},
		"huge":          {section(sectionMemory, 1, 0, 0x81, 0x80, 4), 0, 0, true},
		"shared":        {section(sectionMemory, 1, 3, 1, 1), 0, 0, true},
		"two":           {section(sectionMemory, 2, 0, 1, 0, 1), 0, 0, true},
		"trailing":      {section(sectionMemory, 1, 0, 1, 1), 0, 0, true},
	} {
		out, err := bound(assemble(c.in))
		if c.bad {
			require.ErrorIs(t, err, driver.ErrInvalidImage, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, []uint32{c.least, c.most}, []uint32{out.minPages, out.maxPages}, name)
	}
	for _, bad := range [][]byte{nil, []byte("\x7fELF"), assemble([]byte{1, 9}), assemble(section(3, 0), section(1, 0)), assemble(section(1, 0), section(1, 0))} {
		_, err := bound(bad)
		require.ErrorIs(t, err, driver.ErrInvalidImage)
	}
}

// TestCharges: entry, loop and bulk instruction are charged for what follows them.
func TestCharges(t *testing.T) {
	c := &charger{imported: 1, globals: 3, tick: 9}
	body := []byte{
		0,                  // no locals
		opLoop, blockEmpty, // a loop of three instructions, one of them a call of the host
		opCall, 0, 0x0c, 0, opEnd,
		opI32Const, 0, opI32Const, 0, opI32Const, 0, opMisc, miscMemoryFill, 0,
		opGlobalGet, 2, opDrop,
		opEnd,
	}
	list, err := c.sites(body, 1)
	require.NoError(t, err)
	require.Equal(t, []site{
		{at: 1, cost: 11 + hostCallCost}, {at: 3, cost: 3 + hostCallCost}, {at: 14, bulk: true, shift: memoryShift},
	}, list)
	for name, bad := range map[string][]byte{
		"fuel is read":     {0, opGlobalGet, 3, opDrop, opEnd},
		"fuel is set":      {0, opI32Const, 0, opGlobalSet, 3, opEnd},
		"scratch":          {0, opGlobalGet, 4, opDrop, opEnd},
		"no end":           {0, 0x01},
		"two ends":         {0, opEnd, opEnd},
		"half a number":    {0, opI32Const, 0x80},
		"unknown":          {0, 0x06, opEnd},
		"atomics":          {0, 0xfe, 0, 0, opEnd},
		"memory 1":         {0, opMemorySize, 1, opDrop, opEnd},
		"locals without":   {1, 1},
		"other's constant": {0, opMisc, 0x80, 0x80, 0x80, 0x80, 0x10, opEnd},
	} {
		_, err := c.function(bad)
		require.ErrorIs(t, err, errCode, name)
	}
	_, err = c.function([]byte{1, 0x81, 0x80, 0x80, 1, typeI32, opEnd})
	require.ErrorIs(t, err, driver.ErrImageTooLarge, "locals")
}

// FuzzBound: whatever is accepted is as bounded as it says.
func FuzzBound(f *testing.F) {
	f.Add(assemble(section(sectionTable, 1, 0x70, 0, 5), section(sectionMemory, 1, 0, 1)))
	f.Add(assemble(section(sectionTable, 2, 0x70, 0, 1, 0x6f, 1, 2, 3)))
	f.Add(assemble(section(1, 1, 0x60, 0, 0), section(3, 1, 0), section(10, 1, 4, 0, 3, 0x40, 11, 11)))
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := bound(in)
		if err != nil {
			if !errors.Is(err, driver.ErrInvalidImage) && !errors.Is(err, driver.ErrImageTooLarge) {
				t.Fatal(err)
			}
			return
		}
		again, err := split(out.content)
		require.NoError(t, err)
		memory, _ := again.get(sectionMemory)
		least, most, ok := firstMemory(memory)
		require.True(t, ok)
		require.Equal(t, []uint32{out.minPages, 1 << 16}, []uint32{least, most})
	})
}

func TestShare(t *testing.T) {
	at := time.Unix(0, 0)
	for _, milli := range []int64{5, 200, 500, 999} {
		s := newShare(milli, at, 0)
		now, used, paused := at, time.Duration(0), time.Duration(0)
		for now.Sub(at) < time.Second { // a loop, called back every 300 us of CPU
			used += 300 * time.Microsecond
			now = now.Add(300 * time.Microsecond)
			p := s.spend(now, used)
			now, paused = now.Add(p), paused+p
		}
		// The last period may be half over when the second is.
		got := float64(used) / float64(now.Sub(at))
		require.InDelta(t, float64(milli)/1000, got, 0.2*float64(milli)/1000, "%d thousandths, paused %s", milli, paused)
	}
	s := newShare(1000, at, 0)
	require.Zero(t, s.spend(at.Add(time.Second), time.Second), "a whole core is never paused")
	s = newShare(100, at, 0)
	require.Positive(t, s.spend(at.Add(time.Hour), 11*time.Millisecond), "an hour's sleep saves up one period")
}
