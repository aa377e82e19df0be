package packing

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// The engine stays pure: a handful of packages of the standard library, no float, goroutine, channel, map,
// panic, init, or variable of the package that could change, other than the sentinel errors.
func TestEngineIsPure(t *testing.T) {
	allowed := map[string]bool{"math": true, "math/bits": true, "errors": true, "slices": true, "cmp": true, "fmt": true}
	integers := map[string]bool{"MaxInt64": true, "MaxUint64": true}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := file.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range tree.Imports {
			if path, err := strconv.Unquote(spec.Path.Value); err != nil || !allowed[path] {
				t.Errorf("%s imports %s", name, spec.Path.Value)
			}
		}
		for _, decl := range tree.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.VAR {
				for _, spec := range d.Specs {
					for _, id := range spec.(*ast.ValueSpec).Names {
						if !strings.HasPrefix(id.Name, "Err") {
							t.Errorf("%s has the variable %s", set.Position(id.Pos()), id.Name)
						}
					}
				}
			}
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			fault := ""
			switch n := n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType:
				fault = "concurrency"
			case *ast.MapType:
				fault = "a map"
			case *ast.BasicLit:
				if n.Kind == token.FLOAT || n.Kind == token.IMAG {
					fault = "a float"
				}
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "math" && !integers[n.Sel.Name] {
					fault = "math." + n.Sel.Name
				}
			case *ast.Ident:
				if n.Name == "float64" || n.Name == "float32" || n.Name == "panic" || n.Name == "init" {
					fault = n.Name
				}
			}
			if fault != "" {
				t.Errorf("%s has %s", set.Position(n.Pos()), fault)
			}
			return true
		})
	}
}
