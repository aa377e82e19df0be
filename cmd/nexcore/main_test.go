package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob/file"
	"github.com/nexara/nexara/node/chain"
	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/gateway"
	"github.com/nexara/nexara/node/key"
	"github.com/nexara/nexara/node/provider"
	"github.com/nexara/nexara/x/nexcore/bond"
)

func run(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	m := Main{Args: args, Stdout: &out, Stderr: io.Discard}
	err := m.Run(ctx)
	return out.String(), err
}

func operator(t *testing.T) string {
	k, err := key.Generate()
	require.NoError(t, err)
	return k.Address()
}

func home(t *testing.T) string {
	dir, err := os.MkdirTemp("", "nx") // short: the socket's path is bounded
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestInitMakesAWholeHome(t *testing.T) {
	dir, op := home(t), operator(t)
	out, err := run(t.Context(), "init", "--home", dir, "--operator", op, "--chain-id", "t-1", "--containerd", "none",
		"--p2p", "/ip4/127.0.0.1/tcp/9999", "--output", "json")
	require.NoError(t, err)
	var said struct {
		Address string `json:"address"`
		PeerID  string `json:"peer_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &said))
	h := provider.Home(dir)
	k, err := key.Load(h.NodeKey())
	require.NoError(t, err)
	require.Equal(t, k.Address(), said.Address)
	raw, err := os.ReadFile(h.Register())
	require.NoError(t, err)
	var reg struct {
		registration
		Spec struct {
			Runtimes   []string `json:"runtimes"`
			Multiaddrs []string `json:"multiaddrs"`
			CPU        string   `json:"cpu_milli"`
		} `json:"spec"`
	}
	require.NoError(t, json.Unmarshal(raw, &reg))
	require.Equal(t, []string{"wasm"}, reg.Spec.Runtimes)
	require.Equal(t, []string{"/ip4/127.0.0.1/tcp/9999/p2p/" + said.PeerID}, reg.Spec.Multiaddrs)
	require.NotEqual(t, "0", reg.Spec.CPU)
	// The proof is what the chain will check.
	msg, err := bond.Registration{ChainID: "t-1", Operator: op, NodePubkey: k.PublicKey()}.Message()
	require.NoError(t, err)
	proof, err := hex.DecodeString(reg.NodeProof)
	require.NoError(t, err)
	require.NoError(t, key.Verify(k.PublicKey(), msg, proof))

	_, err = run(t.Context(), "init", "--home", dir, "--operator", op)
	require.ErrorContains(t, err, "is there already")
	_, err = run(t.Context(), "init", "--home", home(t))
	require.ErrorIs(t, err, provider.ErrConfig)
	_, err = run(t.Context(), "init", "--home", home(t), "--operator", "cosmos1x")
	require.ErrorIs(t, err, key.ErrAddress)
}

// The rate of the network is that to the first gateway; without one it is not made up.
func TestInitMeasuresTheNetwork(t *testing.T) {
	st, err := file.Open(file.Config{Dir: t.TempDir(), MaxBytes: 64 << 20, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer st.Close()
	for _, there := range []bool{true, false} {
		handler, err := gateway.NewBlobHandler(gateway.BlobConfig{Store: st, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		s := httptest.NewServer(handler)
		if !there {
			s.Close()
		}
		dir := home(t)
		out, err := run(t.Context(), "init", "--home", dir, "--operator", operator(t), "--containerd", "none", "--gateway", s.URL)
		require.NoError(t, err)
		raw, err := os.ReadFile(provider.Home(dir).Register())
		require.NoError(t, err)
		var reg struct {
			Spec struct {
				Benchmark struct {
					Net uint64 `json:"net_mib_s,string"`
				} `json:"benchmark"`
			} `json:"spec"`
		}
		require.NoError(t, json.Unmarshal(raw, &reg))
		require.Equal(t, there, reg.Spec.Benchmark.Net > 0)
		require.Equal(t, !there, strings.Contains(out, "network rate"), out)
		left, err := filepath.Glob(filepath.Join(dir, ".rate-*"))
		require.NoError(t, err)
		require.Empty(t, left)
		s.Close()
	}
}

// node makes a block at every question and knows no record.
func node(t *testing.T, skew time.Duration) string {
	s := stubNode(skew)
	t.Cleanup(s.Close)
	return s.URL
}

// soughtTwice succeeds at a stub node once a NexCore was looked for twice: what is said after the first look was said.
const soughtTwice = "/sought-twice"

func stubNode(skew time.Duration) *httptest.Server {
	var height, sought atomic.Int64
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == soughtTwice {
			if sought.Load() < 2 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return
		}
		body, _ := io.ReadAll(r.Body)
		if bytes.Contains(body, []byte("Query/ByNodeAddress")) {
			sought.Add(1)
		}
		if bytes.Contains(body, []byte(`"status"`)) {
			fmt.Fprintf(w, `{"result":{"node_info":{"network":"t-1","moniker":"x"},"sync_info":{"latest_block_height":"%d","latest_block_time":%q}}}`,
				height.Add(1), time.Now().Add(skew).UTC().Format(time.RFC3339Nano))
			return
		}
		fmt.Fprint(w, `{"result":{"response":{"code":22,"codespace":"sdk","log":"not found"}}}`)
	}))
}

func TestDoctorAndStartOnAWrongClock(t *testing.T) {
	dir := home(t)
	_, err := run(t.Context(), "init", "--home", dir, "--operator", operator(t), "--chain-id", "t-1", "--rpc", node(t, 10*time.Minute),
		"--gateway", "http://127.0.0.1:1", "--containerd", "none", "--p2p", "/ip4/127.0.0.1/tcp/0")
	require.NoError(t, err)
	out, err := run(t.Context(), "doctor", "--home", dir, "--output", "json")
	require.ErrorIs(t, err, errDoctor)
	var found []finding
	require.NoError(t, json.Unmarshal([]byte(out), &found))
	level := map[string]string{}
	for _, f := range found {
		level[f.Check] = f.Level
		if f.Level == levelFail && f.Check != "machine" {
			require.NotEmpty(t, f.Hint, f.Check)
		}
	}
	for check, want := range map[string]string{
		"config": levelOK, "node key": levelOK, "peer key": levelOK, "chain": levelOK, "clock": levelFail, "registered": levelFail,
		"gateway": levelWarn, "custody": levelFail, "wasm": levelOK, "daemon": levelOK,
	} {
		require.Equal(t, want, level[check], check)
	}
	text, err := run(t.Context(), "doctor", "--home", dir)
	require.ErrorIs(t, err, errDoctor)
	require.Contains(t, text, "fail  clock")

	_, err = run(t.Context(), "start", "--home", dir)
	require.ErrorIs(t, err, chain.ErrClockSkew)
	require.NoError(t, os.Chmod(provider.Home(dir).NodeKey(), 0o644))
	_, err = run(t.Context(), "start", "--home", dir)
	require.ErrorIs(t, err, key.ErrPermissions)
}

func TestStartServesUntilInterrupted(t *testing.T) {
	dir := home(t)
	_, err := run(t.Context(), "init", "--home", dir, "--operator", operator(t), "--chain-id", "t-1", "--rpc", node(t, 0),
		"--containerd", "none", "--blobs", "http")
	require.NoError(t, err)
	_, err = run(t.Context(), "status", "--home", dir)
	require.ErrorIs(t, err, provider.ErrNotRunning)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := run(ctx, "start", "--home", dir); done <- err }()
	var out string
	deadline := time.Now().Add(30 * time.Second)
	for {
		if out, err = run(t.Context(), "status", "--home", dir, "--output", "json"); err == nil {
			break
		}
		require.False(t, time.Now().After(deadline), "never: status")
		time.Sleep(10 * time.Millisecond)
	}
	var s provider.Status
	require.NoError(t, json.Unmarshal([]byte(out), &s))
	require.Equal(t, "t-1", s.ChainID)
	out, err = run(t.Context(), "status", "--home", dir)
	require.NoError(t, err)
	require.Contains(t, out, "waiting to be registered")
	_, err = run(t.Context(), "start", "--home", dir)
	require.ErrorContains(t, err, "another nexcore runs")
	out, err = run(t.Context(), "drain", "--home", dir)
	require.NoError(t, err)
	require.Contains(t, out, "draining")
	cancel()
	require.NoError(t, <-done)
}

func TestHelpHasExamples(t *testing.T) {
	for _, cmd := range []string{"init", "start", "status", "drain", "doctor", "version"} {
		out, err := run(t.Context(), cmd, "--help")
		require.NoError(t, err)
		require.Contains(t, out, "nexcore "+cmd, cmd)
		require.Contains(t, out, "Examples:", cmd)
	}
	out, err := run(t.Context(), "version")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(out, "nexcore "))
	_, err = run(t.Context(), "version", "--output", "xml")
	require.ErrorIs(t, err, errOutput)
}

func TestProbeOfWASM(t *testing.T) {
	for _, p := range probes(provider.DriverConfig{WASM: true}) {
		caps, took, err := p.run(t.Context())
		require.NoError(t, err)
		require.Positive(t, took)
		require.Equal(t, driver.RuntimeWASM, caps.Runtime)
	}
}
