package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
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
	// MaxUploadMiB bounds one upload, MaxResultMiB one result taken into custody, StoreMiB all blocks. The larger of the
	// first two bounds a download.
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

// Bounds of a configuration. The largest sizes and times stay far inside int64 as bytes and nanoseconds.
const (
	maxConfigBytes = 64 << 10
	maxP2P         = 16
	maxMiB         = 1 << 30
	maxKeepHours   = 10 * 365 * 24
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
	bad := func(field, format string, args ...any) error {
		return fmt.Errorf("%w: %s: %s", ErrConfig, field, fmt.Sprintf(format, args...))
	}
	if c.ChainID == "" {
		return bad("chain_id", "is empty")
	}
	if u, err := url.Parse(c.RPC); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return bad("rpc", "is %q, want http://host:port", c.RPC)
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return bad("listen", "is %q, want a loopback address such as 127.0.0.1:8480: uploads are not signed yet", c.Listen)
	}
	if len(c.P2P) == 0 || len(c.P2P) > maxP2P {
		return bad("p2p", "has %d multiaddresses, want 1 to %d", len(c.P2P), maxP2P)
	}
	for _, b := range []struct {
		field           string
		value, min, max int64
	}{
		{"max_upload_mib", c.MaxUploadMiB, 1, maxMiB},
		{"max_result_mib", c.MaxResultMiB, 1, maxMiB},
		{"store_mib", c.StoreMiB, 16, maxMiB},
		{"keep_hours", c.KeepHours, 1, maxKeepHours},
	} {
		if b.value < b.min || b.value > b.max {
			return bad(b.field, "is %d, allowed are %d to %d", b.value, b.min, b.max)
		}
	}
	return nil
}

func (c Config) keep() time.Duration { return time.Duration(c.KeepHours) * time.Hour }

// maxDownload is the largest DAG served: whatever may be taken may be fetched.
func (c Config) maxDownload() int64 { return max(c.MaxUploadMiB, c.MaxResultMiB) << 20 }

// load reads the home folder's configuration; unknown fields are errors, what is absent has its default.
func load(home string) (Config, error) {
	c, path := DefaultConfig(), filepath.Join(home, configFile)
	f, err := os.Open(path)
	if err != nil {
		return c, fmt.Errorf("%w (run `nexgate init` first)", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return c, err
	}
	if len(raw) > maxConfigBytes {
		return c, fmt.Errorf("%w: %s is larger than %d bytes", ErrConfig, path, maxConfigBytes)
	}
	if err := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict()).Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("%w: %s: %w", ErrConfig, path, err)
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func (c Config) save(home string) error {
	bz, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(home, configFile), bz, 0o600)
}
