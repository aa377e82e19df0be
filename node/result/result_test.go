package result

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/nexara/nexara/x/tasks/verdict"
)

var update = flag.Bool("update", false, "rewrite the vectors")

const (
	vectors = "../../docs/spec/vectors/manifest.json"
	cidA    = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
	cidB    = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
)

func sample() *Manifest {
	return &Manifest{
		Version: ManifestVersion, ChainID: "nexara-1", Job: 7, Shard: 3, Attempt: 1, Lease: 9, NexCore: 2,
		Spec: cidA, ImageDigest: "sha256:" + strings.Repeat("0f", 32), Inputs: []string{cidB, cidA},
		Reason: "exited", ExitCode: 0, Outputs: cidB, Log: cidA,
		Usage:         Usage{CPUNanos: 1_500_000_000, MemoryByteSeconds: 1 << 62, WallMillis: 1600, BytesIn: 57_523, BytesOut: 4096},
		StartedMillis: 1_790_000_000_000, FinishedMillis: 1_790_000_001_600,
	}
}

// vector is one case of docs/spec/vectors/manifest.json.
type vector struct {
	Name     string    `json:"name"`
	Manifest *Manifest `json:"manifest"`
	Encoded  string    `json:"encoded"`
	CID      string    `json:"cid"`
}

func TestManifestVectors(t *testing.T) {
	if *update {
		killed := sample()
		killed.Reason, killed.ExitCode, killed.Inputs, killed.Shard = "out_of_memory", 137, nil, 0
		killed.Usage = Usage{}
		cases := []vector{{Name: "exited", Manifest: sample()}, {Name: "killed, no inputs", Manifest: killed}}
		for i := range cases {
			b, id, err := cases[i].Manifest.Encode()
			require.NoError(t, err)
			cases[i].Encoded, cases[i].CID = string(b), id
		}
		b, err := json.MarshalIndent(cases, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(vectors, append(b, '\n'), 0o644))
	}
	raw, err := os.ReadFile(vectors)
	require.NoError(t, err)
	var cases []vector
	require.NoError(t, json.Unmarshal(raw, &cases))
	require.NotEmpty(t, cases)
	for _, v := range cases {
		b, id, err := v.Manifest.Encode()
		require.NoError(t, err, v.Name)
		require.Equal(t, v.Encoded, string(b), v.Name)
		require.Equal(t, v.CID, id, v.Name)
		back, err := DecodeManifest([]byte(v.Encoded))
		require.NoError(t, err, v.Name)
		again, _, err := back.Encode()
		require.NoError(t, err, v.Name)
		require.Equal(t, v.Encoded, string(again), v.Name)
	}
}

// The CID of "hello world\n" as a raw block, as kubo prints it for
// ipfs add --cid-version=1.
func TestCIDEqualsIPFS(t *testing.T) {
	id, err := CID([]byte("hello world\n"))
	require.NoError(t, err)
	require.Equal(t, "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4", id)
}

func TestManifestRules(t *testing.T) {
	for name, bend := range map[string]func(*Manifest){
		"version":       func(m *Manifest) { m.Version = "nexara/manifest/v2" },
		"chain":         func(m *Manifest) { m.ChainID = "" },
		"chain space":   func(m *Manifest) { m.ChainID = "a b" },
		"job":           func(m *Manifest) { m.Job = 0 },
		"lease":         func(m *Manifest) { m.Lease = 0 },
		"nexcore":       func(m *Manifest) { m.NexCore = 0 },
		"shard":         func(m *Manifest) { m.Shard = -1 },
		"attempt":       func(m *Manifest) { m.Attempt = 0 },
		"spec":          func(m *Manifest) { m.Spec = "Qm" },
		"digest":        func(m *Manifest) { m.ImageDigest = "sha256:" + strings.Repeat("0F", 32) },
		"input":         func(m *Manifest) { m.Inputs[0] = strings.ToUpper(cidA) },
		"inputs":        func(m *Manifest) { m.Inputs = make([]string, MaxInputs+1) },
		"reason":        func(m *Manifest) { m.Reason = "it crashed" },
		"outputs":       func(m *Manifest) { m.Outputs = "" },
		"log":           func(m *Manifest) { m.Log = "" },
		"usage":         func(m *Manifest) { m.Usage.BytesIn = -1 },
		"ends too soon": func(m *Manifest) { m.FinishedMillis = m.StartedMillis - 1 },
	} {
		m := sample()
		bend(m)
		_, _, err := m.Encode()
		require.ErrorIs(t, err, ErrManifest, name)
	}
}

