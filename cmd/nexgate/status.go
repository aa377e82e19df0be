package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nexara/nexara/node/blob/ipfs"
)

// errNoGateway: nothing that is a gateway answers on the configured address.
var errNoGateway = errors.New("no gateway answers")

const (
	statusTimeout  = 10 * time.Second
	maxStatusBytes = 1 << 20
)

// gatewayStatus is what GET /v1/status answers.
type gatewayStatus struct {
	ChainID string   `json:"chain_id"`
	PeerID  string   `json:"peer_id"`
	Addrs   []string `json:"addrs"`
	Blocks  int64    `json:"blocks"`
	Bytes   int64    `json:"bytes"`
	Pins    int      `json:"pins"`
}

// status is the answer of this process.
func status(ctx context.Context, node *ipfs.Node, cfg Config) gatewayStatus {
	out := gatewayStatus{ChainID: cfg.ChainID, PeerID: node.PeerID(), Addrs: node.Addrs()}
	if stats, err := node.Stats(ctx); err == nil {
		out.Blocks, out.Bytes, out.Pins = stats.Blocks, stats.Bytes, stats.Pins
	}
	return out
}

func (m *Main) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Ask the running gateway how it is",
		Example: `  nexgate status
  nexgate status --output text`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(m.home)
			if err != nil {
				return err
			}
			s, err := askStatus(cmd.Context(), cfg.Listen)
			if err != nil {
				return err
			}
			if m.output == "json" {
				return m.json(s)
			}
			return m.printf("chain   %s\npeer    %s\np2p     %s\nblobs   %d blocks, %d bytes, %d pins\n",
				s.ChainID, s.PeerID, strings.Join(s.Addrs, " "), s.Blocks, s.Bytes, s.Pins)
		},
	}
}

// askStatus asks the gateway at an address; errNoGateway when there is none.
func askStatus(ctx context.Context, address string) (s gatewayStatus, err error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/v1/status", nil)
	if err != nil {
		return s, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, fmt.Errorf("%w on %s (run `nexgate start` first): %w", errNoGateway, address, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxStatusBytes))
	if err != nil {
		return s, err
	}
	if res.StatusCode != http.StatusOK {
		return s, fmt.Errorf("%w on %s: HTTP %s", errNoGateway, address, res.Status)
	}
	if err := json.Unmarshal(raw, &s); err != nil || s.PeerID == "" {
		return s, fmt.Errorf("%w on %s: the answer is another program's", errNoGateway, address)
	}
	return s, nil
}
