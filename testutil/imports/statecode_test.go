package imports

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ban is one thing that state code may not contain.
type ban string

const (
	banFloat     ban = "float"     // rounding differs between machines and compilers
	banClock     ban = "clock"     // validators' clocks differ; time comes from the block
	banGoroutine ban = "goroutine" // their order is the scheduler's
	banChannel   ban = "channel"   // so is who receives
	banMapOrder  ban = "map order" // it is random on purpose
	banRandom    ban = "random"    // what is drawn differs on every machine
	banPanic     ban = "panic"     // outside a transaction it stops the chain
	banOutside   ban = "outside"   // files, sockets and environment differ on every machine
)

// exception allows one ban in one function, for a reason.
type exception struct {
	pkg, fn string
	ban     ban
	why     string
}

// exceptions are panics that no block can reach: while the binary wires itself, when a chain begins from a genesis
// that the SDK gives a module no other way to refuse, and in an export, which is a command.
func exceptions() []exception {
	var out []exception
	for _, m := range []string{"x/nexcore", "x/tasks", "x/reputation"} {
		out = append(out,
			exception{m + "/keeper", "NewKeeper", banPanic, "two collections share a prefix: seen at the first start of a build"},
			exception{m, "RegisterGRPCGatewayRoutes", banPanic, "two routes collide: seen at the first start of a build"},
			exception{m, "InitGenesis", banPanic, "a chain does not begin from a bad genesis"},
			exception{m, "ExportGenesis", banPanic, "an export of a broken state must not look whole"},
		)
	}
	return out
}

// bannedImports are packages that no state code needs.
func bannedImports() map[string]ban {
	return map[string]ban{
		"math/rand": banRandom, "math/rand/v2": banRandom, "crypto/rand": banRandom,
		"os": banOutside, "os/exec": banOutside, "net": banOutside, "net/http": banOutside, "syscall": banOutside,
	}
}

// bannedCalls are functions by package and name.
func bannedCalls() map[string]ban {
	calls := map[string]ban{}
	for _, name := range []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"} {
		calls["time."+name] = banClock
	}
	for _, name := range []string{"Keys", "Values", "All", "Collect"} {
		calls["maps."+name] = banMapOrder
	}
	return calls
}

// finding is a ban broken somewhere.
type finding struct {
	pkg, fn string
	ban     ban
	what    string
	at      token.Position
}

func TestStateCode(t *testing.T) {
	packages := goList(t, "-deps", "-export", "./x/...")
	used := make(map[int]bool)
	for _, p := range packages {
		name, own := p.own()
		if !own || !strings.HasPrefix(name, "x/") {
			continue
		}
		for _, f := range inspect(t, packages, p) {
			allowed := false
			for i, e := range exceptions() {
				if e.pkg == f.pkg && e.fn == f.fn && e.ban == f.ban {
					used[i], allowed = true, true
				}
			}
			if !allowed {
				t.Errorf("%s: %s in %s.%s: %s", f.at, f.ban, f.pkg, f.fn, f.what)
			}
		}
	}
	for i, e := range exceptions() {
		require.True(t, used[i], "the exception for %s in %s.%s is not needed any more", e.ban, e.pkg, e.fn)
	}
}

// generated is the line by which Go tools know generated files.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// inspect type-checks a package from source, its imports from the build's export data, and returns what it finds.
func inspect(t *testing.T, packages map[string]*pkg, p *pkg) []finding {
	t.Helper()
	fset := token.NewFileSet()
	var all, own []*ast.File
	for _, name := range p.GoFiles {
		path := filepath.Join(p.Dir, name)
		src, err := os.ReadFile(path)
		require.NoError(t, err)
		file, err := parser.ParseFile(fset, path, src, parser.ParseComments)
		require.NoError(t, err)
		all = append(all, file)
		if !generated.Match(src) {
			own = append(own, file)
		}
	}
	return check(t, fset, exportImporter(fset, packages), p.ImportPath, all, own)
}

func exportImporter(fset *token.FileSet, packages map[string]*pkg) types.Importer {
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		p := packages[path]
		if p == nil || p.Export == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(p.Export)
	})
}

func check(t *testing.T, fset *token.FileSet, imp types.Importer, path string, all, own []*ast.File) []finding {
	t.Helper()
	info := &types.Info{
		Types: make(map[ast.Expr]types.TypeAndValue), Uses: make(map[*ast.Ident]types.Object), Defs: make(map[*ast.Ident]types.Object),
	}
	_, err := (&types.Config{Importer: imp}).Check(path, fset, all, info)
	require.NoError(t, err)
	name, _ := ownPath(path)
	s := &scanner{fset: fset, info: info, pkg: name}
	for _, file := range own {
		s.file(file)
	}
	sort.Slice(s.found, func(i, j int) bool { return s.found[i].at.Offset < s.found[j].at.Offset })
	return s.found
}

