package flow

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// The room stays pure: it imports the standard library, cosmossdk.io/math and its own engines (which keep the same
// test) only, nothing that reads a
// clock, a network, a file or chance, and has no float, goroutine, channel, panic or init. Maps live in
// intern.go alone, where nothing is ranged over.
func TestPackageIsPure(t *testing.T) {
	allowed := map[string]bool{"cmp": true, "errors": true, "fmt": true, "math": true, "math/bits": true, "slices": true}
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
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if !allowed[path] {
				t.Errorf("%s imports %s", name, path)
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
