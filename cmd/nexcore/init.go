package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/nexara/nexara/node/blob/ipfs"
	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/inventory"
	"github.com/nexara/nexara/node/key"
	"github.com/nexara/nexara/node/provider"
	nexcorev1 "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1"
	"github.com/nexara/nexara/x/nexcore/bond"
)

const hostContainerd = "/run/containerd/containerd.sock"

func (m *Main) initCommand() *cobra.Command {
	cfg := provider.Default()
	containers := "auto"
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make keys and a configuration, measure the machine, write what the operator signs",
		Long: `Makes the home folder with the hot node key, the key of the IPFS node and config.yaml, measures cores, memory,
disk, GPUs and speed, and writes register.json. The operator registers with it:

  nexarad tx nexcore register ~/.nexcore/register.json --from operator

That also grants the node key an allowance for gas. The operator's own key is never needed on this machine.`,
		Example: `  nexcore init --operator nexa1... --region eu-west
  nexcore init --home /srv/nexcore --operator nexa1... --chain-id nexara-1 --rpc http://127.0.0.1:26657 \
    --gateway http://127.0.0.1:8480 --p2p /ip4/0.0.0.0/tcp/8491 --price-cpu 0.03`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch containers {
			case "auto":
				if _, err := os.Stat(hostContainerd); err == nil && os.Geteuid() == 0 {
					cfg.Drivers.Container.Address = hostContainerd
				}
			case "none":
			default:
				cfg.Drivers.Container.Address = containers
			}
			return m.makeHome(cmd.Context(), cfg)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Chain.Operator, "operator", "", "address of the account that registers this machine and pays its gas (required)")
	f.StringVar(&cfg.Chain.ID, "chain-id", cfg.Chain.ID, "chain to work for")
	f.StringVar(&cfg.Chain.RPC, "rpc", cfg.Chain.RPC, "RPC address of a node")
	f.Uint64Var(&cfg.Chain.GasPrice, "gas-price", cfg.Chain.GasPrice, "anex per unit of gas")
	f.StringVar(&cfg.Region, "region", cfg.Region, "region cell, such as eu-west")
	f.StringSliceVar(&cfg.Gateway.URLs, "gateway", cfg.Gateway.URLs, "gateways that vouch for results")
	f.StringVar(&cfg.Blobs.Mode, "blobs", cfg.Blobs.Mode, "ipfs, or http to fetch from and upload to gateways without a listening port")
	f.Int64Var(&cfg.Blobs.MaxMiB, "store-mib", cfg.Blobs.MaxMiB, "most disk for blocks")
	f.StringSliceVar(&cfg.Blobs.Listen, "p2p", cfg.Blobs.Listen, "multiaddresses on which the IPFS node listens")
	f.StringSliceVar(&cfg.Blobs.Announce, "announce", nil, "multiaddresses at which others reach it, when they differ")
	f.StringSliceVar(&cfg.Blobs.Peers, "peer", nil, "multiaddresses of peers to stay connected with, ending in /p2p/ID")
	f.BoolVar(&cfg.Drivers.WASM, "wasm", cfg.Drivers.WASM, "run WASM modules")
	f.StringVar(&containers, "containerd", containers, "containerd socket for containers; auto uses the host's when root, none for no containers")
	f.StringVar(&cfg.Drivers.Container.Namespace, "namespace", cfg.Drivers.Container.Namespace, "containerd namespace; each NexCore on one containerd needs its own")
	f.StringVar(&cfg.Offer.Prices.CPU, "price-cpu", cfg.Offer.Prices.CPU, "NEX per core and hour")
	f.StringVar(&cfg.Offer.Prices.Memory, "price-memory", cfg.Offer.Prices.Memory, "NEX per GiB of memory and hour")
	f.StringVar(&cfg.Offer.Prices.Disk, "price-disk", cfg.Offer.Prices.Disk, "NEX per GiB of disk and hour")
	f.StringVar(&cfg.Offer.Prices.GPU, "price-gpu", cfg.Offer.Prices.GPU, "NEX per GPU and hour")
	f.Int64Var(&cfg.Offer.SharePercent, "share", cfg.Offer.SharePercent, "percent of cores and memory to offer")
	f.Int64Var(&cfg.Offer.CPUMilli, "cpu-milli", 0, "thousandths of a core to offer instead of a share")
	f.Int64Var(&cfg.Offer.MemoryMiB, "memory-mib", 0, "MiB of memory to offer instead of a share")
	f.Int64Var(&cfg.Offer.DiskMiB, "disk-mib", 0, "MiB of disk to offer instead of half of what is free")
	f.BoolVar(&cfg.Offer.GPUs, "gpus", false, "offer the GPUs")
	f.BoolVar(&cfg.Offer.Network, "network", false, "allow runs an outgoing network where a driver can isolate it")
	f.Int64Var(&cfg.Offer.MaxRunSeconds, "max-run-seconds", cfg.Offer.MaxRunSeconds, "longest shard to accept")
	f.StringVar(&cfg.API.Listen, "api", cfg.API.Listen, "local API: unix for a socket in the home folder, or a loopback address")
	f.StringVar(&cfg.Log.Level, "log-level", cfg.Log.Level, "debug, info, warn or error")
	f.StringVar(&cfg.Log.Format, "log-format", cfg.Log.Format, "text or json")
	return cmd
}

// registration is the file that the operator signs and sends.
type registration struct {
	Operator   string          `json:"operator"`
	NodePubkey string          `json:"node_pubkey"`
	NodeProof  string          `json:"node_proof"`
	Spec       json.RawMessage `json:"spec"`
}

