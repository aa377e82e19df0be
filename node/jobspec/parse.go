package jobspec

import (
	"path"
	"sort"
	"strings"

	"github.com/ipfs/go-cid"
)

// Parse reads a job file. file is the name used in errors only.
//
// The result is complete: defaults are filled, every bound of this package
// holds, Env and Regions are sorted. On failure the error is an Errors with
// every fault found, each naming its place and field; ask for the kind of
// fault with errors.Is and the sentinels of this package.
func Parse(file string, src []byte) (*Spec, error) {
	root, err := parseTree(file, src)
	if err != nil {
		return nil, err
	}
	r := &reader{file: file}
	spec := r.job(root)
	if len(r.errs) > 0 {
		return nil, r.errs.sortAndCap()
	}
	return spec, nil
}

func (r *reader) job(root *tree) *Spec {
	f, ok := r.fieldsOf(root, "", "name", "runtime", "image", "command", "env", "shards", "matrix", "inputs",
		"resources", "time", "network", "place", "price", "attempts", "deadline")
	if !ok {
		return nil
	}
	s := &Spec{}
	r.name(f, s)
	s.Runtime = Runtime(f.oneOf("runtime", f.need("runtime", "container or wasm"), string(RuntimeContainer), string(RuntimeWASM)))
	r.image(f, s)
	r.command(f, s)
	r.env(f, s)
	r.shards(f, s)
	r.inputs(f, s)
	r.resources(f, s)
	if f.need("time", "the seconds one shard may run, such as 120s") != nil {
		s.RunSeconds = f.quantity("time", measureTime(), 1, MaxRunSeconds, 0)
	}
	s.Network = f.boolean("network")
	r.place(f, s)
	r.price(f, s)
	s.Attempts = f.integer("attempts", 1, MaxAttempts, DefaultAttempts)
	s.DeadlineSeconds = f.quantity("deadline", measureTime(), 1, MaxDeadlineSeconds, DefaultDeadlineSeconds)
	if s.Runtime == RuntimeWASM {
		if s.Network {
			r.fault(f.values["network"], "network", ErrConflict, "use runtime: container", "a wasm module has no network")
		}
		if s.Resources.GPUs > 0 {
			r.fault(f.values["resources"], "resources.gpu", ErrConflict, "use runtime: container", "a wasm module has no GPU")
		}
	}
	return s
}

func (r *reader) name(f fields, s *Spec) {
	t := f.need("name", "a short name, such as digits-sweep")
	if v, ok := f.text("name", t, ""); ok {
		if !validName(v) {
			r.fault(t, "name", ErrValue, "", "must be 1 to %d lower-case letters, digits, '-', '_' or '.', and start and end with a letter or digit", MaxNameBytes)
			return
		}
		s.Name = v
	}
}

func (r *reader) image(f fields, s *Spec) {
	const hint = "the path of an OCI layout or a .wasm file, or ipfs:// and a CID"
	t := f.need("image", hint)
	v, ok := f.text("image", t, hint)
	if !ok {
		return
	}
	if id, isIPFS := strings.CutPrefix(v, "ipfs://"); isIPFS {
		s.Image.CID = r.cid(t, "image", id)
		return
	}
	if i := strings.Index(v, "://"); i >= 0 {
		r.fault(t, "image", ErrValue, hint, "%s images are not supported", printable(v[:i]))
		return
	}
	s.Image.Path = r.path(t, "image", v)
}

// cid accepts canonical text only, so that one thing has one name.
func (r *reader) cid(t *tree, field, v string) string {
	if !validCID(v) {
		r.fault(t, field, ErrValue, "a CIDv1 in lower-case base32, as printed by: ipfs add --cid-version=1", "%s is not a CID", printable(v))
		return ""
	}
	return v
}

func (r *reader) path(t *tree, field, v string) string {
	if v == "" || len(v) > MaxPathBytes || hasControl(v) {
		r.fault(t, field, ErrValue, "", "is not a usable path")
		return ""
	}
	return v
}

func (r *reader) command(f fields, s *Spec) {
	t := f.get("command")
	if t == nil {
		return
	}
	const hint = `write a list, such as ["python3", "/app/train.py"]`
	if t.kind != kindList {
		r.fault(t, "command", ErrType, hint, "must be a list, is %s", t.kind)
		return
	}
	if len(t.items) > MaxArgs {
		r.fault(t, "command", ErrTooLarge, "", "more than %d arguments", MaxArgs)
		return
	}
	for _, item := range t.items {
		v, ok := r.scalar(item, "command", hint)
		if ok && r.value(item, "command", v, MaxArgBytes) {
			s.Args = append(s.Args, v)
		}
	}
}

