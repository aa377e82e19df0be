package auction

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

var vectorShape = Shape{
	Need: Resources{1000, 2048, 512, 1}, Runtime: "container", Arch: "amd64", Regions: []string{"eu-west", "us-east"},
	GPUModel: "a100", Network: true, RunSeconds: 600, MinScorePPM: 250_000,
}

// The bytes of the documented layout, so that other languages can be held to them.
func TestShapeVector(t *testing.T) {
	const want = "4e585301" + "00000000000003e8" + "0000000000000800" + "0000000000000200" + "0000000000000001" +
		"0000000000000258" + "000000000003d090" + "01" + "09636f6e7461696e6572" + "05616d643634" + "0461313030" +
		"02" + "0765752d77657374" + "0775732d65617374"
	got, err := vectorShape.Encode()
	if err != nil || hex.EncodeToString(got) != want {
		t.Errorf("encoding is %x, %v", got, err)
	}
	digest, err := vectorShape.Digest()
	if err != nil || hex.EncodeToString(digest[:]) != "129fed9f5fb8b732e93378bc7664ee0656cee1b7a4a4e4a6b9ba3537ea31465b" {
		t.Errorf("digest is %x, %v", digest, err)
	}
	if _, err := (Shape{}).Encode(); !errors.Is(err, ErrShape) {
		t.Errorf("an invalid shape encodes: %v", err)
	}
}

func drawShape(t *rapid.T) Shape {
	s := Shape{
		Need:        drawNeed(t),
		Runtime:     rapid.SampledFrom([]string{"container", "wasm"}).Draw(t, "runtime"),
		Arch:        rapid.SampledFrom([]string{"", "amd64", "arm64"}).Draw(t, "arch"),
		Regions:     rapid.SampledFrom([][]string{nil, {"eu"}, {"eu", "us"}}).Draw(t, "regions"),
		Network:     rapid.Bool().Draw(t, "network"),
		RunSeconds:  rapid.Int64Range(1, MaxRunSeconds).Draw(t, "seconds"),
		MinScorePPM: rapid.Int64Range(0, PPM).Draw(t, "score"),
	}
	s.Need[CPUMilli] = max(1, s.Need[CPUMilli])
	return s
}

func TestShapeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawShape(t)
		data, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeShape(data)
		if err != nil || !reflect.DeepEqual(s, back) {
			t.Fatalf("%+v came back as %+v, %v", s, back, err)
		}
		cut := rapid.IntRange(0, len(data)-1).Draw(t, "cut")
		if _, err := DecodeShape(data[:cut]); !errors.Is(err, ErrEncoding) {
			t.Fatalf("the first %d bytes decode: %v", cut, err)
		}
	})
}

// Whatever decodes is valid and is the one encoding of what it decodes to.
func FuzzDecodeShape(f *testing.F) {
	seed, err := vectorShape.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(seed[:40])
	f.Add([]byte(shapeMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeShape(data)
		if err != nil {
			if !errors.Is(err, ErrEncoding) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		again, err := s.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%x decodes to %+v, which encodes to %x, %v", data, s, again, err)
		}
	})
}