func TestDecodeIsStrict(t *testing.T) {
	b, _, err := sample().Encode()
	require.NoError(t, err)
	good := string(b)
	for name, bad := range map[string]string{
		"space":         strings.Replace(good, ":", ": ", 1),
		"trailing":      good + " ",
		"unknown field": strings.Replace(good, `"spec"`, `"x":0,"spec"`, 1),
		"missing field": strings.Replace(good, `"exit_code":0,`, "", 1),
		"number":        strings.Replace(good, `"job":"7"`, `"job":7`, 1),
		"leading zero":  strings.Replace(good, `"job":"7"`, `"job":"07"`, 1),
		"plus":          strings.Replace(good, `"shard":"3"`, `"shard":"+3"`, 1),
		"overflow":      strings.Replace(good, `"job":"7"`, `"job":"18446744073709551616"`, 1),
		"null":          strings.Replace(good, `["`+cidB+`","`+cidA+`"]`, "null", 1),
		"empty":         "",
		"large":         good + strings.Repeat(" ", MaxManifestBytes),
	} {
		require.NotEqual(t, good, bad, name)
		_, err := DecodeManifest([]byte(bad))
		require.ErrorIs(t, err, ErrManifest, name)
	}
}

func sampleIndex(manifests ...string) *Index {
	return &Index{Version: IndexVersion, ChainID: "nexara-1", Job: 7, Lease: 9, NexCore: 2, First: 3, Attempt: 1, Manifests: manifests}
}

func TestIndexCoversALease(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		delivered := rapid.SliceOfN(rapid.Bool(), 1, verdict.MaxLeaseShards).Draw(t, "delivered")
		x := sampleIndex()
		manifests := make([]*Manifest, len(delivered))
		count := 0
		for i, d := range delivered {
			x.Manifests = append(x.Manifests, "")
			if !d {
				continue
			}
			m := sample()
			m.Shard = x.First + int64(i)
			_, id, err := m.Encode()
			require.NoError(t, err)
			x.Manifests[i], manifests[i] = id, m
			count++
		}
		b, err := x.Encode()
		if count == 0 {
			require.ErrorIs(t, err, ErrIndex)
			return
		}
		require.NoError(t, err)
		back, err := DecodeIndex(b)
		require.NoError(t, err)
		require.Equal(t, x, back)
		root, err := x.Root()
		require.NoError(t, err)
		o, err := x.Outcomes()
		require.NoError(t, err)
		require.NoError(t, o.Check(len(delivered)))
		require.Equal(t, count, o.Count())
		for i, m := range manifests {
			require.Equal(t, delivered[i], o.Delivered(i))
			if m == nil {
				continue
			}
			require.NoError(t, x.Check(i, m))
			proof, err := x.Proof(i)
			require.NoError(t, err)
			require.NoError(t, verdict.VerifyInclusion(root, []byte(x.Manifests[i]), i, len(delivered), proof))
			other := *m
			other.ExitCode++
			require.ErrorIs(t, x.Check(i, &other), ErrMismatch)
		}
	})
}

func TestIndexRules(t *testing.T) {
	for name, x := range map[string]*Index{
		"no shard":      sampleIndex(),
		"none":          sampleIndex("", ""),
		"not a CID":     sampleIndex("x"),
		"too many":      sampleIndex(append(make([]string, verdict.MaxLeaseShards), cidA)...),
		"no lease":      {Version: IndexVersion, ChainID: "c", Job: 1, NexCore: 1, Attempt: 1, Manifests: []string{cidA}},
		"first is huge": {Version: IndexVersion, ChainID: "c", Job: 1, Lease: 1, NexCore: 1, Attempt: 1, First: 1<<63 - 1, Manifests: []string{cidA}},
	} {
		_, err := x.Encode()
		require.ErrorIs(t, err, ErrIndex, name)
	}
	require.ErrorIs(t, sampleIndex(cidA).Check(1, sample()), ErrMismatch)
}

func TestCustodyBindsTheIndex(t *testing.T) {
	x := sampleIndex(cidA, "")
	c, err := x.Custody(cidB, 1234)
	require.NoError(t, err)
	root, err := x.Root()
	require.NoError(t, err)
	require.Equal(t, verdict.Custody{ChainID: "nexara-1", LeaseID: 9, ResultCID: cidB, Root: root, Bytes: 1234, Outcomes: verdict.Outcomes{1}}, c)
	d, err := c.Digest()
	require.NoError(t, err)
	x.Manifests[1] = cidB
	other, err := x.Custody(cidB, 1234)
	require.NoError(t, err)
	od, err := other.Digest()
	require.NoError(t, err)
	require.NotEqual(t, hex.EncodeToString(d[:]), hex.EncodeToString(od[:]))
	_, err = x.Custody("x", 1)
	require.ErrorIs(t, err, ErrIndex)
	_, err = x.Custody(cidB, 0)
	require.ErrorIs(t, err, verdict.ErrCustody)
}

func FuzzDecodeManifest(f *testing.F) {
	b, _, err := sample().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeManifest(b)
		if err != nil {
			if !errors.Is(err, ErrManifest) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		again, _, err := m.Encode()
		if err != nil || string(again) != string(b) {
			t.Fatalf("accepted bytes do not come back: %v", err)
		}
	})
}

func FuzzDecodeIndex(f *testing.F) {
	b, err := sampleIndex(cidA, "", cidB).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := DecodeIndex(b)
		if err != nil {
			if !errors.Is(err, ErrIndex) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		again, err := x.Encode()
		if err != nil || string(again) != string(b) {
			t.Fatalf("accepted bytes do not come back: %v", err)
		}
		if _, err := x.Root(); err != nil {
			t.Fatal(err)
		}
	})
}