// value checks an argument or the value of a variable.
func (r *reader) value(t *tree, field, v string, most int) bool {
	switch {
	case len(v) > most:
		r.fault(t, field, ErrTooLarge, "put large values into inputs", "has %d bytes, at most %d are allowed", len(v), most)
	case strings.ContainsRune(v, 0):
		r.fault(t, field, ErrValue, "", "holds a zero byte")
	default:
		return true
	}
	return false
}

func (r *reader) env(f fields, s *Spec) {
	f.vars("env", func(name string, p pair) {
		v, ok := r.scalar(p.value, name, `write "" for an empty value`)
		if ok && r.value(p.value, name, v, MaxEnvValueBytes) {
			s.Env = append(s.Env, Var{Name: p.key, Value: v})
		}
	})
	sort.Slice(s.Env, func(i, j int) bool { return s.Env[i].Name < s.Env[j].Name })
}

func (r *reader) shards(f fields, s *Spec) {
	s.Shards = f.integer("shards", 1, MaxShards, DefaultShards)
	f.vars("matrix", func(name string, p pair) {
		t := p.value
		if t.kind != kindList {
			r.fault(t, name, ErrType, "write [1, 2, 3]", "must be a list of values, is %s", t.kind)
			return
		}
		if len(t.items) == 0 {
			r.fault(t, name, ErrMissingField, "write [1, 2, 3]", "has no values")
			return
		}
		if len(t.items) > MaxAxisValues {
			r.fault(t, name, ErrTooLarge, "", "more than %d values", MaxAxisValues)
			return
		}
		axis := Axis{Name: p.key}
		seen := map[string]bool{}
		for _, item := range t.items {
			v, ok := r.scalar(item, name, "write single values")
			switch {
			case !ok || !r.value(item, name, v, MaxEnvValueBytes):
			case seen[v]:
				r.fault(item, name, ErrDuplicateField, "", "%s is given twice: two shards would be the same", printable(v))
			default:
				seen[v] = true
				axis.Values = append(axis.Values, v)
			}
		}
		s.Matrix = append(s.Matrix, axis)
	})
	t := f.values["matrix"]
	if t == nil || t.kind != kindMap {
		return
	}
	if other := f.values["shards"]; other != nil {
		r.fault(other, "shards", ErrConflict, "remove shards: the matrix gives their number", "cannot be combined with matrix")
		return
	}
	for _, v := range s.Env {
		for _, a := range s.Matrix {
			if a.Name == v.Name {
				r.fault(t, "matrix."+a.Name, ErrConflict, "remove it from env", "is also in env")
			}
		}
	}
	n, ok := product(s.Matrix)
	if !ok {
		r.fault(t, "matrix", ErrTooLarge, "", "gives more than %d shards", MaxShards)
		return
	}
	s.Shards = n
}

// product is the number of combinations; ok is false above MaxShards.
func product(axes []Axis) (n int64, ok bool) {
	n = 1
	for _, a := range axes {
		n *= int64(len(a.Values))
		if n > MaxShards {
			return 0, false
		}
	}
	return n, true
}

func (r *reader) inputs(f fields, s *Spec) {
	t := f.get("inputs")
	if t == nil {
		return
	}
	if t.kind != kindList {
		r.fault(t, "inputs", ErrType, "write - {path: ./data, mount: /in/data}", "must be a list, is %s", t.kind)
		return
	}
	if len(t.items) > MaxInputs {
		r.fault(t, "inputs", ErrTooLarge, "", "more than %d inputs", MaxInputs)
		return
	}
	for i, item := range t.items {
		prefix := indexed("inputs", i)
		g, ok := r.fieldsOf(item, prefix, "path", "cid", "mount")
		if !ok {
			continue
		}
		in := Input{}
		tp, tc := g.get("path"), g.get("cid")
		switch {
		case tp != nil && tc != nil:
			r.fault(tc, prefix+".cid", ErrConflict, "keep one of them", "cannot be combined with path")
		case tp != nil:
			if v, ok := g.text("path", tp, ""); ok {
				in.Source.Path = r.path(tp, prefix+".path", v)
			}
		case tc != nil:
			if v, ok := g.text("cid", tc, ""); ok {
				in.Source.CID = r.cid(tc, prefix+".cid", strings.TrimPrefix(v, "ipfs://"))
			}
		case g.values["path"] == nil && g.values["cid"] == nil:
			r.fault(item, prefix, ErrMissingField, "", "needs path or cid")
		}
		tm := g.need("mount", "where the shard finds it, such as /in/data")
		if v, ok := g.text("mount", tm, ""); ok {
			if validMount(v) {
				in.Mount = v
			} else {
				r.fault(tm, prefix+".mount", ErrValue, "such as /in/data", "must be a clean path under %s", InputRoot)
			}
		}
		for _, other := range s.Inputs {
			if in.Mount != "" && other.Mount != "" && overlap(other.Mount, in.Mount) {
				r.fault(tm, prefix+".mount", ErrConflict, "", "lies in the same place as %s", other.Mount)
				break
			}
		}
		s.Inputs = append(s.Inputs, in)
	}
}

