package inventory

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// write puts files under a root of their own.
func write(t *testing.T, files map[string]string) string {
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return root
}

// Written after the known formats of these files, shortened to what matters; not recorded on a machine.
const (
	mountsV2     = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountsV1     = "31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n34 30 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
	mountsDocker = "900 899 0:28 /docker/abc /sys/fs/cgroup/memory ro,relatime master:15 - cgroup cgroup rw,memory\n"
)

func TestCgroupLimits(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  cgroupLimits
		err   error
	}{
		"no cgroups": {map[string]string{}, cgroupLimits{}, nil},
		"version 2, unlimited": {map[string]string{
			"proc/self/mountinfo": mountsV2, "proc/self/cgroup": "0::/user.slice\n",
			"sys/fs/cgroup/user.slice/memory.max": "max\n", "sys/fs/cgroup/user.slice/cpu.max": "max 100000\n",
		}, cgroupLimits{}, nil},
		"version 2, the tightest level counts": {map[string]string{
			"proc/self/mountinfo": mountsV2, "proc/self/cgroup": "0::/a/b/c\n",
			"sys/fs/cgroup/a/memory.max": "1073741824\n", "sys/fs/cgroup/a/b/memory.max": "2147483648\n",
			"sys/fs/cgroup/a/b/c/cpu.max": "250000 100000\n", "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n",
		}, cgroupLimits{1500, 1 << 30}, nil},
		"version 1": {map[string]string{
			"proc/self/mountinfo": mountsV1, "proc/self/cgroup": "4:memory:/x\n1:cpu,cpuacct:/x\n0::/\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes":      "536870912\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":        "9223372036854771712\n",
			"sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us":      "50000\n",
			"sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us":     "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":        "-1\n",
			"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us":       "100000\n",
			"sys/fs/cgroup/memory/x/y/memory.limit_in_bytes":    "1\n",
			"sys/fs/cgroup/cpu,cpuacct/other/cpu.cfs_quota_us":  "1\n",
			"sys/fs/cgroup/cpu,cpuacct/other/cpu.cfs_period_us": "100000\n",
		}, cgroupLimits{500, 512 << 20}, nil},
		"inside a container": {map[string]string{
			"proc/self/mountinfo": mountsDocker, "proc/self/cgroup": "4:memory:/docker/abc\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n",
		}, cgroupLimits{0, 256 << 20}, nil},
		"path outside the mount": {map[string]string{
			"proc/self/mountinfo": mountsDocker, "proc/self/cgroup": "4:memory:/elsewhere\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n",
		}, cgroupLimits{0, 256 << 20}, nil},
		"garbage": {map[string]string{
			"proc/self/mountinfo": mountsV2, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "lots\n", "sys/fs/cgroup/cpu.max": "1\n",
		}, cgroupLimits{}, errSystemFile},
		"huge file": {map[string]string{
			"proc/self/mountinfo": strings.Repeat("x", maxSystemFile+1), "proc/self/cgroup": "0::/\n",
		}, cgroupLimits{}, errSystemFile},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readCgroup(write(t, c.files))
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestNvidia(t *testing.T) {
	recorded, err := os.ReadFile("testdata/nvidia-smi.csv")
	require.NoError(t, err)
	got, err := parseNvidia(recorded)
	require.NoError(t, err)
	require.Equal(t, []GPU{{"a100", 3, 40960}, {"a100", 1, 81920}, {"gb10", 1, 0}, {"rtx4090", 2, 24564}}, got)
	for name, want := range map[string]string{
		"NVIDIA A100-SXM4-40GB": "a100", "Tesla T4": "t4", "NVIDIA H100 80GB HBM3": "h100", "NVIDIA L40S": "l40s",
		"NVIDIA GeForce GTX 1080 Ti": "gtx1080ti", "NVIDIA RTX 6000 Ada Generation": "rtx6000ada", "": unknownModel, "NVIDIA": unknownModel,
		strings.Repeat("x", 100): unknownModel, "Quadro RTX 4000": "rtx4000",
	} {
		require.Equal(t, want, gpuModel(name), name)
	}
	for _, bad := range []string{"one field\n", "\"", "a, b, c\n", strings.Repeat("NVIDIA T4, 1\n", maxGPUs+1)} {
		_, err := parseNvidia([]byte(bad))
		require.ErrorIs(t, err, errGPU)
	}
}

// tool writes a program that stands in for nvidia-smi.
func tool(t *testing.T, script string) string {
	path := filepath.Join(t.TempDir(), "nvidia-smi")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755))
	return path
}

