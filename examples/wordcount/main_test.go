package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// whole counts all texts at once by another way: the answer shards must add up to.
func whole(t *testing.T) map[string]int64 {
	files, err := filepath.Glob("texts/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	words := map[string]int64{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, w := range regexp.MustCompile(`\pL+`).FindAllString(string(b), -1) {
			words[strings.ToLower(w)]++
		}
	}
	return words
}

func add(sum map[string]int64, c *counts) {
	for w, n := range c.Words {
		sum[w] += n
	}
}

func TestShardsAddUp(t *testing.T) {
	want := whole(t)
	for _, shards := range []int{1, 2, 4, 7, 256} {
		sum := map[string]int64{}
		for i := range shards {
			c, err := count(os.DirFS("texts"), i, shards, io.Discard)
			require.NoError(t, err)
			add(sum, c)
		}
		require.True(t, maps.Equal(want, sum), "%d shards", shards)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range [][2]int{{-1, 2}, {2, 2}, {0, 0}} {
		_, err := count(os.DirFS("texts"), c[0], c[1], io.Discard)
		require.Error(t, err)
	}
	_, err := count(os.DirFS(t.TempDir()), 0, 1, io.Discard)
	require.Error(t, err)
	require.Error(t, run("texts", t.TempDir(), func(string) string { return "x" }, io.Discard))
}

// TestModule builds the module and runs it as a NexCore would: two folders, an
// environment, nothing else.
func TestModule(t *testing.T) {
	wasm := filepath.Join(t.TempDir(), "wordcount.wasm")
	build := exec.Command("go", "build", "-o", wasm, ".")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	binary, err := os.ReadFile(wasm)
	require.NoError(t, err)

	ctx := context.Background()
	const pages = 64 << 20 / 65536 // the memory job.yaml asks for
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(pages))
	defer runtime.Close(ctx)
	wasi_snapshot_preview1.MustInstantiate(ctx, runtime)
	module, err := runtime.CompileModule(ctx, binary)
	require.NoError(t, err)
	const shards = 4
	sum := map[string]int64{}
	for i := range shards {
		dir := t.TempDir()
		var log bytes.Buffer
		_, err := runtime.InstantiateModule(ctx, module, wazero.NewModuleConfig().WithName("").
			WithArgs("wordcount").WithStdout(&log).WithStderr(&log).
			WithEnv("NEXARA_SHARD", fmt.Sprint(i)).WithEnv("NEXARA_SHARDS", fmt.Sprint(shards)).
			WithFSConfig(wazero.NewFSConfig().WithReadOnlyDirMount("texts", "/in/texts").WithDirMount(dir, "/out")))
		require.NoError(t, err, log.String())
		require.Contains(t, log.String(), fmt.Sprintf("shard %d of %d", i, shards))
		b, err := os.ReadFile(filepath.Join(dir, "counts.json"))
		require.NoError(t, err)
		var c counts
		require.NoError(t, json.Unmarshal(b, &c))
		add(sum, &c)
	}
	require.True(t, maps.Equal(whole(t), sum))
}
