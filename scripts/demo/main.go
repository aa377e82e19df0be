// Command demo shows a real job from wallet to payout on this machine: a chain, a gateway and three NexCores
// as processes, a job submitted by a requester, its shards live, logs, results, who was paid what, the money
// law checked, everything stopped. It is run by `make demo`; it fakes nothing and keeps nothing but its folder.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nexara/nexara/testutil/scenario"
	"github.com/nexara/nexara/x/denom"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	var d demo
	flag.StringVar(&d.driver, "driver", "container", "container or wasm")
	flag.StringVar(&d.bin, "bin", "build", "folder with nexarad, nexcore and nexgate")
	flag.StringVar(&d.dir, "dir", "demo", "folder of the demo; removed at the start, left at the end for a look at results and logs")
	flag.StringVar(&d.job, "job", "", "job file (default: the example of the driver)")
	flag.Parse()
	err := d.run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

type demo struct {
	driver, bin, dir, job string
	began                 time.Time
}

// machines are three NexCores of different region, price and size.
func machines() []scenario.NexCore {
	return []scenario.NexCore{
		{Name: "frankfurt", Region: "eu-west", CPUMilli: 2_000, MemoryMiB: 2_048, DiskMiB: 512, Price: 90},
		{Name: "virginia", Region: "us-east", CPUMilli: 1_500, MemoryMiB: 1_024, DiskMiB: 512, Price: 60},
		{Name: "mumbai", Region: "ap-south", CPUMilli: 1_000, MemoryMiB: 1_024, DiskMiB: 256, Price: 40},
	}
}

func (d *demo) say(format string, a ...any) {
	fmt.Printf("[%5.1fs] %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, a...))
}

func (d *demo) run(ctx context.Context) (err error) {
	d.began = time.Now()
	if d.dir, err = filepath.Abs(d.dir); err != nil {
		return err
	}
	if d.bin, err = filepath.Abs(d.bin); err != nil {
		return err
	}
	if d.job == "" {
		d.job = map[string]string{"wasm": "examples/wordcount/job.yaml", "container": "examples/digits/job.yaml"}[d.driver]
	}
	if d.job == "" {
		return fmt.Errorf("driver %q is neither container nor wasm", d.driver)
	}
	clean, err := d.folder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clean()) }()

	opts := scenario.Options{Dir: filepath.Join(d.dir, "world"), Bin: d.bin, Driver: d.driver, NexCores: machines()}
	if d.driver == "container" {
		daemon, err := startContainerd(ctx, filepath.Join(d.dir, "containerd"))
		if err != nil {
			return err
		}
		// Stopped last: NexCores end their runs before.
		defer func() { err = errors.Join(err, daemon.stop()) }()
		opts.Containerd = daemon.address
		d.say("containerd runs with its root, state and socket in %s", filepath.Join(d.dir, "containerd"))
	}
	d.say("starting a chain with 1 s blocks, a gateway and %d NexCores", len(opts.NexCores))
	w, err := scenario.Start(ctx, opts)
	if err != nil {
		return err
	}
	defer func() {
		d.say("stopping everything")
		err = errors.Join(err, w.Stop())
	}()
	for _, m := range w.Machines {
		d.say("NexCore %d %-9s in %-8s  %.1f cores  %5d MiB  asks %s a core and second, bond %s",
			m.ID, m.NexCore.Name, m.NexCore.Region, float64(m.CPUMilli)/1_000, m.MemoryMiB, denom.String(m.Price), "10000 NEX")
	}
	id, err := d.submit(ctx, w)
	if err != nil {
		return err
	}
	return d.report(ctx, w, id)
}

// submit submits the job and watches it to its end, as a requester does.
func (d *demo) submit(ctx context.Context, w *scenario.World) (uint64, error) {
	d.say("$ nexarad tx tasks submit %s --from %s", rel(d.job), scenario.Requester)
	id, err := w.Submit(ctx, d.job)
	if err != nil {
		return 0, err
	}
	d.say("$ nexarad job watch %d", id)
	watch := w.Command(ctx, "job", "watch", fmt.Sprint(id))
	watch.Stdout, watch.Stderr = os.Stdout, os.Stderr
	watch.Cancel = func() error { return watch.Process.Signal(os.Interrupt) }
	watch.WaitDelay = 5 * time.Second
	watching := make(chan error, 1)
	if err := watch.Start(); err != nil {
		return id, err
	}
	go func() { watching <- watch.Wait() }()
	return id, <-watching
}

func rel(path string) string {
	if cwd, err := os.Getwd(); err == nil {
		if r, err := filepath.Rel(cwd, path); err == nil {
			return r
		}
	}
	return path
}
