package auction

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrEncoding says that bytes are not the canonical encoding of a valid shape.
var ErrEncoding = errors.New("not a canonical shape")

// shapeMagic starts every encoding; the last byte is its version.
const shapeMagic = "NXS\x01"

// Encode is the canonical encoding of a valid shape, the preimage of Digest:
//
//	4 bytes   "NXS" 0x01
//	32 bytes  need: cpu_milli, memory_mib, disk_mib, gpus, each big-endian 64 bit
//	8 bytes   run_seconds, big-endian
//	8 bytes   min_score_ppm, big-endian
//	1 byte    network: 0 or 1
//	1+n bytes runtime: length, bytes
//	1+n bytes arch
//	1+n bytes gpu_model
//	1 byte    number of regions, then each as length, bytes, in ascending order
//
// It returns what ValidateShape returns for a shape that is not valid.
func (s Shape) Encode() ([]byte, error) {
	if err := ValidateShape(s); err != nil {
		return nil, err
	}
	return s.encode(), nil
}

func (s Shape) encode() []byte {
	out := append(make([]byte, 0, 128), shapeMagic...)
	for _, v := range s.Need {
		out = binary.BigEndian.AppendUint64(out, uint64(v))
	}
	out = binary.BigEndian.AppendUint64(out, uint64(s.RunSeconds))
	out = binary.BigEndian.AppendUint64(out, uint64(s.MinScorePPM))
	network := byte(0)
	if s.Network {
		network = 1
	}
	out = append(out, network)
	for _, word := range [...]string{s.Runtime, s.Arch, s.GPUModel} {
		out = append(append(out, byte(len(word))), word...)
	}
	out = append(out, byte(len(s.Regions)))
	for _, word := range s.Regions {
		out = append(append(out, byte(len(word))), word...)
	}
	return out
}

// Digest is the SHA-256 of Encode: the name of the demand class. It returns what ValidateShape returns
// for a shape that is not valid.
func (s Shape) Digest() ([32]byte, error) {
	data, err := s.Encode()
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(data), nil
}

// DecodeShape reads what Encode wrote. Every valid shape has exactly one encoding; anything else is
// ErrEncoding.
func DecodeShape(data []byte) (Shape, error) {
	r := shapeReader{data: data}
	if string(r.take(len(shapeMagic))) != shapeMagic {
		return Shape{}, fmt.Errorf("%w: it does not start with the magic of version 1", ErrEncoding)
	}
	var s Shape
	for i := range s.Need {
		s.Need[i] = r.int64()
	}
	s.RunSeconds, s.MinScorePPM = r.int64(), r.int64()
	network := r.byte()
	s.Network = network == 1
	s.Runtime, s.Arch, s.GPUModel = r.word(), r.word(), r.word()
	if n := int(r.byte()); n > 0 && n <= MaxRegions {
		s.Regions = make([]string, n)
		for i := range s.Regions {
			s.Regions[i] = r.word()
		}
	} else if n > MaxRegions {
		return Shape{}, fmt.Errorf("%w: %d regions", ErrEncoding, n)
	}
	switch {
	case r.short:
		return Shape{}, fmt.Errorf("%w: %d bytes are too few", ErrEncoding, len(data))
	case len(r.data) > 0:
		return Shape{}, fmt.Errorf("%w: %d bytes too many", ErrEncoding, len(r.data))
	case network > 1:
		return Shape{}, fmt.Errorf("%w: network is %d", ErrEncoding, network)
	}
	if err := ValidateShape(s); err != nil {
		return Shape{}, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return s, nil
}

// shapeReader hands out zero values once the data is short, so that a decoder asks only once, at the end.
type shapeReader struct {
	data  []byte
	short bool
}

func (r *shapeReader) take(n int) []byte {
	if n > len(r.data) {
		r.short, r.data = true, nil
		return nil
	}
	out := r.data[:n]
	r.data = r.data[n:]
	return out
}

func (r *shapeReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *shapeReader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *shapeReader) word() string { return string(r.take(int(r.byte()))) }