func TestFindGPUs(t *testing.T) {
	ctx := context.Background()
	recorded, err := filepath.Abs("testdata")
	require.NoError(t, err)
	cdi := write(t, map[string]string{})
	for dir, file := range map[string]string{"etc/cdi": "nvidia.yaml", "var/run/cdi": "other.json"} {
		b, err := os.ReadFile(filepath.Join(recorded, file))
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Join(cdi, dir), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(cdi, dir, file), b, 0o644))
	}
	empty := t.TempDir()

	got, err := findGPUs(ctx, Config{root: empty, nvidiaSMI: filepath.Join(empty, "absent")})
	require.NoError(t, err)
	require.Empty(t, got)

	got, err = findGPUs(ctx, Config{root: cdi, nvidiaSMI: tool(t, "cat "+recorded+"/nvidia-smi.csv")})
	require.NoError(t, err)
	require.Len(t, got, 4, "nvidia-smi knows models, so it comes first")

	got, err = findGPUs(ctx, Config{root: cdi, nvidiaSMI: filepath.Join(empty, "absent")})
	require.NoError(t, err)
	require.Equal(t, []GPU{{unknownModel, 2, 0}}, got)

	got, err = findGPUs(ctx, Config{root: cdi, nvidiaSMI: tool(t, "echo no driver; exit 9")})
	require.Error(t, err, "a broken tool is worth a warning")
	require.Len(t, got, 1, "and CDI is still asked")

	_, err = findGPUs(ctx, Config{root: empty, nvidiaSMI: tool(t, "yes NVIDIA T4, 1")})
	require.ErrorIs(t, err, errGPU, "endless output")

	hung, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err = findGPUs(hung, Config{root: empty, nvidiaSMI: tool(t, "exec sleep 60")})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestCDI(t *testing.T) {
	for name, bad := range map[string]string{
		"empty": "", "list": "- a\n", "no kind": "cdiVersion: 0.5.0\n", "broken": "{[", "large": strings.Repeat("# x\n", maxCDIBytes/4+1),
	} {
		_, _, err := parseCDI([]byte(bad))
		require.ErrorIs(t, err, errGPU, name)
	}
	_, n, err := parseCDI([]byte("cdiVersion: 0.5.0\nkind: vendor.com/gpu\ndevices: [{name: GPU-1}, {name: GPU-2}, {name: all}]\n"))
	require.NoError(t, err)
	require.Equal(t, int64(2), n, "without indices the serial names count")

	root := write(t, map[string]string{
		"etc/cdi/a.yaml": "cdiVersion: 0.5.0\nkind: v/gpu\ndevices: [{name: '0'}]\n", "etc/cdi/b.yaml": "{", "etc/cdi/readme.txt": "x",
		"var/run/cdi/a.yaml": "cdiVersion: 0.5.0\nkind: v/gpu\ndevices: [{name: '0'}, {name: '1'}]\n",
	})
	got, err := readCDI(root)
	require.ErrorIs(t, err, errGPU, "the broken file is named")
	require.Equal(t, []GPU{{unknownModel, 2, 0}}, got, "the later folder overrides")
}

func from(s *httptest.Server) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s.URL, nil }
}

