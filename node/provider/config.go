package provider

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/nexara/nexara/node/lease"
	"github.com/nexara/nexara/node/offer"
)

// ErrConfig means that a configuration cannot be used; the text names the field.
var ErrConfig = errors.New("invalid configuration")

// maxConfigBytes bounds the configuration file.
const maxConfigBytes = 64 << 10

// Home is a NexCore's folder. Its methods are the only place that knows what lies where.
type Home string

// Names in the home folder.
func (h Home) join(parts ...string) string {
	return filepath.Join(append([]string{string(h)}, parts...)...)
}

// Config is the configuration file.
func (h Home) Config() string { return h.join("config.yaml") }

// NodeKey signs transactions: the hot key.
func (h Home) NodeKey() string { return h.join("keys", "node.key") }

// PeerKey names the IPFS node.
func (h Home) PeerKey() string { return h.join("keys", "peer.key") }

// Register is what the operator signs.
func (h Home) Register() string { return h.join("register.json") }

// Journal is the crash journal.
func (h Home) Journal() string { return h.join("journal.db") }

// Blobs is the block store.
func (h Home) Blobs() string { return h.join("blobs") }

// Runs is the folder of a driver.
func (h Home) Runs(driver string) string { return h.join("runs", driver) }

// Identity remembers the NexCore's number, so that a restart needs no chain.
func (h Home) Identity() string { return h.join("identity.json") }

// Benchmark keeps measured figures.
func (h Home) Benchmark() string { return h.join("benchmark.json") }

// Socket is where the local API listens by default.
func (h Home) Socket() string { return h.join("nexcore.sock") }

// APIAddress is the file that names the address of the local API while the daemon runs.
func (h Home) APIAddress() string { return h.join("api.addr") }

// Config is config.yaml.
type Config struct {
	Chain   ChainConfig   `yaml:"chain"`
	Region  string        `yaml:"region"`
	Gateway GatewayConfig `yaml:"gateway"`
	Blobs   BlobConfig    `yaml:"blobs"`
	Drivers DriverConfig  `yaml:"drivers"`
	Offer   offer.Config  `yaml:"offer"`
	Leases  LeaseConfig   `yaml:"leases"`
	API     APIConfig     `yaml:"api"`
	Log     LogConfig     `yaml:"log"`
}

// ChainConfig says which chain, by which node, and who pays.
type ChainConfig struct {
	ID  string `yaml:"id"`
	RPC string `yaml:"rpc"`
	// Operator is the address that registers this NexCore and whose fee grant pays its gas.
	Operator string `yaml:"operator"`
	// GasPrice is in anex per unit of gas.
	GasPrice uint64 `yaml:"gas_price"`
}

// GatewayConfig names the gateways that vouch for results and serve inputs.
type GatewayConfig struct {
	URLs    []string      `yaml:"urls"`
	Timeout time.Duration `yaml:"timeout"`
}

// Modes of BlobConfig.
const (
	// BlobsIPFS runs an embedded IPFS node.
	BlobsIPFS = "ipfs"
	// BlobsHTTP fetches from gateways and uploads to them: no listening port.
	BlobsHTTP = "http"
)

// BlobConfig says how inputs come and results go.
type BlobConfig struct {
	Mode string `yaml:"mode"`
	// MaxMiB bounds the block store.
	MaxMiB int64 `yaml:"max_mib"`
	// Listen and Announce are multiaddresses; Peers are ones to stay connected with, besides the gateways.
	Listen   []string `yaml:"listen"`
	Announce []string `yaml:"announce"`
	Peers    []string `yaml:"peers"`
}

// DriverConfig says what may run here.
type DriverConfig struct {
	WASM      bool            `yaml:"wasm"`
	Container ContainerConfig `yaml:"container"`
}

// ContainerConfig is how containers are run; without an address there are none.
type ContainerConfig struct {
	// Address is containerd's socket.
	Address   string `yaml:"address"`
	Namespace string `yaml:"namespace"`
	// OCIRuntime makes the containers: runc, crun, or empty for crun where it proves itself and runc else.
	OCIRuntime string `yaml:"oci_runtime"`
}

// LeaseConfig is the part of lease.Config that operators may set; zero means the default.
type LeaseConfig struct {
	StartsAtOnce  int           `yaml:"starts_at_once"`
	CacheMiB      int64         `yaml:"cache_mib"`
	Grace         time.Duration `yaml:"grace"`
	RetainResults time.Duration `yaml:"retain_results"`
	LogMiB        int64         `yaml:"log_mib"`
	PIDs          int64         `yaml:"pids"`
}

func (c LeaseConfig) config(h Home) lease.Config {
	return lease.Config{
		Home: string(h), StartsAtOnce: c.StartsAtOnce, CacheBytes: c.CacheMiB << 20, Grace: c.Grace,
		RetainResults: c.RetainResults, LogBytes: c.LogMiB << 20, PIDs: c.PIDs,
	}
}

