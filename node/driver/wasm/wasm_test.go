package wasm_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/driver/drivertest"
	"github.com/nexara/nexara/node/driver/wasm"
)

// compileVar makes this program a compiler of modules.
const compileVar = "NEXARA_TEST_COMPILE"

func TestMain(m *testing.M) {
	if os.Getenv(compileVar) != "" && len(os.Args) == 4 {
		os.Exit(wasm.Compile(os.Args[1:], os.Stdin, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, dir string, options ...func(*wasm.Config)) *wasm.Driver {
	t.Helper()
	cfg := wasm.Config{Dir: dir}
	for _, o := range options {
		o(&cfg)
	}
	d, err := wasm.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func TestConformance(t *testing.T) {
	dir := t.TempDir()
	drivertest.Run(t, drivertest.Harness{
		Driver: open(t, dir),
		Image:  drivertest.WASM(t),
		Reopen: func(t *testing.T) driver.Driver { return open(t, dir) },
		Clean: func(t *testing.T, id string) {
			require.NoDirExists(t, filepath.Join(dir, "runs", id))
		},
		Folders: []string{dir, filepath.Join(dir, "runs")},
	})
	left, err := os.ReadDir(filepath.Join(dir, "runs"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// Modules small enough to be written by hand.
var (
	header  = "\x00asm\x01\x00\x00\x00"
	types   = "\x01\x04\x01\x60\x00\x00"
	funcs   = "\x03\x02\x01\x00"
	export  = "\x07\x0a\x01\x06_start\x00\x00"
	nothing = header + types + funcs + export + "\x0a\x04\x01\x02\x00\x0b"
	// trap executes "unreachable".
	trap = header + types + funcs + export + "\x0a\x05\x01\x03\x00\x00\x0b"
	// deep calls itself for ever.
	deep = header + types + funcs + export + "\x0a\x06\x01\x04\x00\x10\x00\x0b"
	// tables grows its table by 100,000 entries until it is refused.
	tables = header + types + funcs + "\x04\x04\x01\x70\x00\x01" + export +
		"\x0a\x15\x01\x13\x00\x03\x40\xd0\x70\x41\xa0\x8d\x06\xfc\x0f\x00\x41\x7f\x47\x0d\x00\x0b\x0b"
	// large starts with 4 GiB - 64 KiB.
	large = header + types + funcs + "\x05\x05\x01\x00\xff\xff\x03" + export + "\x0a\x04\x01\x02\x00\x0b"
	// foreign imports env.f.
	foreign = header + types + "\x02\x09\x01\x03env\x01f\x00\x00" + funcs + "\x07\x0a\x01\x06_start\x00\x01" + "\x0a\x04\x01\x02\x00\x0b"
	// library exports nothing.
	library = header + types + funcs + "\x0a\x04\x01\x02\x00\x0b"
)

// recursion calls itself twice, 64 calls deep: 2^64 calls without a loop.
var recursion = header + "\x01\x08\x02\x60\x01\x7f\x00\x60\x00\x00" + "\x03\x03\x02\x00\x01" +
	"\x07\x0a\x01\x06_start\x00\x01" + "\x0a\x1f\x02" +
	"\x15\x00\x20\x00\x04\x40\x20\x00\x41\x01\x6b\x10\x00\x20\x00\x41\x01\x6b\x10\x00\x0b\x0b" +
	"\x07\x00\x41\xc0\x00\x10\x00\x0b"

// nested has a function of so many nested loops that set and get as many locals:
// small for its size, and days of work for a compiler.
func nested(loops int) string {
	var b []byte
	b = binary.AppendUvarint([]byte{1}, uint64(loops))
	b = append(b, 0x7f)
	for range loops {
		b = append(b, 0x03, 0x40)
	}
	for i := range loops {
		b = binary.AppendUvarint(append(b, 0x20), uint64(i))
		b = binary.AppendUvarint(append(b, 0x21), uint64((i+1)%loops))
	}
	for range loops {
		b = append(b, 0x41, 0, 0x0d, 0, 0x0b)
	}
	b = append(b, 0x0b)
	code := append(binary.AppendUvarint([]byte{1}, uint64(len(b))), b...)
	return header + types + funcs + export + "\x0a" + string(binary.AppendUvarint(nil, uint64(len(code)))) + string(code)
}

func module(t testing.TB, content string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "m.wasm")
	require.NoError(t, os.WriteFile(p, []byte(content), 0o600))
	return p
}

func run(t testing.TB, d driver.Driver, s driver.Spec) driver.Outcome {
	t.Helper()
	ctx := context.Background()
	r, err := d.Start(ctx, s)
	require.NoError(t, err)
	o, err := r.Wait(ctx)
	require.NoError(t, err)
	require.NoError(t, r.Remove(ctx))
	return o
}

func spec(image string, args ...string) driver.Spec {
	return driver.Spec{ID: "r", Image: image, Args: args, Limits: driver.DefaultLimits()}
}

func TestModules(t *testing.T) {
	d := open(t, t.TempDir())
	o := run(t, d, spec(module(t, nothing)))
	require.True(t, o.Succeeded())
	o = run(t, d, spec(module(t, trap)))
	require.Equal(t, driver.Exited, o.Reason)
	require.Equal(t, 134, o.ExitCode)
	o = run(t, d, spec(module(t, deep)))
	require.Equal(t, 134, o.ExitCode, "the stack is bounded")
	o = run(t, d, spec(module(t, tables)))
	require.True(t, o.Succeeded(), "growing is refused, not fatal")
	o = run(t, d, spec(module(t, large)))
	require.Equal(t, driver.OutOfMemory, o.Reason)
	o = run(t, d, spec(drivertest.WASM(t), "renumber"))
	require.Equal(t, 1, o.ExitCode)
	for _, bad := range []string{foreign, library, "", header[:7], header + "\x04\xff\xff\xff\xff\x0f", nothing + "\x00"} {
		_, err := d.Start(context.Background(), spec(module(t, bad)))
		require.ErrorIs(t, err, driver.ErrInvalidImage)
	}
}

// TestCodeWithoutLoopsEnds: time and stopping reach code that never loops.
func TestCodeWithoutLoopsEnds(t *testing.T) {
	d := open(t, t.TempDir())
	s := spec(module(t, recursion))
	s.Limits.WallSeconds = 1
	o := run(t, d, s)
	require.Equal(t, driver.OutOfTime, o.Reason)
	ctx := context.Background()
	r, err := d.Start(ctx, spec(module(t, recursion)))
	require.NoError(t, err)
	require.NoError(t, r.Remove(ctx))
}

// TestCompiler: a module is compiled by a process of its own, which has limits.
func TestCompiler(t *testing.T) {
	t.Setenv(compileVar, "1")
	self, err := os.Executable()
	require.NoError(t, err)
	compiler := func(c *wasm.Config) { c.Compiler = []string{self} }
	ctx := context.Background()
	d := open(t, t.TempDir(), compiler, func(c *wasm.Config) { c.CompileCPU = time.Second })
	hostile := module(t, nested(8000))
	for range 2 { // the second is refused by what is remembered
		_, err = d.Prepare(ctx, hostile)
		require.ErrorIs(t, err, driver.ErrImageTooLarge)
		require.ErrorContains(t, err, "of CPU time")
	}
	invalid := header + types + funcs + export + "\x0a\x86\x40\x01\x83\x40\x00" + strings.Repeat("\x01", 8192) + "\x1a\x0b"
	_, err = d.Prepare(ctx, module(t, invalid[:len(invalid)-1]))
	require.ErrorIs(t, err, driver.ErrInvalidImage)
	require.NotErrorIs(t, err, driver.ErrImageTooLarge)

	d = open(t, t.TempDir(), compiler)
	require.True(t, run(t, d, spec(drivertest.WASM(t), "nothing")).Succeeded())

	d = open(t, t.TempDir(), func(c *wasm.Config) { c.Compiler = []string{filepath.Join(t.TempDir(), "absent")} })
	_, err = d.Prepare(ctx, drivertest.WASM(t))
	require.ErrorIs(t, err, driver.ErrFault)
}

// TestPrepareGivesUp: whoever waits for a compilation may stop waiting.
func TestPrepareGivesUp(t *testing.T) {
	t.Setenv(compileVar, "1")
	self, err := os.Executable()
	require.NoError(t, err)
	d := open(t, t.TempDir(), func(c *wasm.Config) { c.Compiler = []string{self} })
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err = d.Prepare(ctx, module(t, nested(8000)))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, d.Close(), "the compiler ends with the driver")
}

func TestModuleTooLarge(t *testing.T) {
	d := open(t, t.TempDir(), func(c *wasm.Config) { c.MaxModuleBytes = 16 })
	_, err := d.Prepare(context.Background(), module(t, nothing))
	require.ErrorIs(t, err, driver.ErrImageTooLarge)
}

// TestModulesAreEvicted: running modules stay, others go and come back.
func TestModulesAreEvicted(t *testing.T) {
	d := open(t, t.TempDir(), func(c *wasm.Config) { c.MaxModules = 1 })
	ctx := context.Background()
	guest := drivertest.WASM(t)
	r, err := d.Start(ctx, spec(guest, "sleep", "100000000"))
	require.NoError(t, err)
	paths := []string{module(t, nothing), module(t, trap), module(t, deep)}
	for range 3 {
		for _, p := range paths {
			s := spec(p)
			s.ID = "other"
			run(t, d, s)
		}
	}
	info, err := d.Prepare(ctx, guest)
	require.NoError(t, err)
	require.True(t, info.Cached, "in use")
	require.NoError(t, r.Remove(ctx))
	for _, p := range paths {
		info, err := d.Prepare(ctx, p)
		require.NoError(t, err)
		require.False(t, info.Cached)
	}
}

// TestCompiledCodeIsBounded: compiled code survives the process and is pruned at start.
func TestCompiledCodeIsBounded(t *testing.T) {
	dir := t.TempDir()
	count := func() (n int) {
		require.NoError(t, filepath.WalkDir(filepath.Join(dir, "compiled"), func(_ string, e os.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				n++
			}
			return err
		}))
		return n
	}
	d := open(t, dir)
	_, err := d.Prepare(context.Background(), module(t, nothing))
	require.NoError(t, err)
	require.NoError(t, d.Close())
	before := count()
	require.Positive(t, before)
	require.NoError(t, open(t, dir, func(c *wasm.Config) { c.MaxCacheBytes = 1 }).Close())
	require.Less(t, count(), before)
}

// TestImageChanges: a file that changed is another image.
func TestImageChanges(t *testing.T) {
	d := open(t, t.TempDir())
	p := module(t, nothing)
	a, err := d.Prepare(context.Background(), p)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(p, []byte(trap), 0o600))
	b, err := d.Prepare(context.Background(), p)
	require.NoError(t, err)
	require.NotEqual(t, a.Digest, b.Digest)
	require.False(t, b.Cached)
}

func TestConfig(t *testing.T) {
	_, err := wasm.New(wasm.Config{Dir: "relative"})
	require.Error(t, err)
	d := open(t, t.TempDir())
	require.NoError(t, d.Close())
	_, err = d.Start(context.Background(), spec(module(t, nothing)))
	require.ErrorIs(t, err, driver.ErrClosed)
}

func benchmark(b *testing.B, image string, args ...string) {
	d := open(b, b.TempDir())
	ctx := context.Background()
	_, err := d.Prepare(ctx, image)
	require.NoError(b, err)
	var cpu int64
	for b.Loop() {
		o := run(b, d, spec(image, args...))
		if !o.Succeeded() {
			b.Fatal(o)
		}
		cpu += o.Usage.CPUNanos
	}
	b.ReportMetric(float64(cpu)/1000/float64(b.N), "cpu-us/run")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
}

// BenchmarkNothing is start to removed of a module that does nothing.
func BenchmarkNothing(b *testing.B) { benchmark(b, module(b, nothing)) }

// BenchmarkGoProgram is the same of a Go program, whose own start is most of it.
func BenchmarkGoProgram(b *testing.B) { benchmark(b, drivertest.WASM(b), "nothing") }

// BenchmarkLoop is 20 million turns of an empty loop: what charging costs where there is nothing else.
func BenchmarkLoop(b *testing.B) {
	benchmark(b, module(b, header+types+funcs+export+
		"\x0a\x19\x01\x17\x01\x01\x7f\x41\x80\xda\xc4\x09\x21\x00\x03\x40\x20\x00\x41\x01\x6b\x22\x00\x0d\x00\x0b\x0b"))
}
