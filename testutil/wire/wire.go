// Package wire tries the decoders of generated messages with arbitrary bytes. It fills messages, changes their
// encodings at random, and says what every decoder owes: no panic, no growth, one encoding for what was read, and
// the same reading by the chain and by the light bindings. It is for tests only and knows no message by itself: a
// module hands over its valid messages and its rules as a Suite.
//
// Instrumented fuzzing of packages that import the SDK takes too long to build for every run; Rounds tries
// thousands of inputs in a plain test instead, from a seed that it prints.
package wire

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"sort"
	"testing"

	"github.com/cosmos/gogoproto/proto"
	lightproto "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Message is a generated message of the chain.
type Message interface {
	proto.Message
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
	Size() int
}

// Messages lists the full names of the messages of a proto package, sorted. What is added to the package later
// is in the list by itself.
func Messages(t testing.TB, pkg string) []string {
	t.Helper()
	var names []string
	files, err := proto.MergedRegistry()
	if err != nil {
		t.Fatal(err)
	}
	files.RangeFilesByPackage(protoreflect.FullName(pkg), func(f protoreflect.FileDescriptor) bool {
		for i := range f.Messages().Len() {
			names = append(names, string(f.Messages().Get(i).FullName()))
		}
		return true
	})
	if len(names) == 0 {
		t.Fatalf("no messages in %s", pkg)
	}
	sort.Strings(names)
	return names
}

// New returns an empty message.
func New(t testing.TB, name string) Message {
	t.Helper()
	typ := proto.MessageType(name)
	if typ == nil {
		t.Fatalf("no Go type for %s", name)
	}
	m, ok := reflect.New(typ.Elem()).Interface().(Message)
	if !ok {
		t.Fatalf("%s has no fast encoding", name)
	}
	return m
}

// Encode encodes a message.
func Encode(t testing.TB, m Message) []byte {
	t.Helper()
	raw, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// growth bounds an encoding by the bytes it was read from: parts that are never absent are written even when empty.
const growth = 16

// Check decodes raw into a new message and fails when the decoder breaks its promises. It returns nil for bytes
// that are refused.
func Check(t testing.TB, name string, raw []byte) Message {
	t.Helper()
	m := New(t, name)
	if m.Unmarshal(raw) != nil {
		return nil
	}
	first, err := m.Marshal()
	if err != nil {
		t.Fatalf("%s: what was read cannot be written: %v", name, err)
	}
	if len(first) != m.Size() || len(first) > growth*(len(raw)+growth) {
		t.Fatalf("%s: %d bytes were read, %d written, size %d", name, len(raw), len(first), m.Size())
	}
	again := New(t, name)
	if err := again.Unmarshal(first); err != nil {
		t.Fatalf("%s: what was written cannot be read: %v", name, err)
	}
	second, err := again.Marshal()
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("%s: two encodings of one message (%v)\n%x\n%x", name, err, first, second)
	}
	_ = m.String()
	checkTwin(t, name, first)
	return m
}

// checkTwin reads an encoding with the light bindings, when the test links them: both halves must see the same.
// Text that is not UTF-8 they refuse; transactions with such text are refused by the chain too.
func checkTwin(t testing.TB, name string, raw []byte) {
	t.Helper()
	typ, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
	if err != nil {
		return
	}
	twin := typ.New().Interface()
	if lightproto.Unmarshal(raw, twin) != nil {
		return
	}
	again, err := lightproto.MarshalOptions{Deterministic: true}.Marshal(twin)
	if err != nil || !bytes.Equal(raw, again) {
		t.Fatalf("%s: the light bindings read another message (%v)\n%x\n%x", name, err, raw, again)
	}
}

// Fill sets the fields of a message at random: numbers at and near their ends, short text, lists of up to three.
func Fill(r *rand.Rand, m Message) { fill(r, reflect.ValueOf(m).Elem(), 4) }

