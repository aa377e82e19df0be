package lab

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/nexara/nexara/x/tasks/auction"
)

// Errors of trace files. LineError wraps all but ErrOpen and ErrTooLarge.
var (
	ErrOpen     = errors.New("trace file cannot be read")
	ErrTooLarge = errors.New("trace file is larger than allowed")
	ErrHeader   = errors.New("trace file lacks a column")
	ErrLine     = errors.New("malformed line")
	ErrValue    = errors.New("value out of range")
	ErrEmpty    = errors.New("trace file has no rows")
)

// Bounds of trace files.
const (
	maxTraceBytes = 64 << 20 // unpacked
	maxTraceRows  = 1 << 20
	maxTraceGPUs  = 1 << 10 // of one machine or task
	wholeGPU      = 1_000   // gpu_milli of one GPU
)

// LineError says where a trace file is wrong.
type LineError struct {
	File  string
	Line  int    // 1 is the header
	Field string // column, may be empty
	Err   error  // wraps a sentinel of this package
}

// Error implements error.
func (e *LineError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
	}
	return fmt.Sprintf("%s:%d: %s: %v", e.File, e.Line, e.Field, e.Err)
}

// Unwrap gives the cause.
func (e *LineError) Unwrap() error { return e.Err }

// Node is one machine of the trace.
type Node struct {
	Name     string
	Capacity auction.Resources // no disk: the trace knows none
	Model    string            // of its GPUs; empty without any
}

// Pod is one task of the trace, in whole GPUs.
type Pod struct {
	Name       string
	Need       auction.Resources
	Models     []string // accepted GPU models, strictly ascending; empty: any
	RunSeconds int64    // 0 when the trace saw no run
}

// ReadNodes reads a gzipped list of machines: sn, cpu_milli, memory_mib, gpu, model.
func ReadNodes(path string) ([]Node, error) {
	var nodes []Node
	err := readTrace(path, []string{"sn", "cpu_milli", "memory_mib", "gpu", "model"}, func(r *row) error {
		n := Node{Name: r.word("sn"), Model: r.word("model")}
		n.Capacity[auction.CPUMilli] = r.number("cpu_milli", auction.MaxCapacity)
		n.Capacity[auction.MemoryMiB] = r.number("memory_mib", auction.MaxCapacity)
		n.Capacity[auction.GPUs] = r.number("gpu", maxTraceGPUs)
		if r.err == nil && (n.Model == "") != (n.Capacity[auction.GPUs] == 0) {
			r.fail("model", fmt.Errorf("%w: %d GPUs of model %q", ErrValue, n.Capacity[auction.GPUs], n.Model))
		}
		nodes = append(nodes, n)
		return r.err
	})
	return nodes, err
}

// ReadPods reads a gzipped list of tasks: name, cpu_milli, memory_mib, num_gpu, gpu_milli, gpu_spec,
// deletion_time, scheduled_time. A share of a GPU becomes a whole one; the accepted models of a task without GPUs
// mean nothing and are dropped.
func ReadPods(path string) ([]Pod, error) {
	columns := []string{"name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec", "deletion_time", "scheduled_time"}
	var pods []Pod
	err := readTrace(path, columns, func(r *row) error {
		p := Pod{Name: r.word("name")}
		p.Need[auction.CPUMilli] = r.number("cpu_milli", auction.MaxCapacity)
		p.Need[auction.MemoryMiB] = r.number("memory_mib", auction.MaxCapacity)
		p.Need[auction.GPUs] = r.number("num_gpu", maxTraceGPUs)
		if share := r.number("gpu_milli", wholeGPU); share > 0 && p.Need[auction.GPUs] == 0 {
			p.Need[auction.GPUs] = 1
		}
		if spec := r.field("gpu_spec"); spec != "" && p.Need[auction.GPUs] > 0 {
			p.Models = strings.Split(spec, "|")
			slices.Sort(p.Models)
			p.Models = slices.Compact(p.Models)
			for _, m := range p.Models {
				r.checkWord("gpu_spec", m, false)
			}
			if len(p.Models) > auction.MaxRegions {
				r.fail("gpu_spec", fmt.Errorf("%w: %d models", ErrValue, len(p.Models)))
			}
		}
		if scheduled := r.field("scheduled_time"); scheduled != "" {
			began, ended := r.number("scheduled_time", 1<<40), r.number("deletion_time", 1<<40)
			p.RunSeconds = max(0, ended-began)
		}
		if r.err == nil && p.Need == (auction.Resources{}) {
			r.fail("", fmt.Errorf("%w: the task needs nothing", ErrValue))
		}
		pods = append(pods, p)
		return r.err
	})
	return pods, err
}