// logMiB is the length of a run's log at most, a page of rounding included.
func (c LeaseConfig) logMiB() int64 {
	if c.LogMiB > 0 {
		return c.LogMiB + 1
	}
	return lease.Default().LogBytes>>20 + 1
}

// APIConfig says where the local API listens: "unix" for a socket in the home
// folder, or a loopback address such as 127.0.0.1:8490.
type APIConfig struct {
	Listen string `yaml:"listen"`
}

// LogConfig is the daemon's own log.
type LogConfig struct {
	// Level is debug, info, warn or error; Format is text or json.
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Default is a NexCore beside a local node and gateway.
func Default() Config {
	return Config{
		Chain: ChainConfig{ID: "nexara-1", RPC: "http://127.0.0.1:26657", GasPrice: 100_000_000}, Region: "local",
		Gateway: GatewayConfig{URLs: []string{"http://127.0.0.1:8480"}, Timeout: 5 * time.Minute},
		Blobs:   BlobConfig{Mode: BlobsIPFS, MaxMiB: 20 << 10, Listen: []string{"/ip4/127.0.0.1/tcp/8491"}},
		Drivers: DriverConfig{WASM: true, Container: ContainerConfig{Namespace: "nexara"}},
		Offer:   offer.Default(), API: APIConfig{Listen: "unix"}, Log: LogConfig{Level: "info", Format: "text"},
	}
}

// Validate names the first field that cannot be used.
func (c *Config) Validate() error {
	bad := func(field, format string, args ...any) error {
		return fmt.Errorf("%w: %s: %s", ErrConfig, field, fmt.Sprintf(format, args...))
	}
	httpURL := func(text string) bool {
		u, err := url.Parse(text)
		return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
	}
	switch {
	case c.Chain.ID == "":
		return bad("chain.id", "is empty")
	case !httpURL(c.Chain.RPC):
		return bad("chain.rpc", "is %q, want http://host:port", c.Chain.RPC)
	case c.Chain.Operator == "":
		return bad("chain.operator", "is empty; it is the account that registers this NexCore and pays its gas")
	case c.Region == "" || len(c.Region) > 32 || strings.Trim(c.Region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return bad("region", "is %q, want a region cell such as eu-west", c.Region)
	case len(c.Gateway.URLs) == 0 || len(c.Gateway.URLs) > 16:
		return bad("gateway.urls", "has %d entries, want 1 to 16", len(c.Gateway.URLs))
	case c.Blobs.Mode != BlobsIPFS && c.Blobs.Mode != BlobsHTTP:
		return bad("blobs.mode", "is %q, want %s or %s", c.Blobs.Mode, BlobsIPFS, BlobsHTTP)
	case c.Blobs.MaxMiB < 16:
		return bad("blobs.max_mib", "is %d, at least 16", c.Blobs.MaxMiB)
	case !c.Drivers.WASM && c.Drivers.Container.Address == "":
		return bad("drivers", "none is switched on; set wasm: true or container.address")
	case c.Leases.Grace < 0 || c.Leases.RetainResults < 0 || c.Leases.CacheMiB < 0 || c.Leases.LogMiB < 0 || c.Leases.PIDs < 0 || c.Leases.StartsAtOnce < 0:
		return bad("leases", "a value is negative")
	}
	for _, u := range c.Gateway.URLs {
		if !httpURL(u) {
			return bad("gateway.urls", "%q, want http://host:port", u)
		}
	}
	if c.API.Listen != "unix" {
		host, _, err := net.SplitHostPort(c.API.Listen)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			return bad("api.listen", "is %q, want unix or a loopback address such as 127.0.0.1:8490", c.API.Listen)
		}
	}
	switch c.Log.Level {
	case "debug", "info", "warn", "error":
	default:
		return bad("log.level", "is %q, want debug, info, warn or error", c.Log.Level)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		return bad("log.format", "is %q, want text or json", c.Log.Format)
	}
	if err := c.Offer.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return nil
}

// Load reads the home folder's configuration; unknown fields are errors.
func Load(h Home) (Config, error) {
	c := Default()
	f, err := os.Open(h.Config())
	if err != nil {
		return c, fmt.Errorf("%w (run `nexcore init` first)", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return c, err
	}
	if len(raw) > maxConfigBytes {
		return c, fmt.Errorf("%w: %s is larger than %d bytes", ErrConfig, h.Config(), maxConfigBytes)
	}
	if err := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict()).Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("%w: %s: %w", ErrConfig, h.Config(), err)
	}
	return c, c.Validate()
}

// Save writes the configuration, whole or not at all.
func (c Config) Save(h Home) error {
	raw, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return writeFile(h.Config(), raw)
}

func writeFile(path string, raw []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".write-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, werr := tmp.Write(raw)
	if err := errors.Join(werr, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