func (m *Main) makeHome(ctx context.Context, cfg provider.Config) error {
	h := m.where()
	if err := cfg.Validate(); err != nil {
		return err
	}
	if _, err := key.DecodeAddress(cfg.Chain.Operator); err != nil {
		return fmt.Errorf("--operator: %w", err)
	}
	if _, err := os.Stat(h.Config()); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already; edit it, or choose another --home", h.Config())
	}
	if err := os.MkdirAll(filepath.Dir(h.NodeKey()), 0o700); err != nil {
		return err
	}
	k, _, err := key.LoadOrCreate(h.NodeKey())
	if err != nil {
		return err
	}
	peerID, err := ipfs.InitKey(h.PeerKey())
	if err != nil {
		return err
	}
	if m.output == "text" {
		m.printf("measuring this machine ...\n")
	}
	machine, err := inventory.Measure(ctx, inventory.Config{
		Dir: m.home, CachePath: h.Benchmark(), NetURL: rateURL(cfg.Gateway.URLs[0], m.home),
	})
	if err != nil {
		return err
	}
	spec := makeSpec(cfg, machine, peerID)
	proof, err := bond.Registration{ChainID: cfg.Chain.ID, Operator: cfg.Chain.Operator, NodePubkey: k.PublicKey()}.Message()
	if err != nil {
		return err
	}
	specJSON, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(spec)
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(registration{
		Operator: cfg.Chain.Operator, NodePubkey: hex.EncodeToString(k.PublicKey()),
		NodeProof: hex.EncodeToString(k.Sign(proof)), Spec: specJSON,
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(h.Register(), append(raw, '\n'), 0o600); err != nil {
		return err
	}
	// Last: a home with a configuration is a whole one.
	if err := cfg.Save(h); err != nil {
		return err
	}
	if m.output == "json" {
		return m.json(map[string]any{
			"home": m.home, "address": k.Address(), "node_pubkey": hex.EncodeToString(k.PublicKey()), "peer_id": peerID,
			"register": h.Register(), "machine": machine,
		})
	}
	m.printf("home       %s\nnode key   %s\npeer       %s\nmachine    %s, %d.%03d cores, %d MiB memory, %d MiB disk, %d kinds of GPU\nruntimes   %s\n",
		m.home, k.Address(), peerID, machine.Arch, machine.CPUMilli/1000, machine.CPUMilli%1000, machine.MemoryMiB, machine.DiskMiB,
		len(machine.GPUs), strings.Join(spec.GetRuntimes(), ", "))
	for _, w := range machine.Warnings {
		m.printf("warning    %s\n", w)
	}
	m.printf("\nNow the operator registers it, which also pays for its gas:\n\n  nexarad tx nexcore register %s --from <operator>\n\nThen: nexcore doctor --home %s && nexcore start --home %s\n",
		h.Register(), m.home, m.home)
	return nil
}

// makeSpec is what the NexCore says about itself in the registry.
func makeSpec(cfg provider.Config, machine *inventory.Machine, peerID string) *nexcorev1.Spec {
	spec := &nexcorev1.Spec{
		Arch: machine.Arch, CpuMilli: uint64(machine.CPUMilli), MemoryMib: uint64(machine.MemoryMiB), DiskMib: uint64(machine.DiskMiB),
		Region: cfg.Region, Benchmark: &nexcorev1.Benchmark{
			SingleCore: uint64(machine.Benchmark.SingleCore), MultiCore: uint64(machine.Benchmark.MultiCore),
			DiskMibS: uint64(machine.Benchmark.DiskWriteMiBs), NetMibS: uint64(machine.Benchmark.NetMiBs),
		},
	}
	for _, g := range machine.GPUs {
		spec.Gpus = append(spec.Gpus, &nexcorev1.GPU{Model: g.Model, Count: uint32(g.Count)})
	}
	if cfg.Drivers.Container.Address != "" {
		spec.Runtimes = append(spec.Runtimes, driver.RuntimeContainer)
	}
	if cfg.Drivers.WASM {
		spec.Runtimes = append(spec.Runtimes, driver.RuntimeWASM)
	}
	if cfg.Blobs.Mode == provider.BlobsIPFS {
		spec.PeerIds = []string{peerID}
		addrs := cfg.Blobs.Announce
		if len(addrs) == 0 {
			addrs = reachable(cfg.Blobs.Listen)
		}
		for _, a := range addrs {
			if !strings.Contains(a, "/p2p/") {
				a += "/p2p/" + peerID
			}
			if len(spec.Multiaddrs) < 16 {
				spec.Multiaddrs = append(spec.Multiaddrs, a)
			}
		}
	}
	return spec
}

// reachable replaces "any address" in what is listened on by this machine's own
// addresses, and leaves out ports that are chosen at start.
func reachable(listen []string) (out []string) {
	for _, a := range listen {
		rest, unspecified := strings.CutPrefix(a, "/ip4/0.0.0.0/")
		switch {
		case strings.HasSuffix(a, "/tcp/0") || strings.Contains(a, "/udp/0/"):
		case !unspecified:
			out = append(out, a)
		default:
			addrs, err := net.InterfaceAddrs()
			if err != nil {
				continue
			}
			for _, ia := range addrs {
				if n, ok := ia.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
					out = append(out, "/ip4/"+n.IP.String()+"/"+rest)
				}
			}
		}
	}
	return out
}
