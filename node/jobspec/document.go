package jobspec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// DocumentVersion tags the bytes of a Document. A reader refuses any other.
const DocumentVersion = "nexara/job/v1"

// MaxDocumentBytes bounds a Document: it stays one IPFS block, so the spec CID
// is the CID of the bytes themselves.
const MaxDocumentBytes = 256 << 10

// Mount is an input by CID.
type Mount struct {
	CID   string `json:"cid"`
	Mount string `json:"mount"`
}

// Document is what a NexCore needs to run any shard of a job. The matrix is kept
// as its axes, so that a job of 100,000 shards is as small as one of ten.
//
// Its encoding is canonical: JSON in the order of the fields below, no spaces,
// every field present. Equal documents have equal bytes, hence equal CIDs.
type Document struct {
	Version    string    `json:"version"`
	Name       string    `json:"name"`
	Runtime    Runtime   `json:"runtime"`
	Image      string    `json:"image"`
	Args       []string  `json:"args"`
	Env        []Var     `json:"env"`
	Shards     int64     `json:"shards"`
	Matrix     []Axis    `json:"matrix"`
	Inputs     []Mount   `json:"inputs"`
	Resources  Resources `json:"resources"`
	RunSeconds int64     `json:"run_seconds"`
	Network    bool      `json:"network"`
	Arch       string    `json:"arch"`
}

// Document fills the CIDs of what had to be uploaded. image and inputs[i] are
// used where the Spec has a path, and must be empty where it has a CID already.
func (s *Spec) Document(image string, inputs []string) (*Document, error) {
	if len(inputs) != len(s.Inputs) {
		return nil, fmt.Errorf("%w: %d inputs, %d CIDs", ErrDocument, len(s.Inputs), len(inputs))
	}
	pick := func(field string, src Source, uploaded string) (string, error) {
		if (src.CID == "") == (uploaded == "") {
			return "", fmt.Errorf("%w: %s needs exactly one CID", ErrDocument, field)
		}
		return src.CID + uploaded, nil
	}
	d := &Document{
		Version: DocumentVersion, Name: s.Name, Runtime: s.Runtime,
		Args: append([]string{}, s.Args...), Env: append([]Var{}, s.Env...),
		Shards: s.Shards, Matrix: append([]Axis{}, s.Matrix...), Inputs: []Mount{},
		Resources: s.Resources, RunSeconds: s.RunSeconds, Network: s.Network, Arch: s.Arch,
	}
	var err error
	if d.Image, err = pick("image", s.Image, image); err != nil {
		return nil, err
	}
	for i, in := range s.Inputs {
		id, err := pick(indexed("inputs", i), in.Source, inputs[i])
		if err != nil {
			return nil, err
		}
		d.Inputs = append(d.Inputs, Mount{CID: id, Mount: in.Mount})
	}
	return d, d.Validate()
}

// Encode gives the canonical bytes of a valid document.
func (d *Document) Encode() ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	c := *d
	// nil and empty lists mean the same, so they must be the same bytes.
	c.Args, c.Env, c.Matrix, c.Inputs = full(c.Args), full(c.Env), full(c.Matrix), full(c.Inputs)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(&c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(out) > MaxDocumentBytes {
		return nil, fmt.Errorf("%w: %w: %d bytes, at most %d", ErrDocument, ErrTooLarge, len(out), MaxDocumentBytes)
	}
	return out, nil
}

func full[T any](v []T) []T {
	if v == nil {
		return []T{}
	}
	return v
}

