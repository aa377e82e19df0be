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
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

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
}

// Run parses the arguments and runs until the command ends or ctx does.
func (m *Main) Run(ctx context.Context) error {
	home := "."
	if dir, err := os.UserHomeDir(); err == nil {
		home = filepath.Join(dir, ".nexgate")
	}
	root := &cobra.Command{
		Use:           "nexgate",
		Short:         "The gateway of Nexara: uploads, downloads, custody of results, live logs",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().String("home", home, "folder for keys, configuration and blobs")
	root.AddCommand(m.initCommand(), m.startCommand(), m.statusCommand())
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
		Example: `  nexgate init --home ~/.nexgate --chain-id nexara-1 --rpc http://127.0.0.1:26657`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, _ := cmd.Flags().GetString("home")
			cfg.P2P = []string{p2p}
			return m.makeHome(home, cfg)
		},
	}
	cmd.Flags().StringVar(&cfg.ChainID, "chain-id", cfg.ChainID, "chain to serve")
	cmd.Flags().StringVar(&cfg.RPC, "rpc", cfg.RPC, "RPC address of a node")
	cmd.Flags().StringVar(&cfg.Listen, "listen", cfg.Listen, "HTTP address, on loopback")
	cmd.Flags().StringVar(&p2p, "p2p", cfg.P2P[0], "multiaddress of the IPFS node")
	return cmd
}

func (m *Main) makeHome(home string, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(home, configFile)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already", filepath.Join(home, configFile))
	}
	k, _, err := key.LoadOrCreate(filepath.Join(home, nodeKey))
	if err != nil {
		return err
	}
	peer, err := ipfs.InitKey(filepath.Join(home, peerKey))
	if err != nil {
		return err
	}
	if err := cfg.save(home); err != nil {
		return err
	}
	return json.NewEncoder(m.Stdout).Encode(map[string]string{
		"pubkey": hex.EncodeToString(k.PublicKey()), "peer_id": peer, "home": home,
	})
}

func (m *Main) startCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "start",
		Short:   "Serve until interrupted",
		Example: `  nexgate start --home ~/.nexgate`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, _ := cmd.Flags().GetString("home")
			cfg, err := load(home)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), home, cfg, m.Stderr)
		},
	}
}

func (m *Main) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Ask a running gateway how it is",
		Example: `  nexgate status --home ~/.nexgate`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, _ := cmd.Flags().GetString("home")
			cfg, err := load(home)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 10*time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+cfg.Listen+"/v1/status", nil)
			if err != nil {
				return err
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				return fmt.Errorf("no gateway answers on %s: %w", cfg.Listen, err)
			}
			defer res.Body.Close()
			_, err = io.Copy(m.Stdout, io.LimitReader(res.Body, 1<<20))
			return err
		},
	}
}