func fill(r *rand.Rand, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && r.IntN(4) > 0 {
				fill(r, f, depth)
			}
		}
	case reflect.Pointer:
		if depth > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem(), depth-1)
		}
	case reflect.Slice:
		n := r.IntN(4)
		if v.Type().Elem().Kind() == reflect.Uint8 {
			n = []int{0, 1, 20, 32, 33, 64}[r.IntN(6)]
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(r, v.Index(i), depth-1)
		}
	case reflect.String:
		words := []string{"", "a", "wasm", "amd64", "eu-west", "bafkreigh2akiscaildc", "nexa1qqq", "nexcore/7", "Ä€", "-1", "a\x00b"}
		v.SetString(words[r.IntN(len(words))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(number(r)))
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(number(r))
	default: // what generated messages do not have
	}
}

// Perturb changes one to three fields of a message, wherever they lie; the others stay as they are, so that rules
// which come late are reached too.
func Perturb(r *rand.Rand, m Message) {
	leaves := collect(reflect.ValueOf(m).Elem(), nil)
	for range min(len(leaves), 1+r.IntN(3)) {
		fill(r, leaves[r.IntN(len(leaves))], 2)
	}
}

// collect lists fields and, of lists, the elements and the list itself.
func collect(v reflect.Value, out []reflect.Value) []reflect.Value {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				out = collect(f, out)
			}
		}
		return out
	case reflect.Pointer:
		if !v.IsNil() {
			return collect(v.Elem(), out)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				out = collect(v.Index(i), out)
			}
		}
	default:
	}
	return append(out, v)
}

func number(r *rand.Rand) uint64 {
	switch r.IntN(4) {
	case 0:
		return r.Uint64N(4)
	case 1:
		return r.Uint64() >> r.IntN(64)
	case 2:
		return 1<<r.IntN(64) - r.Uint64N(2)
	default:
		return r.Uint64N(1_000)
	}
}

// Mutate returns one of the encodings with one to four changes: a bit, a byte, a run removed, repeated or taken
// from another encoding, a length or number made huge, the end cut off.
func Mutate(r *rand.Rand, corpus [][]byte) []byte {
	out := bytes.Clone(corpus[r.IntN(len(corpus))])
	for range 1 + r.IntN(4) {
		at := r.IntN(len(out) + 1)
		to := min(len(out), at+1+r.IntN(16))
		switch r.IntN(8) {
		case 0:
			if at < len(out) {
				out[at] ^= 1 << r.IntN(8)
			}
		case 1:
			if at < len(out) {
				out[at] = []byte{0, 1, 0x7f, 0x80, 0xff, byte(r.Uint32())}[r.IntN(6)]
			}
		case 2:
			out = splice(out, at, to, nil)
		case 3:
			out = splice(out, at, at, out[at:to])
		case 4:
			other := corpus[r.IntN(len(corpus))]
			from := r.IntN(len(other) + 1)
			out = splice(out, at, at, other[from:min(len(other), from+1+r.IntN(32))])
		case 5:
			out = splice(out, at, min(len(out), at+1), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x01}[r.IntN(9):])
		case 6:
			out = splice(out, at, at, []byte{byte(r.Uint32()), byte(r.Uint32())})
		default:
			out = out[:at]
		}
	}
	return out
}

func splice(b []byte, from, to int, with []byte) []byte {
	out := make([]byte, 0, len(b)+len(with))
	return append(append(append(out, b[:from]...), with...), b[to:]...)
}

// Rounds calls check with as many mutated encodings. The inputs follow from the seed, which is printed, as is
// the input that panics or fails.
func Rounds(t *testing.T, seed uint64, rounds int, corpus [][]byte, check func(raw []byte)) {
	t.Helper()
	t.Logf("seed %d, %d rounds", seed, rounds)
	r := rand.New(rand.NewPCG(seed, uint64(rounds)))
	var raw []byte
	done := false
	defer func() {
		if !done || t.Failed() {
			t.Errorf("with the bytes %x", raw)
		}
	}()
	for range rounds {
		raw = Mutate(r, corpus)
		check(raw)
	}
	done = true
}

// Typed fails when err is none of the sentinels, or so long that a hostile message would fill logs with it.
func Typed(t testing.TB, err error, sentinels ...error) {
	t.Helper()
	if len(err.Error()) > 4_096 {
		t.Fatalf("an error of %d bytes: %.100s", len(err.Error()), err)
	}
	for _, s := range sentinels {
		if errors.Is(err, s) {
			return
		}
	}
	t.Fatalf("no typed error: %v", err)
}
