package jobspec

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// What can be wrong with a job file. Every *Error wraps exactly one of these.
var (
	// ErrTooLarge means the file is larger, deeper or has more values than allowed.
	ErrTooLarge = errors.New("too large")
	// ErrSyntax means the file is not YAML, or uses a part of YAML that is refused.
	ErrSyntax = errors.New("syntax")
	// ErrUnknownField means a field has no meaning here.
	ErrUnknownField = errors.New("unknown field")
	// ErrDuplicateField means a field is given twice.
	ErrDuplicateField = errors.New("duplicate field")
	// ErrMissingField means a required field is absent or empty.
	ErrMissingField = errors.New("missing field")
	// ErrType means a value is of the wrong kind.
	ErrType = errors.New("wrong type")
	// ErrUnit means a quantity has no unit, or one that is not known.
	ErrUnit = errors.New("bad unit")
	// ErrValue means a value is outside what is allowed.
	ErrValue = errors.New("bad value")
	// ErrConflict means two fields exclude each other.
	ErrConflict = errors.New("conflict")
)

// ErrDocument means that bytes are not a canonical job document.
var ErrDocument = errors.New("not a canonical job document")

// maxErrors is how many faults one parse reports; a reader fixes a few at a time.
const maxErrors = 20

// Error is one fault in a job file, at the place where a person has to edit.
type Error struct {
	// File is the name given to Parse.
	File string
	// Line and Col count from 1; 0 when the fault has no place.
	Line, Col int
	// Field is the dotted path, such as "resources.cpu"; empty for the whole file.
	Field string
	// Kind is one of the sentinels of this package.
	Kind error
	// Msg says what is wrong.
	Msg string
	// Hint says what to write instead; may be empty.
	Hint string
}

// Error formats as file:line:col: field: message (hint).
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Col)
	}
	b.WriteString(": ")
	if e.Field != "" {
		b.WriteString(e.Field)
		b.WriteString(": ")
	}
	b.WriteString(e.Msg)
	if e.Hint != "" {
		fmt.Fprintf(&b, " (%s)", e.Hint)
	}
	return b.String()
}

// Unwrap gives the kind.
func (e *Error) Unwrap() error { return e.Kind }

// Errors is every fault found in one file, in the order of the file.
type Errors []*Error

// Error prints one fault a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the faults to errors.Is and errors.As.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

func (es Errors) sortAndCap() Errors {
	sort.SliceStable(es, func(i, j int) bool {
		if es[i].Line != es[j].Line {
			return es[i].Line < es[j].Line
		}
		return es[i].Col < es[j].Col
	})
	if len(es) > maxErrors {
		es = es[:maxErrors]
	}
	return es
}
