package jobspec

import (
	"fmt"
	"sort"
	"strings"
)

// reader collects every fault of a file while the fields are read one by one.
type reader struct {
	file string
	errs Errors
}

func (r *reader) fault(t *tree, field string, kind error, hint, format string, args ...any) {
	r.faultAt(t.line, t.col, field, kind, hint, format, args...)
}

func (r *reader) faultAt(line, col int, field string, kind error, hint, format string, args ...any) {
	r.errs = append(r.errs, &Error{
		File: r.file, Line: line, Col: col, Field: field, Kind: kind, Msg: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// fields maps a map's keys to its values. Unknown and repeated keys are faults.
type fields struct {
	r      *reader
	at     *tree
	prefix string
	values map[string]*tree
}

// fieldsOf reads t as a map with the given keys; ok is false when t is no map.
func (r *reader) fieldsOf(t *tree, prefix string, known ...string) (f fields, ok bool) {
	f = fields{r: r, at: t, prefix: prefix, values: map[string]*tree{}}
	if t.kind != kindMap {
		r.fault(t, prefix, ErrType, "give "+strings.Join(known, ", "), "must be a map, is %s", t.kind)
		return f, false
	}
	allowed := map[string]bool{}
	for _, k := range known {
		allowed[k] = true
	}
	seen := map[string]int{}
	for _, p := range t.pairs {
		name := join(prefix, printable(p.key))
		if first, dup := seen[p.key]; dup {
			r.faultAt(p.line, p.col, name, ErrDuplicateField, "", "given twice, first in line %d", first)
			continue
		}
		seen[p.key] = p.line
		if !allowed[p.key] {
			r.faultAt(p.line, p.col, name, ErrUnknownField, suggest(p.key, prefix, known), "unknown field")
			continue
		}
		f.values[p.key] = p.value
	}
	return f, true
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}

// printable keeps hostile keys from flooding or confusing a terminal.
func printable(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "..."
	}
	for _, c := range s {
		if c < ' ' || c > '~' {
			return fmt.Sprintf("%q", s)
		}
	}
	return s
}

func (f fields) name(key string) string { return join(f.prefix, key) }

// get returns a present, non-empty value; nil when absent. An explicitly empty
// value is a fault, because it is nearly always a mistake of indentation.
func (f fields) get(key string) *tree {
	t := f.values[key]
	if t != nil && t.kind == kindNull {
		f.r.fault(t, f.name(key), ErrMissingField, "remove the field or give it a value", "has no value")
		return nil
	}
	return t
}

// need is get for a required field.
func (f fields) need(key, hint string) *tree {
	if _, ok := f.values[key]; !ok {
		f.r.fault(f.at, f.name(key), ErrMissingField, hint, "is required")
		return nil
	}
	return f.get(key)
}

// scalar reads text or a number, as written.
func (r *reader) scalar(t *tree, field, hint string) (string, bool) {
	switch t.kind {
	case kindString, kindNumber, kindBool:
		return t.text, true
	default:
		r.fault(t, field, ErrType, hint, "must be a single value, is %s", t.kind)
		return "", false
	}
}

// text reads a string.
func (f fields) text(key string, t *tree, hint string) (string, bool) {
	if t == nil {
		return "", false
	}
	if t.kind != kindString {
		h := hint
		if t.kind == kindNumber || t.kind == kindBool {
			h = "put it in quotes"
		}
		f.r.fault(t, f.name(key), ErrType, h, "must be text, is %s", t.kind)
		return "", false
	}
	return t.text, true
}

// quantity reads a number with a unit.
func (f fields) quantity(key string, m measure, lo, hi, def int64) int64 {
	t := f.get(key)
	if t == nil {
		return def
	}
	if t.kind != kindString && t.kind != kindNumber {
		f.r.fault(t, f.name(key), ErrType, m.hint, "must be a quantity, is %s", t.kind)
		return def
	}
	v, p := m.parse(t.text)
	if p != nil {
		kind := ErrValue
		if p.unit {
			kind = ErrUnit
		}
		f.r.fault(t, f.name(key), kind, p.hint, "%s", p.text)
		return def
	}
	return f.within(key, t, v, lo, hi, def, m.unit)
}

// integer reads a plain decimal integer.
func (f fields) integer(key string, lo, hi, def int64) int64 {
	t := f.get(key)
	if t == nil {
		return def
	}
	if t.kind != kindNumber {
		f.r.fault(t, f.name(key), ErrType, "", "must be a whole number, is %s", t.kind)
		return def
	}
	v, ok := parseDecimal(t.text, 0)
	if !ok {
		f.r.fault(t, f.name(key), ErrValue, "", "%s is not a whole number from %d to %d", t.text, lo, hi)
		return def
	}
	return f.within(key, t, v, lo, hi, def, "")
}

func (f fields) within(key string, t *tree, v, lo, hi, def int64, unit string) int64 {
	if v < lo || v > hi {
		f.r.fault(t, f.name(key), ErrValue, strings.TrimSpace(fmt.Sprintf("allowed is %d to %d %s", lo, hi, unit)), "%s is out of range", printable(t.text))
		return def
	}
	return v
}

func (f fields) boolean(key string) bool {
	t := f.get(key)
	if t == nil {
		return false
	}
	if t.kind != kindBool {
		f.r.fault(t, f.name(key), ErrType, "write true or false", "must be true or false, is %s", t.kind)
		return false
	}
	return strings.EqualFold(t.text, "true")
}

// oneOf reads text that must be one of the given words.
func (f fields) oneOf(key string, t *tree, words ...string) string {
	s, ok := f.text(key, t, "")
	if !ok {
		return ""
	}
	for _, w := range words {
		if s == w {
			return s
		}
	}
	f.r.fault(t, f.name(key), ErrValue, "one of "+strings.Join(words, ", "), "%s is not known", printable(s))
	return ""
}

// vars reads a map of names to values, in the order of the file.
func (f fields) vars(key string, each func(name string, p pair)) {
	t := f.get(key)
	if t == nil {
		return
	}
	if t.kind != kindMap {
		f.r.fault(t, f.name(key), ErrType, "write NAME: value", "must be a map, is %s", t.kind)
		return
	}
	if len(t.pairs) > MaxEnv {
		f.r.fault(t, f.name(key), ErrTooLarge, "", "more than %d names", MaxEnv)
		return
	}
	seen := map[string]bool{}
	for _, p := range t.pairs {
		name := join(f.name(key), printable(p.key))
		switch {
		case seen[p.key]:
			f.r.faultAt(p.line, p.col, name, ErrDuplicateField, "", "given twice")
		case !validEnvName(p.key):
			f.r.faultAt(p.line, p.col, name, ErrValue, "letters, digits and _, not first a digit", "is not a name of a variable")
		case strings.HasPrefix(p.key, reservedEnvPrefix):
			f.r.faultAt(p.line, p.col, name, ErrValue, "choose another name", "names with %s are reserved", reservedEnvPrefix)
		default:
			each(name, p)
		}
		seen[p.key] = true
	}
}

// synonyms are words of neighbouring tools; each is a hint, never accepted.
var synonyms = map[string]string{
	"args": "command", "cmd": "command", "entrypoint": "command", "exec": "command",
	"count": "shards", "parallelism": "shards", "replicas": "shards",
	"environment": "env", "timeout": "time", "duration": "time", "run_seconds": "time",
	"volumes": "inputs", "mounts": "inputs", "data": "inputs",
	"mem": "memory", "ram": "memory", "cpus": "cpu", "cores": "cpu", "storage": "disk", "gpus": "gpu",
	"driver": "runtime", "engine": "runtime", "type": "runtime", "retries": "attempts",
	"region": "regions", "target": "mount", "source": "path", "placement": "place", "constraints": "place",
	"max": "limit", "budget": "price", "max_price": "price",
}

// homes tells where a field lives when it stands at the wrong level.
var homes = map[string]string{
	"cpu": "resources", "memory": "resources", "disk": "resources", "gpu": "resources",
	"regions": "place", "arch": "place", "limit": "price",
}

// suggest gives the hint for an unknown field.
func suggest(key, prefix string, known []string) string {
	has := func(w string) bool {
		for _, k := range known {
			if k == w {
				return true
			}
		}
		return false
	}
	lower := strings.ToLower(key)
	if has(lower) && lower != key {
		return "did you mean " + lower + "?"
	}
	if s, ok := synonyms[lower]; ok && has(s) {
		return "did you mean " + s + "?"
	}
	if h, ok := homes[lower]; ok && prefix == "" {
		return "it belongs under " + h
	}
	best, distance := "", 3
	for _, k := range known {
		if d := editDistance(lower, k, distance); d < distance && d < len(k)-1 {
			best, distance = k, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	sorted := append([]string(nil), known...)
	sort.Strings(sorted)
	return "known are " + strings.Join(sorted, ", ")
}

// editDistance is Levenshtein's, or limit when it is not less than that.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diag, row[j] = row[j], min(row[j]+1, row[j-1]+1, diag+cost)
		}
	}
	return min(row[len(b)], limit)
}
