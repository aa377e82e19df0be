// Command nexgate is the gateway: uploads, downloads, custody of results, live logs. It wires node/gateway to
// an IPFS node, a key and a chain client; the parts decide, this file only joins them.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nexara/nexara/node/blob/ipfs"
	"github.com/nexara/nexara/node/key"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	m := Main{Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr}
	if err := m.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "nexgate:", err)
		os.Exit(1)
	}
}

// Main is one run of the program; tests make their own.
type Main struct {
	Args           []string
	Stdout, Stderr io.Writer

	home   string
	output string
}

// errOutput: --output is neither text nor json.
var errOutput = errors.New("--output is text or json")

// Run parses the arguments and runs until the command ends or ctx does.
func (m *Main) Run(ctx context.Context) error {
	home := "."
	if dir, err := os.UserHomeDir(); err == nil {
		home = filepath.Join(dir, ".nexgate")
	}
	root := &cobra.Command{
		Use:   "nexgate",
		Short: "The gateway of Nexara: uploads, downloads, custody of results, live logs",
		Long: `nexgate is the front door of the market: it takes uploads, serves blobs, takes custody of results so that
operators are paid, and passes on the logs of running shards. It is set up in three steps:

  nexgate init --chain-id nexara-1 --rpc http://127.0.0.1:26657    makes keys and gateway.yaml
  a governance proposal adds the printed public key to the parameter tasks.gateways
  nexgate start                                                    serves until interrupted`,
		Example:       "  nexgate init && nexgate start",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if m.output != "text" && m.output != "json" {
				return errOutput
			}
			abs, err := filepath.Abs(m.home)
			m.home = abs
			return err
		},
	}
	root.PersistentFlags().StringVar(&m.home, "home", home, "folder for keys, configuration and blobs")
	// JSON by default: a gateway is set up and watched by programs.
	root.PersistentFlags().StringVarP(&m.output, "output", "o", "json", "text or json")
	root.AddCommand(m.initCommand(), m.startCommand(), m.statusCommand(), m.versionCommand())
	root.SetArgs(m.Args)
	root.SetOut(m.Stdout)
	root.SetErr(m.Stderr)
	return root.ExecuteContext(ctx)
}

func (m *Main) initCommand() *cobra.Command {
	cfg := DefaultConfig()
	var p2p string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make keys and a configuration, and print the key that governance lists",
		Long: `Makes the folder, the key that signs custody receipts, the key of the IPFS node and gateway.yaml.
Prints the public key: the chain's parameter tasks.gateways must hold it before receipts count.`,
		Example: `  nexgate init --chain-id nexara-1 --rpc http://127.0.0.1:26657
  nexgate init --home ~/second --listen 127.0.0.1:8482 --p2p /ip4/127.0.0.1/tcp/8483 --output text`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg.P2P = []string{p2p}
			return m.makeHome(cfg)
		},
	}
	cmd.Flags().StringVar(&cfg.ChainID, "chain-id", cfg.ChainID, "chain to serve")
	cmd.Flags().StringVar(&cfg.RPC, "rpc", cfg.RPC, "RPC address of a node")
	cmd.Flags().StringVar(&cfg.Listen, "listen", cfg.Listen, "HTTP address, on loopback")
	cmd.Flags().StringVar(&p2p, "p2p", cfg.P2P[0], "multiaddress of the IPFS node")
	return cmd
}

// made is what init says.
type made struct {
	Home   string `json:"home"`
	PeerID string `json:"peer_id"`
	Pubkey string `json:"pubkey"`
}

func (m *Main) makeHome(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	config := filepath.Join(m.home, configFile)
	if _, err := os.Stat(config); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already; edit it, or choose another --home", config)
	}
	if err := os.MkdirAll(m.home, 0o700); err != nil {
		return err
	}
	k, _, err := key.LoadOrCreate(filepath.Join(m.home, nodeKey))
	if err != nil {
		return err
	}
	peer, err := ipfs.InitKey(filepath.Join(m.home, peerKey))
	if err != nil {
		return err
	}
	// Last: a home with a configuration is a whole one.
	if err := cfg.save(m.home); err != nil {
		return err
	}
	said := made{Home: m.home, PeerID: peer, Pubkey: hex.EncodeToString(k.PublicKey())}
	if m.output == "json" {
		return m.json(said)
	}
	return m.printf("home        %s\npeer        %s\npublic key  %s\n\nNow governance adds the public key to the parameter tasks.gateways. Then: nexgate start --home %s\n",
		said.Home, said.PeerID, said.Pubkey, said.Home)
}

func (m *Main) startCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "start",
		Short: "Serve until interrupted",
		Long: `Serves the HTTP API on loopback and blocks to NexCores over IPFS. It starts and serves blobs without a chain;
custody and logs need one.`,
		Example: `  nexgate start
  nexgate start --home /srv/nexgate`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(m.home)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), m.home, cfg, m.Stderr)
		},
	}
}

func (m *Main) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  nexgate version --output text", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if m.output == "json" {
				return m.json(map[string]string{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			return m.printf("nexgate %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}

// version is the module's, or the commit's when it was built from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return info.Main.Version
}

func (m *Main) json(v any) error {
	enc := json.NewEncoder(m.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func (m *Main) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(m.Stdout, format, args...)
	return err
}