// DecodeDocument reads canonical bytes only: whatever it accepts, Encode gives
// back byte for byte. Any other input is ErrDocument.
func DecodeDocument(b []byte) (*Document, error) {
	if len(b) > MaxDocumentBytes {
		return nil, fmt.Errorf("%w: %w: %d bytes, at most %d", ErrDocument, ErrTooLarge, len(b), MaxDocumentBytes)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var d Document
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	again, err := d.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(b, again) {
		return nil, fmt.Errorf("%w: the bytes are not in canonical form", ErrDocument)
	}
	return &d, nil
}

// Validate checks the rules of Parse again, because a document arrives from strangers.
func (d *Document) Validate() error {
	for _, rule := range documentRules {
		if !rule.holds(d) {
			return fmt.Errorf("%w: rule %s", ErrDocument, rule.name)
		}
	}
	return nil
}

var documentRules = []struct {
	name  string
	holds func(*Document) bool
}{
	{"version", func(d *Document) bool { return d.Version == DocumentVersion }},
	{"name", func(d *Document) bool { return validName(d.Name) }},
	{"runtime", func(d *Document) bool { return d.Runtime == RuntimeContainer || d.Runtime == RuntimeWASM }},
	{"image", func(d *Document) bool { return validCID(d.Image) }},
	{"args", func(d *Document) bool {
		return len(d.Args) <= MaxArgs && all(d.Args, func(v string) bool { return validText(v, MaxArgBytes) })
	}},
	{"env", func(d *Document) bool {
		return len(d.Env) <= MaxEnv &&
			sort.SliceIsSorted(d.Env, func(i, j int) bool { return d.Env[i].Name < d.Env[j].Name }) &&
			all(d.Env, func(v Var) bool { return validVarName(v.Name) && validText(v.Value, MaxEnvValueBytes) })
	}},
	{"matrix", func(d *Document) bool {
		return len(d.Matrix) <= MaxEnv && all(d.Matrix, func(a Axis) bool {
			return validVarName(a.Name) && len(a.Values) > 0 && len(a.Values) <= MaxAxisValues &&
				distinct(a.Values, func(v string) string { return v }) &&
				all(a.Values, func(v string) bool { return validText(v, MaxEnvValueBytes) })
		})
	}},
	{"distinct_variables", func(d *Document) bool {
		names := make([]string, 0, len(d.Env)+len(d.Matrix))
		for _, v := range d.Env {
			names = append(names, v.Name)
		}
		for _, a := range d.Matrix {
			names = append(names, a.Name)
		}
		return distinct(names, func(v string) string { return v })
	}},
	{"shards", func(d *Document) bool {
		n, ok := product(d.Matrix)
		return d.Shards >= 1 && d.Shards <= MaxShards && ok && (len(d.Matrix) == 0 || n == d.Shards)
	}},
	{"inputs", func(d *Document) bool {
		if len(d.Inputs) > MaxInputs {
			return false
		}
		for i, in := range d.Inputs {
			if !validCID(in.CID) || !validMount(in.Mount) {
				return false
			}
			for _, other := range d.Inputs[:i] {
				if overlap(other.Mount, in.Mount) {
					return false
				}
			}
		}
		return true
	}},
	{"resources", func(d *Document) bool {
		r := d.Resources
		return within(r.CPUMilli, 1, MaxCPUMilli) && within(r.MemoryMiB, 1, MaxMemoryMiB) &&
			within(r.DiskMiB, 0, MaxDiskMiB) && within(r.GPUs, 0, MaxGPUs) &&
			(r.GPUModel == "" || validToken(r.GPUModel) && r.GPUs > 0)
	}},
	{"run_seconds", func(d *Document) bool { return within(d.RunSeconds, 1, MaxRunSeconds) }},
	{"arch", func(d *Document) bool {
		return d.Arch == "" || !all(Architectures(), func(a string) bool { return a != d.Arch })
	}},
	{"wasm_alone", func(d *Document) bool {
		return d.Runtime != RuntimeWASM || !d.Network && d.Resources.GPUs == 0
	}},
}

func within(v, lo, hi int64) bool { return v >= lo && v <= hi }

func all[T any](items []T, holds func(T) bool) bool {
	for _, v := range items {
		if !holds(v) {
			return false
		}
	}
	return true
}

func distinct[T any](items []T, key func(T) string) bool {
	seen := make(map[string]bool, len(items))
	for _, v := range items {
		if seen[key(v)] {
			return false
		}
		seen[key(v)] = true
	}
	return true
}

func validText(v string, most int) bool {
	return len(v) <= most && utf8.ValidString(v) && !strings.ContainsRune(v, 0)
}

func validVarName(v string) bool { return validEnvName(v) && !strings.HasPrefix(v, reservedEnvPrefix) }

// ShardEnv is the whole environment of shard i as NAME=value, sorted by name:
// env, the shard's point of the matrix, EnvShard and EnvShards. Shards count
// from 0; the last axis of the matrix changes fastest. An index outside the job
// is ErrDocument.
func (d *Document) ShardEnv(i int64) ([]string, error) {
	if i < 0 || i >= d.Shards {
		return nil, fmt.Errorf("%w: shard %d of %d", ErrDocument, i, d.Shards)
	}
	out := []string{
		EnvShard + "=" + strconv.FormatInt(i, 10),
		EnvShards + "=" + strconv.FormatInt(d.Shards, 10),
	}
	for _, v := range d.Env {
		out = append(out, v.Name+"="+v.Value)
	}
	rest := i
	for k := len(d.Matrix) - 1; k >= 0; k-- {
		a := d.Matrix[k]
		n := int64(len(a.Values))
		out = append(out, a.Name+"="+a.Values[rest%n])
		rest /= n
	}
	sort.Strings(out)
	return out, nil
}
