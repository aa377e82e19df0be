package jobspec

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	cidA = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
	cidB = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
)

// uploaded gives a CID to everything a spec has by path.
func uploaded(s *Spec) (image string, inputs []string) {
	if s.Image.CID == "" {
		image = cidA
	}
	for _, in := range s.Inputs {
		id := ""
		if in.Source.CID == "" {
			id = cidB
		}
		inputs = append(inputs, id)
	}
	return image, inputs
}

// TestGolden reads one file per case and compares the whole outcome: the spec
// and the document's bytes, or every error a person would see.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			src, err := os.ReadFile(file)
			require.NoError(t, err)
			var out strings.Builder
			spec, err := Parse(filepath.Base(file), src)
			if err != nil {
				var errs Errors
				require.ErrorAs(t, err, &errs)
				for _, e := range errs {
					fmt.Fprintf(&out, "%v [%v]\n", e, e.Kind)
				}
			} else {
				b, err := json.MarshalIndent(spec, "", "  ")
				require.NoError(t, err)
				d, err := spec.Document(uploaded(spec))
				require.NoError(t, err)
				doc, err := d.Encode()
				require.NoError(t, err)
				fmt.Fprintf(&out, "%s\n%s\n", b, doc)
				last, err := d.ShardEnv(d.Shards - 1)
				require.NoError(t, err)
				fmt.Fprintf(&out, "last shard: %s\n", strings.Join(last, " "))
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(out.String()), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), out.String())
		})
	}
}

const minimal = "name: a\nruntime: wasm\nimage: ./a.wasm\ntime: 1s\nprice: {limit: 1 unex}\n"

func TestErrorKinds(t *testing.T) {
	cases := []struct {
		name, add string
		want      error
	}{
		{"anchor", "env: &a {X: y}\n", ErrSyntax},
		{"alias", "env: *a\n", ErrSyntax},
		{"merge", "env:\n  <<: {X: y}\n", ErrSyntax},
		{"tag", "env: {X: !!binary aGk=}\n", ErrSyntax},
		{"second document", "---\nname: b\n", ErrSyntax},
		{"zero byte", "env: {X: \"a\\0b\"}\n", ErrValue},
		{"deep flow", "env: " + strings.Repeat("[", 2000) + "\n", ErrTooLarge},
		{"deep block", "env:\n" + deepBlock(40), ErrTooLarge},
		{"deep dashes in a block", "command:\n  " + strings.Repeat("- ", 20000) + "a\n", ErrTooLarge},
		{"many values", "command: [" + strings.Repeat("a,", MaxNodes) + "a]\n", ErrTooLarge},
		{"large file", "# " + strings.Repeat("x", MaxFileBytes) + "\n", ErrTooLarge},
		{"not UTF-8", "env: {X: \"\xff\"}\n", ErrSyntax},
		{"unknown", "nodes: 3\n", ErrUnknownField},
		{"duplicate", "name: b\n", ErrDuplicateField},
		{"unit", "deadline: 30\n", ErrUnit},
		{"type", "shards: many\n", ErrType},
		{"range", "shards: 100001\n", ErrValue},
		{"matrix and shards", "shards: 2\nmatrix: {A: [1, 2]}\n", ErrConflict},
		{"matrix too large", "matrix: {A: [" + numbers(400) + "], B: [" + numbers(400) + "]}\n", ErrTooLarge},
		{"wasm network", "network: true\n", ErrConflict},
		{"reserved", "env: {NEXARA_SHARD: 1}\n", ErrValue},
		{"mount outside", "inputs: [{path: x, mount: /in/../etc}]\n", ErrValue},
		{"mounts overlap", "inputs: [{path: x, mount: /in/a}, {path: y, mount: /in/a/b}]\n", ErrConflict},
		{"no value", "env:\n", ErrMissingField},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("job.yaml", []byte(minimal+c.add))
			require.ErrorIs(t, err, c.want)
			var e *Error
			require.True(t, errors.As(err, &e))
			require.True(t, strings.HasPrefix(err.Error(), "job.yaml:"), err.Error())
		})
	}
	_, err := Parse("job.yaml", []byte(minimal))
	require.NoError(t, err)
}

func deepBlock(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%sa:\n", strings.Repeat(" ", i+1))
	}
	return b.String()
}

func numbers(n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(i)
	}
	return strings.Join(out, ",")
}

func TestErrorsAreCapped(t *testing.T) {
	src := minimal
	for i := range 100 {
		src += fmt.Sprintf("field%d: 1\n", i)
	}
	_, err := Parse("job.yaml", []byte(src))
	var errs Errors
	require.ErrorAs(t, err, &errs)
	require.Len(t, errs, maxErrors)
}

func TestQuantities(t *testing.T) {
	cases := []struct {
		parse func(string) (int64, *problem)
		in    string
		want  int64
		ok    bool
	}{
		{parseCPU, "500m", 500, true},
		{parseCPU, "2", 2000, true},
		{parseCPU, "0.5", 500, true},
		{parseCPU, "1.125", 1125, true},
		{parseCPU, "1.1255", 0, false},
		{parseCPU, "0.5m", 0, false},
		{parseCPU, "-1", 0, false},
		{parseCPU, ".5", 0, false},
		{parseCPU, "5.", 0, false},
		{parseCPU, "1e3", 0, false},
		{parseCPU, "99999999999999999999", 0, false},
		{parseSizeMiB, "256MiB", 256, true},
		{parseSizeMiB, "2 GiB", 2048, true},
		{parseSizeMiB, "1Ti", 1 << 20, true},
		{parseSizeMiB, "256MB", 0, false},
		{parseSizeMiB, "256", 0, false},
		{parseSizeMiB, "1.5GiB", 0, false},
		{parseSizeMiB, "9223372036854775807TiB", 0, false},
		{parseSeconds, "120s", 120, true},
		{parseSeconds, "1h30m", 5400, true},
		{parseSeconds, "1500ms", 0, false},
		{parseSeconds, "2d", 0, false},
		{parseUnex, "0.05 NEX", 50_000, true},
		{parseUnex, "3NEX", 3_000_000, true},
		{parseUnex, "17 unex", 17, true},
		{parseUnex, "0.0000001 NEX", 0, false},
		{parseUnex, "1.5 unex", 0, false},
		{parseUnex, "5 USD", 0, false},
		{parseUnex, "9223372036855 NEX", 0, false},
	}
	for _, c := range cases {
		got, p := c.parse(c.in)
		require.Equal(t, c.ok, p == nil, c.in)
		require.Equal(t, c.want, got, c.in)
	}
}

