package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/cmd/internal/scripttest"
	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/file"
	"github.com/nexara/nexara/node/blob/remote"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nexgate": main})
}

// TestScripts runs the program as users do, one story per file of testdata/script.
func TestScripts(t *testing.T) {
	cmds := scripttest.Commands()
	cmds["upload"] = upload
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Cmds: cmds,
	})
}

// upload sends bytes that do not compress to the gateway in $GATEWAY, as clients do, and sets ROOT to their CID.
// With ! it must be refused with the error class named.
//
//	upload KIB
//	! upload KIB CLASS
func upload(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 && !neg || len(args) != 2 && neg {
		ts.Fatalf("usage: upload KIB, or ! upload KIB CLASS")
	}
	kib, err := strconv.Atoi(args[0])
	ts.Check(err)
	data := make([]byte, kib<<10)
	rand.NewChaCha8([32]byte{byte(kib)}).Read(data) // the same bytes in every run
	store, err := file.Open(file.Config{Dir: ts.MkAbs("upload-" + args[0]), MaxBytes: math.MaxInt64, Logger: slog.New(slog.DiscardHandler)})
	ts.Check(err)
	defer func() { ts.Check(store.Close()) }()
	ctx, cancel := context.WithTimeout(context.Background(), scripttest.Patience)
	defer cancel()
	root, err := blob.AddBytes(ctx, store, data)
	ts.Check(err)
	client := remote.NewClient()
	defer client.CloseIdleConnections()
	said, err := remote.Upload(ctx, ts.Getenv("GATEWAY"), store, root.CID, remote.Config{Client: client})
	switch {
	case !neg:
		ts.Check(err)
		ts.Setenv("ROOT", said.Root)
	case !errors.Is(err, blob.OfCode(args[1])):
		ts.Fatalf("%d KiB: %v, not %s", kib, err, args[1])
	}
}

// Every command has examples that name it, and no flag lacks a text.
func TestHelp(t *testing.T) {
	for _, name := range []string{"init", "start", "status", "version"} {
		var out bytes.Buffer
		m := Main{Args: []string{name, "--help"}, Stdout: &out, Stderr: io.Discard}
		require.NoError(t, m.Run(t.Context()))
		lines := scripttest.Examples(out.String())
		require.NotEmpty(t, lines, name)
		for _, line := range lines {
			require.True(t, strings.HasPrefix(line, "nexgate "+name), line)
		}
	}
}

// Each field of a configuration is bounded, and the error names it.
func TestConfigBounds(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	for field, changes := range map[string][]func(*Config){
		"chain_id": {func(c *Config) { c.ChainID = "" }},
		"rpc": {
			func(c *Config) { c.RPC = "" }, func(c *Config) { c.RPC = "127.0.0.1:26657" }, func(c *Config) { c.RPC = "ftp://x" },
			func(c *Config) { c.RPC = "http://" },
		},
		"listen": {
			func(c *Config) { c.Listen = "" }, func(c *Config) { c.Listen = "0.0.0.0:1" }, func(c *Config) { c.Listen = "127.0.0.1" },
			func(c *Config) { c.Listen = "localhost:1" },
		},
		"p2p":            {func(c *Config) { c.P2P = nil }, func(c *Config) { c.P2P = make([]string, maxP2P+1) }},
		"max_upload_mib": {func(c *Config) { c.MaxUploadMiB = 0 }, func(c *Config) { c.MaxUploadMiB = math.MaxInt64 }},
		"max_result_mib": {func(c *Config) { c.MaxResultMiB = -1 }, func(c *Config) { c.MaxResultMiB = maxMiB + 1 }},
		"store_mib":      {func(c *Config) { c.StoreMiB = 15 }, func(c *Config) { c.StoreMiB = maxMiB + 1 }},
		"keep_hours":     {func(c *Config) { c.KeepHours = 0 }, func(c *Config) { c.KeepHours = maxKeepHours + 1 }},
	} {
		for _, change := range changes {
			c := DefaultConfig()
			change(&c)
			err := c.Validate()
			require.ErrorIs(t, err, ErrConfig, field)
			require.ErrorContains(t, err, field+": ")
		}
	}
	c := DefaultConfig()
	c.KeepHours, c.StoreMiB, c.MaxUploadMiB = maxKeepHours, maxMiB, maxMiB
	require.NoError(t, c.Validate())
	require.Positive(t, c.keep())
	require.Positive(t, c.StoreMiB<<20)
}

// What is saved is what is loaded, and an empty file is the default.
func TestConfigRoundTrip(t *testing.T) {
	home := t.TempDir()
	c := DefaultConfig()
	c.ChainID, c.P2P, c.KeepHours = "t-1", []string{"/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"}, 3
	require.NoError(t, c.save(home))
	got, err := load(home)
	require.NoError(t, err)
	require.Equal(t, c, got)
	require.FileExists(t, filepath.Join(home, configFile))
}
