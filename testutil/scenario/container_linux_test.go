package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/driver/containerd"
	"github.com/nexara/nexara/node/driver/drivertest"
)

// Stories in which a container outlives its NexCore, on a containerd of the test's own.

// requireContainers makes a missing container runtime a failure instead of a skip.
const requireContainers = "NEXARA_REQUIRE_CONTAINERS"

// containers is a world of one NexCore that runs containers, with a view of its runtime.
type containers struct {
	*World
	image   string
	runtime *client.Client
}

func startContainers(t *testing.T) (*containers, context.Context) {
	t.Helper()
	dir := t.TempDir()
	daemon, err := containerd.StartDaemon(t.Context(), containerd.DaemonConfig{
		Root: filepath.Join(dir, "c", "root"), State: filepath.Join(dir, "c", "state"), Address: filepath.Join(dir, "c", "c.sock"),
	})
	if errors.Is(err, driver.ErrUnavailable) && os.Getenv(requireContainers) != "1" {
		t.Skipf("needs root, containerd and runc (set %s=1 to make this a failure): %v", requireContainers, err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, daemon.Stop(context.WithoutCancel(t.Context())))
		left := mounts(t, dir)
		for _, at := range left { // a failed test must not litter either
			_ = syscall.Unmount(at, syscall.MNT_DETACH)
		}
		require.Empty(t, left, "mounts left")
	})
	program := filepath.Join(t.TempDir(), "worker")
	require.NoError(t, build([]string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + runtime.GOARCH}, "-o", program, "./testdata/worker"))
	c := &containers{image: drivertest.Layout(t, program, func(c *v1.Config) { c.Entrypoint = []string{"/guest"} })}
	c.runtime, err = client.New(daemon.Address(), client.WithTimeout(10*time.Second))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.runtime.Close()) })
	w, ctx := startWith(t, Options{Dir: filepath.Join(dir, "w"), Driver: "container", NexCores: machines(1), Containerd: daemon.Address()})
	c.World = w
	return c, ctx
}

// mounts lists what is mounted below dir, the newest first.
func mounts(t *testing.T, dir string) (out []string) {
	t.Helper()
	all, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	for _, line := range strings.Split(string(all), "\n") {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			out = append([]string{f[1]}, out...)
		}
	}
	return out
}

// submit submits a job of one shard that works for so many seconds, and waits until its program runs.
func (c *containers) submit(t *testing.T, ctx context.Context, seconds float64) (id uint64, pid uint32) {
	t.Helper()
	file := jobFile(t, 1, seconds, "")
	bz, err := os.ReadFile(file)
	require.NoError(t, err)
	text := strings.NewReplacer("runtime: wasm", "runtime: container", worker, c.image).Replace(string(bz))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	id, err = c.Submit(ctx, file)
	require.NoError(t, err)
	await(t, ctx, c.World, id, "runs", running)
	return id, c.program(t, ctx)
}

// program waits until the daemon follows a run, and gives the process of the container.
func (c *containers) program(t *testing.T, ctx context.Context) (pid uint32) {
	t.Helper()
	ours := namespaces.WithNamespace(ctx, "nexara-"+c.Machines[0].NexCore.Name)
	require.NoError(t, Until(ctx, startTimeout, "a running container", func(ctx context.Context) (bool, error) {
		status, err := c.Status(ctx, c.Machines[0])
		if err != nil || !strings.Contains(fmt.Sprint(status["leases"]), "state:running") {
			return false, err
		}
		list, err := c.runtime.TaskService().List(ours, &tasks.ListTasksRequest{})
		if err != nil {
			return false, err
		}
		for _, p := range list.Tasks {
			if p.Status == task.Status_RUNNING {
				pid = p.Pid
			}
		}
		return pid > 0, nil
	}))
	return pid
}

// killShims ends the processes between the runtime and the containers of this world.
func (c *containers) killShims(t *testing.T) (killed int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, f := range files {
		bz, err := os.ReadFile(f)
		args := strings.Split(string(bz), "\x00")
		if err != nil || filepath.Base(args[0]) != "containerd-shim-runc-v2" || !strings.Contains(string(bz), "\x00"+c.Containerd+"\x00") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		killed++
	}
	return killed
}

// lives says whether a process runs. One that has ended and whose new parent has not asked for it does not.
func lives(pid uint32) bool {
	bz, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(bz), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// once settles the job and checks that one lease and one payout came of it, and that the log is of one run.
func (c *containers) once(t *testing.T, ctx context.Context, id uint64) {
	t.Helper()
	settle(t, ctx, c.World, id)
	leases, err := c.Leases(ctx, id)
	require.NoError(t, err)
	require.Len(t, leases, 1, "%+v", leases)
	payouts, err := c.Payouts(ctx, id)
	require.NoError(t, err)
	require.Len(t, payouts, 1, "%+v", payouts)
	log, err := c.CLI(ctx, "job", "logs", fmt.Sprint(id))
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(log), "second 0\n"), "%s", log)
	require.Empty(t, mounts(t, filepath.Join(c.Machines[0].Home, "runs")), "nothing of the run is left")
}

// A NexCore killed in the middle of a container's run finds the same program again when it is back.
func TestKilledNexCoreFindsItsContainer(t *testing.T) {
	c, ctx := startContainers(t)
	id, before := c.submit(t, ctx, 20)
	require.NoError(t, c.Machines[0].Kill())
	require.True(t, lives(before), "the container outlives its NexCore")
	require.NoError(t, c.Machines[0].Start())
	require.Equal(t, before, c.program(t, ctx), "the same process goes on")
	c.once(t, ctx, id)
}

// A NexCore and the shim of its container are killed: the program is lost, what is left of it is cleared, and
// the shard runs again under the same lease.
func TestKilledNexCoreAndShim(t *testing.T) {
	c, ctx := startContainers(t)
	id, before := c.submit(t, ctx, 8)
	require.NoError(t, c.Machines[0].Kill())
	require.Equal(t, 1, c.killShims(t))
	require.NoError(t, c.Machines[0].Start())
	require.NotEqual(t, before, c.program(t, ctx), "another process runs")
	require.NoError(t, Until(ctx, 10*time.Second, "the first process to be gone", func(context.Context) (bool, error) {
		return !lives(before), nil
	}))
	c.once(t, ctx, id)
}