func (r *reader) resources(f fields, s *Spec) {
	s.Resources = Resources{CPUMilli: DefaultCPUMilli, MemoryMiB: DefaultMemoryMiB, DiskMiB: DefaultDiskMiB}
	t := f.get("resources")
	if t == nil {
		return
	}
	g, ok := r.fieldsOf(t, "resources", "cpu", "memory", "disk", "gpu")
	if !ok {
		return
	}
	s.Resources.CPUMilli = g.quantity("cpu", measureCPU(), 1, MaxCPUMilli, DefaultCPUMilli)
	s.Resources.MemoryMiB = g.quantity("memory", measureSize(), 1, MaxMemoryMiB, DefaultMemoryMiB)
	s.Resources.DiskMiB = g.quantity("disk", measureSize(), 0, MaxDiskMiB, DefaultDiskMiB)
	tg := g.get("gpu")
	if tg == nil {
		return
	}
	h, ok := r.fieldsOf(tg, "resources.gpu", "count", "model")
	if !ok {
		return
	}
	s.Resources.GPUs = h.integer("count", 1, MaxGPUs, 1)
	if v, ok := h.text("model", h.get("model"), ""); ok {
		if !validToken(v) {
			r.fault(h.values["model"], "resources.gpu.model", ErrValue, "lower-case letters, digits and '-', such as a100", "%s is not a GPU model", printable(v))
			return
		}
		s.Resources.GPUModel = v
	}
}

// Architectures are the Go names of the architectures a job can be placed on.
func Architectures() []string { return []string{"amd64", "arm", "arm64", "riscv64"} }

func (r *reader) place(f fields, s *Spec) {
	t := f.get("place")
	if t == nil {
		return
	}
	g, ok := r.fieldsOf(t, "place", "regions", "arch", "min_score_ppm")
	if !ok {
		return
	}
	if ta := g.get("arch"); ta != nil {
		s.Arch = g.oneOf("arch", ta, Architectures()...)
	}
	s.MinScorePPM = g.integer("min_score_ppm", 0, MaxScorePPM, 0)
	tr := g.get("regions")
	if tr == nil {
		return
	}
	if tr.kind != kindList {
		r.fault(tr, "place.regions", ErrType, "write [eu-west]", "must be a list, is %s", tr.kind)
		return
	}
	if len(tr.items) > MaxRegions {
		r.fault(tr, "place.regions", ErrTooLarge, "", "more than %d regions", MaxRegions)
		return
	}
	seen := map[string]bool{}
	for _, item := range tr.items {
		switch {
		case item.kind != kindString || !validToken(item.text):
			r.fault(item, "place.regions", ErrValue, "such as eu-west", "%s is not a region", printable(item.text))
		case seen[item.text]:
			r.fault(item, "place.regions", ErrDuplicateField, "", "%s is given twice", item.text)
		default:
			seen[item.text] = true
			s.Regions = append(s.Regions, item.text)
		}
	}
	sort.Strings(s.Regions)
}

func (r *reader) price(f fields, s *Spec) {
	const hint = "price: {limit: 0.05 NEX}, the most one shard may cost, all in"
	t := f.need("price", hint)
	if t == nil {
		return
	}
	g, ok := r.fieldsOf(t, "price", "limit")
	if !ok {
		return
	}
	if g.need("limit", hint) != nil {
		s.LimitUnex = g.quantity("limit", measureMoney(), 1, MaxLimitUnex, 0)
	}
}

func validCID(v string) bool {
	if len(v) > 128 {
		return false
	}
	c, err := cid.Decode(v)
	return err == nil && c.Version() == 1 && c.String() == v
}

// validMount allows InputRoot itself and clean paths below it.
func validMount(v string) bool {
	return len(v) <= MaxPathBytes && path.Clean(v) == v && !hasControl(v) &&
		(v == InputRoot || strings.HasPrefix(v, InputRoot+"/"))
}

func overlap(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}
