package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/nexara/nexara/node/driver"
)

const (
	// smallCode is the code that is compiled in this process: the worst of it takes a
	// fraction of a second and a few megabytes. A process of its own costs more than that.
	smallCode = 4 << 10
	// compileCPU and compileMemory bound the compiler's process: CPU time, so that a busy
	// machine blames nobody, and memory in bytes.
	compileCPU    = 60 * time.Second
	compileMemory = 1 << 30
	// compileWall is when a compiler that got no CPU is given up, which is our fault.
	compileWall = 10 * time.Minute
	// maxWords bounds what is kept of a compiler's complaint.
	maxWords = 4 << 10
)

// errModule marks a complaint about the module, as opposed to a failure of the compiler.
var errModule = errors.New("wasm: invalid module")

// invalidModuleExit is the exit code by which Compile's process says errModule.
const invalidModuleExit = 3

// engine is how modules are compiled, in this process and in the compiler's: with
// the same settings, or the cache would not fit.
func engine(cache wazero.CompilationCache) wazero.Runtime {
	// WithCloseOnContextDone would leave native code at every turn of every loop, and at
	// nothing else: modules are rewritten to call back instead (see charger).
	return wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfig().
		WithCompilationCache(cache).WithDebugInfoEnabled(false).WithCoreFeatures(api.CoreFeaturesV2))
}

// Compile is the compiler's process: what a program does that Config.Compiler
// names. It compiles what it reads from in into the folder of compiled code, within
// its limits of CPU time and memory, and gives the exit code. args are those that
// the driver adds to the command: folder, seconds, bytes.
func Compile(args []string, in io.Reader, words io.Writer) int {
	err := compile(args, in)
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintln(words, err)
	if errors.Is(err, errModule) {
		return invalidModuleExit
	}
	return 1
}

func compile(args []string, in io.Reader) error {
	if len(args) != 3 {
		return errors.New("wasm: want folder, seconds and bytes")
	}
	seconds, err := strconv.ParseUint(args[1], 10, 32)
	if err != nil {
		return err
	}
	memory, err := strconv.ParseUint(args[2], 10, 40)
	if err != nil {
		return err
	}
	if err := limitSelf(seconds, memory); err != nil {
		return err
	}
	debug.SetMemoryLimit(int64(memory) / 4 * 3)
	content, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	cache, err := wazero.NewCompilationCacheWithDir(args[0])
	if err != nil {
		return err
	}
	c, err := engine(cache).CompileModule(context.Background(), content)
	if err != nil {
		return fmt.Errorf("%w: %w", errModule, err)
	}
	return c.Close(context.Background())
}

// precompile has a module compiled by a process of its own, one at a time, so that
// no module costs the daemon more than that process may use. The engine then finds
// its code in the cache.
func (d *Driver) precompile(ctx context.Context, content []byte) error {
	select {
	case d.compiling <- struct{}{}:
		defer func() { <-d.compiling }()
	case <-ctx.Done():
		return ctx.Err()
	}
	wall, cancel := context.WithTimeout(ctx, compileWall)
	defer cancel()
	limit := d.cfg.CompileCPU
	args := append(d.cfg.Compiler[1:len(d.cfg.Compiler):len(d.cfg.Compiler)], d.compiled(),
		strconv.FormatInt(int64((limit+time.Second-1)/time.Second), 10), strconv.Itoa(compileMemory))
	cmd := exec.CommandContext(wall, d.cfg.Compiler[0], args...)
	words := &bounds{left: maxWords}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(content), words, words
	cmd.WaitDelay = time.Second
	alone(cmd)
	runtime.LockOSThread() // the kernel takes the end of the thread for the end of the daemon
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.As(err, &exit):
		return fmt.Errorf("%w: compiler: %w", driver.ErrFault, err)
	case exit.ExitCode() == invalidModuleExit:
		return fmt.Errorf("%w: %s", driver.ErrInvalidImage, bytes.TrimSpace(words.Bytes()))
	case exit.UserTime()+exit.SystemTime() >= limit/10*9: // the kernel's two clocks differ a little
		return fmt.Errorf("%w: compiling takes more than %s of CPU time", driver.ErrImageTooLarge, limit)
	case bytes.Contains(words.Bytes(), []byte("out of memory")) || bytes.Contains(words.Bytes(), []byte("cannot allocate memory")):
		return fmt.Errorf("%w: compiling takes more than %d bytes of memory", driver.ErrImageTooLarge, compileMemory)
	}
	return fmt.Errorf("%w: compiler: %w: %.300s", driver.ErrFault, err, words.Bytes())
}

// bounds keeps the first bytes written to it.
type bounds struct {
	bytes.Buffer
	left int
}

func (b *bounds) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	b.Buffer.Write(p[:n])
	return len(p), nil
}
