package jobspec

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

type kind int

const (
	kindNull kind = iota
	kindString
	kindNumber
	kindBool
	kindList
	kindMap
)

func (k kind) String() string {
	return [...]string{"nothing", "text", "a number", "true or false", "a list", "a map"}[k]
}

// tree is the part of YAML a job file may use, with the place of each value.
// The rest of the package reads this and never sees the YAML library.
type tree struct {
	kind      kind
	line, col int
	// text is a scalar as written (quotes and escapes resolved), so that a
	// number keeps its digits: 0.10 stays 0.10 in an environment variable.
	text  string
	items []*tree
	pairs []pair
}

type pair struct {
	key       string
	line, col int
	value     *tree
}

// parseTree reads one YAML document. Anchors, aliases, merge keys, tags and
// directives are refused by their tokens, before anything is built from them,
// so a file cannot expand to more than it weighs.
func parseTree(file string, src []byte) (root *tree, err error) {
	fault := func(kind error, line, col int, hint, format string, args ...any) error {
		return Errors{{File: file, Line: line, Col: col, Kind: kind, Msg: fmt.Sprintf(format, args...), Hint: hint}}
	}
	if len(src) > MaxFileBytes {
		return nil, fault(ErrTooLarge, 0, 0, "large data belongs into inputs", "the file has %d bytes, at most %d are read", len(src), MaxFileBytes)
	}
	if !utf8.Valid(src) {
		return nil, fault(ErrSyntax, 0, 0, "", "the file is not UTF-8 text")
	}
	if i := strings.IndexByte(string(src), 0); i >= 0 {
		return nil, fault(ErrSyntax, 0, 0, "", "the file holds a zero byte")
	}
	// The library is written for trusted files. A panic on a hostile one must
	// be an error of this file, not the end of the process.
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, fault(ErrSyntax, 0, 0, "", "the file is not valid YAML")
		}
	}()
	tokens := lexer.Tokenize(string(src))
	// Depth is bounded before the parser recurses: by brackets, and by dashes in
	// one line. Deeper blocks need ever longer lines, which the file's size bounds.
	depth, dashes, dashLine := 0, 0, 0
	for i, tk := range tokens {
		line, col := place(tk)
		switch tk.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return nil, fault(ErrSyntax, line, col, "write the value out", "anchors and aliases are not allowed")
		case token.TagType:
			return nil, fault(ErrSyntax, line, col, "quote the value if it is text", "tags are not allowed")
		case token.DirectiveType:
			return nil, fault(ErrSyntax, line, col, "", "directives are not allowed")
		case token.MappingKeyType:
			return nil, fault(ErrSyntax, line, col, "write key: value", "complex keys are not allowed")
		case token.DocumentHeaderType:
			if i > 0 && !onlyComments(tokens[:i]) {
				return nil, fault(ErrSyntax, line, col, "one job per file", "a second document starts here")
			}
		case token.InvalidType:
			return nil, fault(ErrSyntax, line, col, "", "%s", orElse(tk.Error, "this is not valid YAML"))
		case token.SequenceStartType, token.MappingStartType:
			if depth++; depth > MaxDepth {
				return nil, fault(ErrTooLarge, line, col, "", "nested deeper than %d", MaxDepth)
			}
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType:
			if line != dashLine {
				dashes, dashLine = 0, line
			}
			if dashes++; dashes > MaxDepth {
				return nil, fault(ErrTooLarge, line, col, "", "nested deeper than %d", MaxDepth)
			}
		default:
		}
	}
	parsed, perr := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if perr != nil {
		var syn *yaml.SyntaxError
		if errors.As(perr, &syn) && syn.Token != nil {
			line, col := place(syn.Token)
			return nil, fault(ErrSyntax, line, col, "", "%s", syn.Message)
		}
		return nil, fault(ErrSyntax, 0, 0, "", "the file is not valid YAML")
	}
	var body ast.Node
	for _, doc := range parsed.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			line, col := place(doc.Body.GetToken())
			return nil, fault(ErrSyntax, line, col, "one job per file", "a second document starts here")
		}
		body = doc.Body
	}
	if body == nil {
		return nil, fault(ErrMissingField, 0, 0, "start from the README's example", "the file is empty")
	}
	b := &builder{fault: fault}
	root, err = b.build(body, 0)
	if err != nil {
		return nil, err
	}
	return root, nil
}

func onlyComments(tokens token.Tokens) bool {
	for _, tk := range tokens {
		if tk.Type != token.CommentType {
			return false
		}
	}
	return true
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func place(tk *token.Token) (line, col int) {
	if tk == nil || tk.Position == nil {
		return 0, 0
	}
	return tk.Position.Line, tk.Position.Column
}

type builder struct {
	nodes int
	fault func(kind error, line, col int, hint, format string, args ...any) error
}

func (b *builder) build(n ast.Node, depth int) (*tree, error) {
	line, col := place(n.GetToken())
	if depth > MaxDepth {
		return nil, b.fault(ErrTooLarge, line, col, "", "nested deeper than %d", MaxDepth)
	}
	if b.nodes++; b.nodes > MaxNodes {
		return nil, b.fault(ErrTooLarge, line, col, "", "more than %d values", MaxNodes)
	}
	t := &tree{line: line, col: col}
	switch n := n.(type) {
	case *ast.NullNode:
		t.kind = kindNull
	case *ast.StringNode:
		t.kind, t.text = kindString, n.Value
	case *ast.LiteralNode:
		t.kind, t.text = kindString, n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		t.kind, t.text = kindNumber, n.GetToken().Value
	case *ast.BoolNode:
		t.kind, t.text = kindBool, n.GetToken().Value
	case *ast.SequenceNode:
		t.kind = kindList
		for _, v := range n.Values {
			item, err := b.build(v, depth+1)
			if err != nil {
				return nil, err
			}
			t.items = append(t.items, item)
		}
	case *ast.MappingNode:
		t.kind = kindMap
		for _, v := range n.Values {
			if err := b.pair(t, v, depth); err != nil {
				return nil, err
			}
		}
		// The library points at the first colon; a reader looks for the first key.
		if len(t.pairs) > 0 && !n.IsFlowStyle {
			t.line, t.col = t.pairs[0].line, t.pairs[0].col
		}
	case *ast.MappingValueNode:
		t.kind = kindMap
		if err := b.pair(t, n, depth); err != nil {
			return nil, err
		}
		t.line, t.col = t.pairs[0].line, t.pairs[0].col
	case *ast.CommentGroupNode:
		t.kind = kindNull
	default:
		return nil, b.fault(ErrSyntax, line, col, "", "this kind of YAML value is not allowed")
	}
	return t, nil
}

func (b *builder) pair(t *tree, v *ast.MappingValueNode, depth int) error {
	line, col := place(v.Key.GetToken())
	var key string
	switch k := v.Key.(type) {
	case *ast.StringNode:
		key = k.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		key = k.GetToken().Value
	default:
		return b.fault(ErrSyntax, line, col, "write key: value", "complex keys are not allowed")
	}
	value, err := b.build(v.Value, depth+1)
	if err != nil {
		return err
	}
	t.pairs = append(t.pairs, pair{key: key, line: line, col: col, value: value})
	return nil
}
