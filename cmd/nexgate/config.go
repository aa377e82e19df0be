package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"
)

// Config is gateway.yaml in the home folder.
type Config struct {
	// ChainID and RPC name the chain and a node of it.
	ChainID string `yaml:"chain_id"`
	RPC     string `yaml:"rpc"`
	// Listen is the HTTP address, on loopback.
	Listen string `yaml:"listen"`
	// P2P are the multiaddresses on which the IPFS node listens.
	P2P []string `yaml:"p2p"`
	// MaxUploadMiB bounds one upload, MaxResultMiB one result taken into custody, StoreMiB all blocks.
	MaxUploadMiB int64 `yaml:"max_upload_mib"`
	MaxResultMiB int64 `yaml:"max_result_mib"`
	StoreMiB     int64 `yaml:"store_mib"`
	// KeepHours is how long results and uploads stay pinned.
	KeepHours int64 `yaml:"keep_hours"`
}

// ErrConfig says that a configuration cannot be used.
var ErrConfig = errors.New("invalid configuration")

const (
	configFile = "gateway.yaml"
	nodeKey    = "gateway.key"
	peerKey    = "peer.key"
	blobFolder = "blobs"
)

// DefaultConfig is a gateway beside a local node.
func DefaultConfig() Config {
	return Config{
		ChainID: "nexara-1", RPC: "http://127.0.0.1:26657", Listen: "127.0.0.1:8480",
		P2P: []string{"/ip4/127.0.0.1/tcp/8481"}, MaxUploadMiB: 4 << 10, MaxResultMiB: 4 << 10, StoreMiB: 64 << 10, KeepHours: 7 * 24,
	}
}

// Validate names the first field that cannot be used.
func (c Config) Validate() error {
	switch {
	case c.ChainID == "":
		return fmt.Errorf("%w: chain_id is empty", ErrConfig)
	case c.RPC == "":
		return fmt.Errorf("%w: rpc is empty", ErrConfig)
	case c.Listen == "":
		return fmt.Errorf("%w: listen is empty", ErrConfig)
	case c.MaxUploadMiB < 1 || c.MaxResultMiB < 1 || c.StoreMiB < 16 || c.KeepHours < 1:
		return fmt.Errorf("%w: max_upload_mib, max_result_mib and keep_hours are at least 1, store_mib 16", ErrConfig)
	}
	return nil
}

func (c Config) keep() time.Duration { return time.Duration(c.KeepHours) * time.Hour }

// load reads the home folder's configuration.
func load(home string) (Config, error) {
	c := DefaultConfig()
	bz, err := os.ReadFile(filepath.Join(home, configFile))
	if err != nil {
		return c, fmt.Errorf("%w (run `nexgate init` first)", err)
	}
	if err := yaml.NewDecoder(bytes.NewReader(bz), yaml.DisallowUnknownField()).Decode(&c); err != nil {
		return c, fmt.Errorf("%w: %s: %w", ErrConfig, configFile, err)
	}
	return c, c.Validate()
}

func (c Config) save(home string) error {
	bz, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(home, configFile), bz, 0o600)
}