// row is one line; its getters keep the first error.
type row struct {
	file   string
	line   int
	at     map[string]int // column to index
	values []string
	err    error
}

func (r *row) fail(field string, err error) {
	if r.err == nil {
		r.err = &LineError{File: r.file, Line: r.line, Field: field, Err: err}
	}
}

func (r *row) field(name string) string { return r.values[r.at[name]] }

func (r *row) word(name string) string {
	s := r.field(name)
	r.checkWord(name, s, true)
	return s
}

func (r *row) checkWord(name, s string, emptyAllowed bool) {
	if len(s) > auction.MaxWordBytes || (s == "" && !emptyAllowed) {
		r.fail(name, fmt.Errorf("%w: a name of %d bytes", ErrValue, len(s)))
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			r.fail(name, fmt.Errorf("%w: a name that is not printable", ErrValue))
			return
		}
	}
}

func (r *row) number(name string, most int64) int64 {
	v, err := strconv.ParseInt(r.field(name), 10, 64)
	switch {
	case err != nil:
		r.fail(name, fmt.Errorf("%w: %w", ErrLine, err))
		return 0
	case v < 0 || v > most:
		r.fail(name, fmt.Errorf("%w: %d, allowed are 0 to %d", ErrValue, v, most))
		return 0
	}
	return v
}

func readTrace(path string, columns []string, each func(*row) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOpen, err)
	}
	defer file.Close()
	packed, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrOpen, path, err)
	}
	bounded := &io.LimitedReader{R: packed, N: maxTraceBytes + 1}
	err = readRows(path, bounded, columns, each)
	if bounded.N <= 0 {
		return fmt.Errorf("%w: %s has more than %d bytes", ErrTooLarge, path, maxTraceBytes)
	}
	return err
}

// readRows hands out the rows of a list with a header; columns it does not name are skipped.
func readRows(name string, in io.Reader, columns []string, each func(*row) error) error {
	reader := csv.NewReader(in)
	reader.ReuseRecord = true
	header, err := reader.Read()
	if err != nil {
		return &LineError{File: name, Line: 1, Err: fmt.Errorf("%w: %w", ErrLine, err)}
	}
	at := make(map[string]int, len(header))
	for i, h := range header {
		at[h] = i
	}
	for _, c := range columns {
		if _, known := at[c]; !known {
			return &LineError{File: name, Line: 1, Field: c, Err: ErrHeader}
		}
	}
	for n := 0; ; n++ {
		values, err := reader.Read()
		if errors.Is(err, io.EOF) {
			if n == 0 {
				return &LineError{File: name, Line: 1, Err: ErrEmpty}
			}
			return nil
		}
		if err != nil { // a csv.ParseError, or what reading the file gave after line n+1
			line := n + 2
			var parse *csv.ParseError
			if errors.As(err, &parse) {
				line = parse.Line
			}
			return &LineError{File: name, Line: line, Err: fmt.Errorf("%w: %w", ErrLine, err)}
		}
		line, _ := reader.FieldPos(0)
		if n == maxTraceRows {
			return fmt.Errorf("%w: %s has more than %d rows", ErrTooLarge, name, maxTraceRows)
		}
		if err := each(&row{file: name, line: line, at: at, values: values}); err != nil {
			return err
		}
	}
}
