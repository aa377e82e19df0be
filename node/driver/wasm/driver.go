// Package wasm is the driver that runs WASM modules for wasip1 inside the daemon's
// own process, on wazero. It needs no root, no container runtime and no packages.
//
// A run sees /in, /out and /tmp and nothing else of the host: no sockets, no
// processes, no other files. Files are reached through folder handles that no
// path and no symbolic link can leave, writable space is counted in the file
// layer, memory is a mapping of the promised size. Modules are rewritten to call back
// every so many instructions: there time is enforced, and the share of a core. Runs die with the process: Recover answers ErrNotFound.
//
// It never leases, prices, packs or reaches a network. Place in the flow:
// node/lease hands it a Spec, it hands back an Outcome, a log and an output folder.
package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/nexara/nexara/node/driver"
)

// Config of the driver. Dir is required.
type Config struct {
	// Dir is the driver's own folder: runs and compiled code. Compiled code is
	// native code that is executed, so nobody else may write there.
	Dir string
	// Log receives what operators should know; nil discards.
	Log *slog.Logger
	// MaxModuleBytes is the largest module accepted.
	MaxModuleBytes int64
	// MaxModules is how many compiled modules are kept in memory.
	MaxModules int
	// MaxCacheBytes bounds compiled code on disk; the oldest goes first, at start.
	MaxCacheBytes int64
	// MinFreeBytes of the disk are never promised to a run.
	MinFreeBytes int64
	// Compiler is a command that calls Compile with the arguments added to it. Without
	// one, modules are compiled in this process, which bounds neither time nor memory.
	Compiler []string
	// CompileCPU is the CPU time that compiling one module may take.
	CompileCPU time.Duration
}

// Default fills what is not set.
func (c Config) Default() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.MaxModuleBytes == 0 {
		c.MaxModuleBytes = 64 << 20
	}
	if c.MaxModules == 0 {
		c.MaxModules = 16
	}
	if c.MaxCacheBytes == 0 {
		c.MaxCacheBytes = 1 << 30
	}
	if c.MinFreeBytes == 0 {
		c.MinFreeBytes = 64 << 20
	}
	if c.CompileCPU == 0 {
		c.CompileCPU = compileCPU
	}
	return c
}

// Validate reports the first wrong field.
func (c Config) Validate() error {
	switch {
	case !filepath.IsAbs(c.Dir):
		return errors.New("wasm: Dir must be absolute")
	case c.MaxModuleBytes < 8 || c.MaxModules < 1 || c.MaxCacheBytes < 0 || c.MinFreeBytes < 0 || c.CompileCPU < 0:
		return errors.New("wasm: limits must be positive")
	}
	return nil
}

// Driver implements driver.Driver, driver.Recoverer and driver.Sweeper.
type Driver struct {
	cfg     Config
	runtime wazero.Runtime
	cache   wazero.CompilationCache
	turns   turns

	ctx       context.Context // of compilations; ends with Close
	cancel    context.CancelFunc
	compiling chan struct{} // one at a time
	work      sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	runs    map[string]*run    // not removed
	modules map[string]*module // by digest
	refused map[string]error   // digests of modules that cost too much to compile
	files   map[string]stamp   // digest by path, while the file is the same
	tick    uint64             // orders uses of modules
}

var (
	_ driver.Driver    = (*Driver)(nil)
	_ driver.Recoverer = (*Driver)(nil)
	_ driver.Sweeper   = (*Driver)(nil)
)

// New opens the driver's folder and starts the engine.
func New(cfg Config) (*Driver, error) {
	cfg = cfg.Default()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	compiled := filepath.Join(cfg.Dir, compiledDir)
	for _, dir := range []string{compiled, filepath.Join(cfg.Dir, "runs")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("wasm: %w", err)
		}
	}
	if err := pruneCache(compiled, cfg.MaxCacheBytes); err != nil {
		return nil, fmt.Errorf("wasm: compiled code: %w", err)
	}
	cache, err := wazero.NewCompilationCacheWithDir(compiled)
	if err != nil {
		return nil, fmt.Errorf("wasm: compiled code: %w", err)
	}
	d := &Driver{
		cfg: cfg, runtime: engine(cache), cache: cache, turns: make(turns, runtime.GOMAXPROCS(0)), compiling: make(chan struct{}, 1),
		runs: map[string]*run{}, modules: map[string]*module{}, refused: map[string]error{}, files: map[string]stamp{},
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	if err := d.exportWASI(); err != nil {
		return nil, errors.Join(fmt.Errorf("wasm: %w", err), d.Close())
	}
	return d, nil
}

