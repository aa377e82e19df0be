package auction

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
func TestRoomIsPure(t *testing.T) {
	banned := map[string]bool{"time": true, "math/rand": true, "math/rand/v2": true, "crypto/rand": true, "os": true, "context": true, "sync": true, "net": true, "log/slog": true, "unsafe": true}
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
			root, _, _ := strings.Cut(path, "/")
			if (strings.Contains(root, ".") && path != "cosmossdk.io/math" && !strings.HasPrefix(path, "github.com/nexara/nexara/x/tasks/auction/")) || banned[path] {
				t.Errorf("%s imports %s", name, path)
			}
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			fault := ""
			switch n := n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType:
				fault = "concurrency"
			case *ast.MapType:
				if name != "intern.go" {
					fault = "a map"
				}
			case *ast.RangeStmt:
				if x, ok := n.X.(*ast.SelectorExpr); ok && x.Sel.Name == "ids" {
					fault = "a range over a map"
				}
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