func TestShardEnvCoversTheMatrixOnce(t *testing.T) {
	spec, err := Parse("job.yaml", []byte(minimal+"matrix: {A: [1, 2, 3], B: [x, y]}\nenv: {SEED: 07}\n"))
	require.NoError(t, err)
	d, err := spec.Document(uploaded(spec))
	require.NoError(t, err)
	var got []string
	for i := range d.Shards {
		env, err := d.ShardEnv(i)
		require.NoError(t, err)
		require.Contains(t, env, "SEED=07")
		got = append(got, env[0]+env[1])
	}
	require.Equal(t, []string{"A=1B=x", "A=1B=y", "A=2B=x", "A=2B=y", "A=3B=x", "A=3B=y"}, got)
	for _, i := range []int64{-1, d.Shards} {
		_, err = d.ShardEnv(i)
		require.ErrorIs(t, err, ErrDocument)
	}
}

func TestDocumentNeedsExactlyOneCID(t *testing.T) {
	spec, err := Parse("job.yaml", []byte(strings.Replace(minimal, "./a.wasm", "ipfs://"+cidA, 1)+
		"inputs: [{path: x, mount: /in/x}]\n"))
	require.NoError(t, err)
	for _, c := range []struct {
		image  string
		inputs []string
		ok     bool
	}{
		{"", []string{cidB}, true},
		{cidA, []string{cidB}, false},
		{"", []string{""}, false},
		{"", nil, false},
		{"", []string{"not-a-cid"}, false},
	} {
		_, err := spec.Document(c.image, c.inputs)
		if c.ok {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, ErrDocument)
		}
	}
}

func TestDecodeDocumentIsStrict(t *testing.T) {
	spec, err := Parse("job.yaml", []byte(minimal))
	require.NoError(t, err)
	d, err := spec.Document(uploaded(spec))
	require.NoError(t, err)
	good, err := d.Encode()
	require.NoError(t, err)
	back, err := DecodeDocument(good)
	require.NoError(t, err)
	require.Equal(t, d, back)
	for name, bad := range map[string]string{
		"space":           strings.Replace(string(good), ",", ", ", 1),
		"trailing":        string(good) + "\n",
		"second value":    string(good) + string(good),
		"unknown field":   strings.Replace(string(good), `"name":`, `"x":1,"name":`, 1),
		"missing field":   strings.Replace(string(good), `,"arch":""`, "", 1),
		"null list":       strings.Replace(string(good), `"args":[]`, `"args":null`, 1),
		"other version":   strings.Replace(string(good), "job/v1", "job/v2", 1),
		"repeated field":  strings.Replace(string(good), `"arch":""`, `"arch":"","arch":""`, 1),
		"case of a field": strings.Replace(string(good), `"arch"`, `"Arch"`, 1),
		"zero shards":     strings.Replace(string(good), `"shards":1`, `"shards":0`, 1),
		"float":           strings.Replace(string(good), `"shards":1`, `"shards":1.0`, 1),
		"large":           strings.Repeat(" ", MaxDocumentBytes+1),
		"empty":           "",
	} {
		require.NotEqual(t, string(good), bad, name)
		_, err := DecodeDocument([]byte(bad))
		require.ErrorIs(t, err, ErrDocument, name)
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Add([]byte("a: |\n  b\n c: >-\n"))
	f.Add([]byte("{a: [}, ? b : *c"))
	f.Fuzz(func(t *testing.T, src []byte) {
		spec, err := Parse("job.yaml", src)
		if err != nil {
			var errs Errors
			if !errors.As(err, &errs) || len(errs) == 0 {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		d, err := spec.Document(uploaded(spec))
		if err != nil {
			t.Fatalf("a parsed file gives no valid document: %v", err)
		}
		b, err := d.Encode()
		if errors.Is(err, ErrTooLarge) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeDocument(b); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzDecodeDocument(f *testing.F) {
	spec, err := Parse("job.yaml", []byte(minimal+"matrix: {A: [1, 2]}\nenv: {B: c}\ninputs: [{path: x, mount: /in/x}]\n"))
	if err != nil {
		f.Fatal(err)
	}
	d, err := spec.Document(uploaded(spec))
	if err != nil {
		f.Fatal(err)
	}
	b, err := d.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeDocument(b)
		if err != nil {
			if !errors.Is(err, ErrDocument) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		again, err := d.Encode()
		if err != nil || string(again) != string(b) {
			t.Fatalf("accepted bytes do not come back: %v", err)
		}
		if _, err := d.ShardEnv(d.Shards - 1); err != nil {
			t.Fatal(err)
		}
	})
}

// The examples are what newcomers copy: each must be a valid job file.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/*/job.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		src, err := os.ReadFile(file)
		require.NoError(t, err)
		_, err = Parse(file, src)
		require.NoError(t, err)
	}
}