// exportWASI gives guests wasip1, except fd_renumber: the engine grows its
// descriptor table to any number the guest names, gigabytes at a call.
func (d *Driver) exportWASI() error {
	const wasiNotSupported = 58
	b := d.runtime.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	b.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) {
		stack[0] = wasiNotSupported
	}), []api.ValueType{api.ValueTypeI32, api.ValueTypeI32}, []api.ValueType{api.ValueTypeI32}).Export("fd_renumber")
	_, err := b.Instantiate(context.Background())
	return err
}

// compiledDir is the folder of compiled code in the driver's.
const compiledDir = "compiled"

func (d *Driver) compiled() string { return filepath.Join(d.cfg.Dir, compiledDir) }

// Name is driver.RuntimeWASM.
func (d *Driver) Name() string { return driver.RuntimeWASM }

// Capabilities says what is enforced here. A guest is one thread, so it never
// uses more than one core.
func (d *Driver) Capabilities(context.Context) (driver.Capabilities, error) {
	free, err := freeBytes(d.cfg.Dir)
	if err != nil {
		return driver.Capabilities{}, fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	}
	engine := "interpreter"
	if runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64" {
		engine = "compiler"
	}
	return driver.Capabilities{
		Runtime: driver.RuntimeWASM, CPUMilli: 1000, CPUFractions: true, MemoryMiB: maxMemoryMiB,
		DiskMiB: max(0, free-d.cfg.MinFreeBytes) >> 20,
		Facts: map[string]string{
			"abi": "wasip1", "engine": "wazero " + engine, "disk": "counted in the file layer", "cpu": meterName,
		},
	}, nil
}

// Start begins a run. The image is prepared when it is not yet.
func (d *Driver) Start(ctx context.Context, spec driver.Spec) (driver.Run, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if spec.Network {
		return nil, driver.ErrNetworkUnsupported
	}
	free, err := freeBytes(d.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrFault, err)
	}
	if need := spec.Limits.DiskMiB<<20 + spec.Limits.LogBytes + d.cfg.MinFreeBytes; free < need {
		return nil, fmt.Errorf("%w: %d bytes free, %d needed", driver.ErrNoSpace, free, need)
	}
	mod, _, err := d.acquire(ctx, spec.Image)
	if err != nil {
		return nil, err
	}
	r, err := d.admit(spec, mod)
	if err != nil {
		d.release(mod)
		return nil, err
	}
	if err := r.open(); err != nil {
		d.release(mod)
		d.forget(r)
		return nil, errors.Join(err, r.abandon(err))
	}
	go r.execute()
	return r, nil
}

// admit takes the ID, so that two starts of one ID cannot both pass.
func (d *Driver) admit(spec driver.Spec, mod *module) (*run, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, driver.ErrClosed
	}
	if d.runs[spec.ID] != nil {
		return nil, fmt.Errorf("%w: %s", driver.ErrExists, spec.ID)
	}
	r := newRun(d, spec, mod)
	d.runs[spec.ID] = r
	return r, nil
}

func (d *Driver) forget(r *run) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.runs[r.spec.ID] == r {
		delete(d.runs, r.spec.ID)
	}
}

// Recover finds the runs of this process only; others died with theirs.
func (d *Driver) Recover(_ context.Context, id string) (driver.Run, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.runs[id]; r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("%w: %s", driver.ErrNotFound, id)
}

// Sweep removes runs of this process and leftovers of earlier ones. What an
// earlier process left is dead, so it goes even when it is in keep.
func (d *Driver) Sweep(ctx context.Context, keep []string) ([]string, error) {
	dir := filepath.Join(d.cfg.Dir, "runs")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", driver.ErrFault, err)
	}
	var removed []string
	var errs []error
	for _, e := range entries {
		id := e.Name()
		d.mu.Lock()
		r := d.runs[id]
		d.mu.Unlock()
		switch {
		case r == nil:
			err = os.RemoveAll(filepath.Join(dir, id))
		case slices.Contains(keep, id):
			continue
		default:
			err = r.Remove(ctx)
		}
		if errs = append(errs, err); err == nil {
			removed = append(removed, id)
		}
	}
	sort.Strings(removed)
	return removed, errors.Join(errs...)
}

// Close stops and removes all runs and frees the engine.
func (d *Driver) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	runs := make([]*run, 0, len(d.runs))
	for _, r := range d.runs {
		runs = append(runs, r)
	}
	d.mu.Unlock()
	d.cancel()
	var errs []error
	for _, r := range runs {
		errs = append(errs, r.Remove(context.Background()))
	}
	d.work.Wait()
	ctx := context.Background()
	return errors.Join(append(errs, d.runtime.Close(ctx), d.cache.Close(ctx))...)
}
