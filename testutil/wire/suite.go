package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/cosmos/cosmos-sdk/codec"
	cdctypes "github.com/cosmos/cosmos-sdk/codec/types"
)

// Suite is what every module's messages are tried with.
type Suite struct {
	// Package is the proto package. Each of its messages is tried, those that will be added too.
	Package string
	// Seed makes the modules' inputs differ.
	Seed uint64
	// Valid are messages that the rules accept, by name without the package. Each call makes new ones. One of
	// them is GenesisState.
	Valid func() map[string]Message
	// Judge asks the rules about a message that was decoded, and fails the test when they refuse it with an
	// untyped error or accept what they must not. True when they accept it.
	Judge func(t testing.TB, m Message) bool
}

const (
	roundsPlain  = 2_000  // inputs for a message that has no rules
	roundsRules  = 20_000 // for one that has
	roundsFields = 4_000
	roundsJSON   = 4_000
)

// Bytes fills every message at random, then changes the encodings at random.
func (s Suite) Bytes(t *testing.T) {
	good := s.Valid()
	for i, name := range Messages(t, s.Package) {
		t.Run(name, func(t *testing.T) {
			seed := s.Seed*1_000 + uint64(i)
			r := rand.New(rand.NewPCG(seed, 0))
			var corpus [][]byte
			rounds := roundsPlain
			if m := good[s.short(name)]; m != nil {
				raw := Encode(t, m)
				corpus, rounds = append(corpus, raw, raw, raw), roundsRules
			}
			for range 8 {
				m := New(t, name)
				Fill(r, m)
				raw := Encode(t, m)
				if Check(t, name, raw) == nil {
					t.Fatalf("a whole message is refused: %x", raw)
				}
				corpus = append(corpus, raw)
			}
			read, accepted := 0, 0
			Rounds(t, seed, rounds, corpus, func(raw []byte) {
				if m := Check(t, name, raw); m != nil {
					read++
					if s.Judge(t, m) {
						accepted++
					}
				}
			})
			t.Logf("%d were read, %d accepted", read, accepted)
		})
	}
}

// Fields changes fields of valid messages, so that each rule meets what it is for. Some changes are accepted,
// never all.
func (s Suite) Fields(t *testing.T) {
	seed := s.Seed
	t.Logf("seed %d, %d rounds", seed, roundsFields)
	r := rand.New(rand.NewPCG(seed, roundsFields))
	good := s.Valid()
	for _, name := range Messages(t, s.Package) {
		m := good[s.short(name)]
		if m == nil {
			continue
		}
		raw, accepted := Encode(t, m), 0
		if m := Check(t, name, raw); m == nil || !s.Judge(t, m) {
			t.Errorf("%s: the valid one is refused", name)
		}
		for range roundsFields {
			m := New(t, name)
			if err := m.Unmarshal(raw); err != nil {
				t.Fatal(err)
			}
			Perturb(r, m)
			got := Check(t, name, Encode(t, m))
			if got == nil {
				t.Fatalf("a whole message is refused: %v", m)
			}
			if s.Judge(t, got) {
				accepted++
			}
		}
		t.Logf("%s: %d accepted", name, accepted)
		if accepted == 0 || accepted == roundsFields {
			t.Errorf("%s: %d of %d accepted: the rules do not tell them apart", name, accepted, roundsFields)
		}
	}
}

// GenesisJSON changes the text of a valid genesis at random.
func (s Suite) GenesisJSON(t *testing.T) {
	raw := s.genesis(t)
	if !s.checkJSON(t, raw) {
		t.Fatal("the valid genesis is refused")
	}
	Rounds(t, s.Seed, roundsJSON, [][]byte{raw}, func(raw []byte) { s.checkJSON(t, raw) })
}

// FuzzMessages is a fuzz target over every message; under go test alone it runs its seeds.
func (s Suite) FuzzMessages(f *testing.F) {
	names := Messages(f, s.Package)
	good := s.Valid()
	for i, name := range names {
		f.Add(uint(i), []byte{})
		f.Add(uint(i), []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f})
		if m := good[s.short(name)]; m != nil {
			raw := Encode(f, m)
			f.Add(uint(i), raw)
			f.Add(uint(i), raw[:len(raw)/2])
		}
	}
	f.Fuzz(func(t *testing.T, kind uint, raw []byte) {
		if m := Check(t, names[kind%uint(len(names))], raw); m != nil {
			s.Judge(t, m)
		}
	})
}

// FuzzGenesisJSON is a fuzz target over genesis files.
func (s Suite) FuzzGenesisJSON(f *testing.F) {
	f.Add(s.genesis(f))
	f.Add([]byte(`{"params":null}`))
	f.Add([]byte(`{"params":{"burn_ppm":"1e400"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) { s.checkJSON(t, raw) })
}

const genesisName = "GenesisState"

func (s Suite) short(name string) string { return name[len(s.Package)+1:] }

func jsonCodec() *codec.ProtoCodec { return codec.NewProtoCodec(cdctypes.NewInterfaceRegistry()) }

func (s Suite) genesis(t testing.TB) []byte {
	t.Helper()
	raw, err := jsonCodec().MarshalJSON(s.Valid()[genesisName])
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// checkJSON reads a genesis as the start of the chain does; one that is accepted says the same when it is written
// and read again.
func (s Suite) checkJSON(t testing.TB, raw []byte) bool {
	t.Helper()
	cdc, g, h := jsonCodec(), New(t, s.Package+"."+genesisName), New(t, s.Package+"."+genesisName)
	if cdc.UnmarshalJSON(raw, g) != nil || !s.Judge(t, g) {
		return false
	}
	again, err := cdc.MarshalJSON(g)
	if err == nil {
		err = cdc.UnmarshalJSON(again, h)
	}
	if err != nil || !bytes.Equal(Encode(t, g), Encode(t, h)) {
		t.Fatalf("a genesis does not survive its JSON (%v): %s", err, raw)
	}
	return true
}