func TestMeasureThisMachine(t *testing.T) {
	dir := t.TempDir()
	served := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served++
		_, _ = w.Write(make([]byte, 4<<20))
	}))
	defer server.Close()
	cfg := Config{Dir: dir, CachePath: filepath.Join(t.TempDir(), "benchmark.json"), NetURL: from(server), speedTime: 100 * time.Millisecond}
	m, err := Measure(context.Background(), cfg)
	require.NoError(t, err)
	t.Logf("%+v", *m)
	require.Equal(t, runtime.GOARCH, m.Arch)
	require.LessOrEqual(t, m.CPUMilli, int64(runtime.NumCPU())*1000)
	require.Positive(t, m.CPUMilli)
	require.Positive(t, m.MemoryMiB)
	require.Positive(t, m.DiskMiB)
	require.Empty(t, m.Warnings)
	require.Positive(t, m.Benchmark.SingleCore)
	require.Positive(t, m.Benchmark.MultiCore)
	require.Positive(t, m.Benchmark.DiskWriteMiBs)
	require.Positive(t, m.Benchmark.DiskReadMiBs)
	require.Positive(t, m.Benchmark.NetMiBs)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)

	again, err := Measure(context.Background(), cfg)
	require.NoError(t, err)
	require.Equal(t, m.Benchmark, again.Benchmark, "the second start takes the cache")
	require.Equal(t, 1, served)

	later := cfg
	later.Now = func() time.Time { return time.Now().Add(31 * 24 * time.Hour) }
	_, err = Measure(context.Background(), later)
	require.NoError(t, err)
	require.Equal(t, 2, served, "an old cache is measured again")

	require.NoError(t, os.WriteFile(cfg.CachePath, []byte("{}"), 0o644))
	_, err = Measure(context.Background(), cfg)
	require.NoError(t, err)
	require.Equal(t, 3, served, "a damaged cache is measured again")
}

func TestMeasureFailures(t *testing.T) {
	_, err := Measure(context.Background(), Config{Dir: filepath.Join(t.TempDir(), "absent")})
	require.ErrorIs(t, err, ErrMeasure)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = Measure(gone, Config{Dir: t.TempDir()})
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = measureDisk(context.Background(), t.TempDir(), diskSpare)
	require.ErrorIs(t, err, errNoSpace)

	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	cache := filepath.Join(t.TempDir(), "benchmark.json")
	cfg := Config{Dir: t.TempDir(), CachePath: cache, NetURL: from(server), speedTime: time.Millisecond, nvidiaSMI: tool(t, "exit 1")}
	m, err := Measure(context.Background(), cfg)
	require.NoError(t, err)
	require.Len(t, m.Warnings, 2)
	require.Zero(t, m.Benchmark.NetMiBs)

	// The gateway comes up later: only the network is measured then.
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }))
	defer there.Close()
	cfg.NetURL = from(there)
	again, err := Measure(context.Background(), cfg)
	require.NoError(t, err)
	require.Positive(t, again.Benchmark.NetMiBs)
	want := m.Benchmark
	want.NetMiBs = again.Benchmark.NetMiBs
	require.Equal(t, want, again.Benchmark)
	cfg.NetURL = nil
	again, err = Measure(context.Background(), cfg)
	require.NoError(t, err)
	require.Equal(t, want, again.Benchmark, "kept")
}

// The workload must give one answer on every machine and under every compiler:
// else its figures could not be compared.
func TestWorkloadIsFixed(t *testing.T) {
	require.Equal(t, uint64(0xe220a8397b1dcdaf), splitmix(0), "the published first value of SplitMix64")
	require.Equal(t, uint64(0xee7f917a28f9b3b9), newWorker().do(1000))
}

func FuzzParsers(f *testing.F) {
	for _, name := range []string{"nvidia-smi.csv", "nvidia.yaml", "other.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if gpus, err := parseNvidia(b); err != nil && !errors.Is(err, errGPU) || len(gpus) > maxGPUs {
			t.Fatal(err)
		}
		if _, _, err := parseCDI(b); err != nil && !errors.Is(err, errGPU) {
			t.Fatal(err)
		}
		parseCgroupMounts(b)
		parseCgroupPaths(b)
		_, _ = parseCPUMax(string(b))
		_, _ = parseCache(b)
	})
}
