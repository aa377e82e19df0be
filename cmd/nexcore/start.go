package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/file"
	"github.com/nexara/nexara/node/blob/ipfs"
	"github.com/nexara/nexara/node/blob/remote"
	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/driver/containerd"
	"github.com/nexara/nexara/node/driver/wasm"
	"github.com/nexara/nexara/node/inventory"
	"github.com/nexara/nexara/node/key"
	"github.com/nexara/nexara/node/offer"
	"github.com/nexara/nexara/node/provider"
	"github.com/nexara/nexara/node/store"
)

// gcPercent trades a little CPU for memory: an idle NexCore is to be small, and
// what it does is mostly waiting and copying.
const gcPercent = 50

// driverPatience is for how long a start waits for a container runtime.
const driverPatience = 30 * time.Second

func (m *Main) startCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "start",
		Short: "Offer this machine and run leases until interrupted",
		Long: `Posts and keeps the standing offer, runs what the market leases to this machine and delivers the results.

It refuses to start when this machine's clock is a minute or more away from the chain's. Interrupted or killed, it
goes on where it was at the next start: containers run on meanwhile, WASM shards are run again. Before a long stop,
run "nexcore drain" and wait until "nexcore status" shows no lease.`,
		Example: `  nexcore start
  nexcore start --home /srv/nexcore`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return m.start(cmd.Context()) },
	}
}

// start opens everything in order and closes it in reverse. The journal is first:
// its lock keeps a second daemon out of the home.
func (m *Main) start(ctx context.Context) (err error) {
	h := m.where()
	cfg, err := provider.Load(h)
	if err != nil {
		return err
	}
	log := logger(m.Stderr, cfg.Log)
	debug.SetGCPercent(gcPercent)
	journal, err := store.Open(store.Config{Path: h.Journal()})
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("%w: another nexcore runs in %s", err, h)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, journal.Close()) }()
	k, err := key.Load(h.NodeKey())
	if err != nil {
		return err
	}
	blobs, err := openBlobs(h, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, blobs.store.Close()) }()
	drivers, err := openDrivers(ctx, h, cfg.Drivers, log)
	defer func() {
		for _, d := range drivers {
			err = errors.Join(err, d.Close())
		}
	}()
	if err != nil {
		return err
	}
	p, err := provider.New(cfg, provider.Deps{
		Home: h, Key: k, Drivers: drivers, Store: blobs.store, Fetcher: blobs.fetcher, Network: blobs.network, Upload: blobs.upload,
		Journal: journal, Machine: machine(h), Logger: log, Version: version(),
	})
	if err != nil {
		return err
	}
	err = p.Run(ctx)
	log.Info("nexcore stopped", "err", err)
	return err
}

// blobs is the store and the ways in and out of it.
type blobs struct {
	store   blob.Store
	fetcher blob.Fetcher
	network provider.Network // nil without one
	upload  func(ctx context.Context, gateway, root string) error
}

func openBlobs(h provider.Home, cfg provider.Config, log *slog.Logger) (*blobs, error) {
	disk, err := file.Open(file.Config{Dir: h.Blobs(), MaxBytes: cfg.Blobs.MaxMiB << 20, Logger: log})
	if err != nil {
		return nil, err
	}
	if cfg.Blobs.Mode == provider.BlobsIPFS {
		node, err := ipfs.Open(ipfs.Config{
			Store: disk, KeyFile: h.PeerKey(), Listen: cfg.Blobs.Listen, Announce: cfg.Blobs.Announce, Peers: cfg.Blobs.Peers, Logger: log,
		})
		if err != nil {
			return nil, errors.Join(err, disk.Close())
		}
		return &blobs{store: node, fetcher: node, network: network{node}}, nil
	}
	client := remote.NewClient()
	fetcher, err := remote.New(remote.Config{Bases: cfg.Gateway.URLs, Store: disk, Client: client, Logger: log})
	if err != nil {
		return nil, errors.Join(err, disk.Close())
	}
	return &blobs{store: disk, fetcher: fetcher, upload: func(ctx context.Context, gateway, root string) error {
		id, err := blob.Parse(root)
		if err != nil {
			return err
		}
		_, err = remote.Upload(ctx, gateway, disk, id, remote.Config{Client: client})
		return err
	}}, nil
}

// network is an IPFS node as node/provider needs it.
type network struct{ *ipfs.Node }

func (n network) Connected() []string {
	seen := map[string]bool{}
	var out []string
	for _, p := range n.Peers() {
		if !seen[p.ID] {
			seen[p.ID] = true
			out = append(out, p.ID)
		}
	}
	return out
}

func (n network) Handle(protocol string, h func(string, provider.Stream)) {
	n.Node.Handle(protocol, func(id string, s ipfs.Stream) { h(id, s) })
}

// openDrivers is the list of drivers. A configured one that cannot work stops the
// start: leases of an earlier process may depend on it. What was opened before an
// error is returned too.
func openDrivers(ctx context.Context, h provider.Home, cfg provider.DriverConfig, log *slog.Logger) ([]driver.Driver, error) {
	var out []driver.Driver
	if cfg.WASM {
		if err := os.MkdirAll(h.Runs("wasm"), 0o700); err != nil {
			return out, err
		}
		self, err := os.Executable()
		if err != nil {
			return out, err
		}
		d, err := wasm.New(wasm.Config{Dir: h.Runs("wasm"), Log: log, Compiler: []string{self, compileCommand}})
		if err != nil {
			return out, err
		}
		out = append(out, d)
	}
	if cfg.Container.Address != "" {
		d, err := openContainers(ctx, h, cfg.Container, log)
		if err != nil {
			return out, fmt.Errorf("containers are configured and do not work (empty drivers.container.address to run without): %w", err)
		}
		out = append(out, d)
	}
	return out, nil
}

func openContainers(ctx context.Context, h provider.Home, cfg provider.ContainerConfig, log *slog.Logger) (driver.Driver, error) {
	if err := os.MkdirAll(h.Runs("container"), 0o711); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(driverPatience)
	for {
		d, err := containerd.New(ctx, containerd.Config{
			Dir: h.Runs("container"), Address: cfg.Address, Namespace: cfg.Namespace, OCIRuntime: cfg.OCIRuntime, Log: log,
		})
		if err == nil {
			return d, nil
		}
		if !errors.Is(err, driver.ErrUnavailable) || time.Now().After(deadline) || os.Geteuid() != 0 {
			return nil, err
		}
		log.Warn("waiting for containerd", "address", cfg.Address, "err", err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// machine measures what there is; speed comes from the file that init wrote.
func machine(h provider.Home) func(context.Context) (offer.Machine, error) {
	return func(ctx context.Context) (offer.Machine, error) {
		got, err := inventory.Measure(ctx, inventory.Config{Dir: string(h), CachePath: h.Benchmark()})
		if err != nil {
			return offer.Machine{}, err
		}
		return offer.Machine{CPUMilli: got.CPUMilli, MemoryMiB: got.MemoryMiB, FreeDiskMiB: got.DiskMiB}, nil
	}
}