// scanner collects the findings of one package.
type scanner struct {
	fset  *token.FileSet
	info  *types.Info
	pkg   string
	fn    string
	found []finding
}

func (s *scanner) add(b ban, n ast.Node, what string) {
	at := s.fset.Position(n.Pos())
	if k := len(s.found); k > 0 {
		if last := s.found[k-1]; last.at.Line == at.Line && last.ban == b && last.at.Filename == at.Filename {
			return // one of a line is enough
		}
	}
	s.found = append(s.found, finding{pkg: s.pkg, fn: s.fn, ban: b, what: what, at: at})
}

func (s *scanner) file(file *ast.File) {
	s.fn = "imports"
	for _, imp := range file.Imports {
		path := strings.Trim(imp.Path.Value, `"`)
		if b, banned := bannedImports()[path]; banned {
			s.add(b, imp, path)
		}
	}
	for _, decl := range file.Decls {
		s.fn = "var"
		if f, isFunc := decl.(*ast.FuncDecl); isFunc {
			s.fn = f.Name.Name
		}
		ast.Inspect(decl, s.node)
	}
}

func (s *scanner) node(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		s.add(banGoroutine, n, "go statement")
	case *ast.SelectStmt:
		s.add(banChannel, n, "select")
	case *ast.ChanType:
		s.add(banChannel, n, "channel type")
	case *ast.SendStmt:
		s.add(banChannel, n, "send")
	case *ast.RangeStmt:
		if t := s.info.TypeOf(n.X); t != nil {
			switch t.Underlying().(type) {
			case *types.Map:
				s.add(banMapOrder, n, "range over a map")
			case *types.Chan:
				s.add(banChannel, n, "range over a channel")
			}
		}
	case *ast.BasicLit:
		if n.Kind == token.FLOAT || n.Kind == token.IMAG {
			s.add(banFloat, n, n.Value)
		}
	case *ast.Ident:
		s.ident(n)
	}
	if e, isExpr := n.(ast.Expr); isExpr {
		if t := s.info.TypeOf(e); t != nil {
			if b, basic := t.Underlying().(*types.Basic); basic && b.Info()&(types.IsFloat|types.IsComplex) != 0 {
				s.add(banFloat, n, b.String())
			}
		}
	}
	return true
}

// ident looks at what a name stands for, so that neither an alias nor a dot import hides it.
func (s *scanner) ident(id *ast.Ident) {
	switch obj := s.info.Uses[id].(type) {
	case *types.Builtin:
		if obj.Name() == "panic" {
			s.add(banPanic, id, "panic")
		}
	case *types.Func:
		if obj.Pkg() == nil || obj.Signature().Recv() != nil {
			return
		}
		call := obj.Pkg().Path() + "." + obj.Name()
		if b, banned := bannedCalls()[call]; banned {
			s.add(b, id, call)
		}
	}
}

// TestScanner shows the scanner one of each and asks for all.
func TestScanner(t *testing.T) {
	const src = `package p

import (
	"maps"
	clock "time"
)

type money float64

func floats() bool { x := 1; return money(x) > 0 }
func literal() int { return int(2.0) }
func now() int64   { return clock.Now().Unix() }
func later()       { go now() }
func wait(c chan int) int {
	select {
	case v := <-c:
		return v
	}
}
func order(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}
func named(m named2) {
	for range m {
	}
}

type named2 map[int]int

func keys(m map[string]int) any { return maps.Keys(m) }
func stop()                     { panic("no") }
func fine(s []int) (n int) {
	for _, v := range s {
		n += v
	}
	return n
}
`
	packages := goList(t, "-deps", "-export", "maps", "time")
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", src, 0)
	require.NoError(t, err)
	got := make(map[string]ban)
	for _, f := range check(t, fset, exportImporter(fset, packages), modulePath+"/x/p", []*ast.File{file}, []*ast.File{file}) {
		got[f.fn] = f.ban
	}
	require.Equal(t, map[string]ban{
		"var": banFloat, "floats": banFloat, "literal": banFloat, "now": banClock, "later": banGoroutine, "wait": banChannel,
		"order": banMapOrder, "named": banMapOrder, "keys": banMapOrder, "stop": banPanic,
	}, got)
}
