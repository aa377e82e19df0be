package offer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/driver"
	nexcorev1 "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

func TestPricesForPeople(t *testing.T) {
	ask, err := Prices{CPU: "0.036", Memory: "0", Disk: "", GPU: "3.6"}.ask()
	require.NoError(t, err)
	require.Equal(t, uint64(10_000_000_000), ask.CpuMilli) // 0.036 NEX an hour = 10^-5 NEX a second and core
	require.Zero(t, ask.MemoryMib)
	require.Equal(t, uint64(1_000_000_000_000_000), ask.Gpu)
	for _, bad := range []string{"-1", "x", "1/3", "1e3", "0x10", "99999999999999999999", "1_0"} {
		_, err := Prices{CPU: bad}.ask()
		require.ErrorIs(t, err, ErrConfig, bad)
	}
}

func TestConfigIsChecked(t *testing.T) {
	ok := Default()
	require.NoError(t, ok.Validate())
	for name, change := range map[string]func(*Config){
		"no share":   func(c *Config) { c.SharePercent = 0 },
		"over share": func(c *Config) { c.SharePercent = 101 },
		"negative":   func(c *Config) { c.DiskMiB = -1 },
		"no time":    func(c *Config) { c.MaxRunSeconds = 0 },
		"price":      func(c *Config) { c.Prices.Disk = "a lot" },
	} {
		c := Default()
		change(&c)
		require.ErrorIs(t, c.Validate(), ErrConfig, name)
	}
}

func TestPlanTakesTheLeast(t *testing.T) {
	machine := Machine{CPUMilli: 4000, MemoryMiB: 8000, FreeDiskMiB: 10_000}
	spec := &nexcorev1.Spec{
		CpuMilli: 4000, MemoryMib: 8000, DiskMib: 4000, Runtimes: []string{"container", "wasm"},
		Gpus: []*nexcorev1.GPU{{Model: "a100", Count: 2}},
	}
	wasm := driver.Capabilities{Runtime: "wasm", CPUMilli: 1000, CPUFractions: true, MemoryMiB: 4096, DiskMiB: 1 << 20}
	box := driver.Capabilities{Runtime: "container", CPUMilli: 4000, CPUFractions: true, MemoryMiB: 8000, DiskMiB: 1 << 20, DiskInMemoryMiB: 64, Network: true}
	half := Default()
	half.SharePercent = 50

	got, err := Plan(half, machine, []driver.Capabilities{wasm}, spec)
	require.NoError(t, err)
	require.Equal(t, []string{"wasm"}, got.Runtimes)
	require.Equal(t, int64(2000), got.Capacity.CpuMilli)
	require.Equal(t, int64(4000), got.Capacity.MemoryMib)
	require.Equal(t, int64(4000), got.Capacity.DiskMib, "registered")
	require.False(t, got.Network)

	// Disk in memory and memory together fit into the share.
	got, err = Plan(half, machine, []driver.Capabilities{wasm, box}, spec)
	require.NoError(t, err)
	require.Equal(t, []string{"container", "wasm"}, got.Runtimes)
	require.LessOrEqual(t, got.Capacity.MemoryMib+got.Capacity.DiskMib, int64(4000))
	require.Positive(t, got.Capacity.DiskMib)

	half.Network, half.GPUs, half.CPUMilli = true, true, 9000
	got, err = Plan(half, machine, []driver.Capabilities{box}, spec)
	require.NoError(t, err)
	require.True(t, got.Network)
	require.Equal(t, int64(2), got.Capacity.Gpus)
	require.Equal(t, int64(4000), got.Capacity.CpuMilli, "never more than there is")

	_, err = Plan(half, machine, nil, spec)
	require.ErrorIs(t, err, ErrNothing)
	_, err = Plan(half, machine, []driver.Capabilities{box}, &nexcorev1.Spec{Runtimes: []string{"wasm"}})
	require.ErrorIs(t, err, ErrNothing)
	whole := box
	whole.CPUFractions = false
	_, err = Plan(half, machine, []driver.Capabilities{whole}, spec)
	require.ErrorIs(t, err, ErrNothing, "a share of a core that nobody keeps is not sold")
	_, err = Plan(half, Machine{}, []driver.Capabilities{box}, spec)
	require.ErrorIs(t, err, ErrNothing)
}

// What each run takes beyond its limits is set aside before memory is offered.
func TestPlanSetsRunsAside(t *testing.T) {
	spec := &nexcorev1.Spec{CpuMilli: 1 << 20, MemoryMib: 1 << 20, Runtimes: []string{"container"}}
	box := driver.Capabilities{Runtime: "container", CPUMilli: 4000, CPUFractions: true, MemoryMiB: 8000, RunMemoryMiB: 10, LogInMemory: true}
	whole := Default()
	whole.SharePercent = 100
	for name, c := range map[string]struct{ cpu, memory, runs, offered int64 }{
		"the cores bound the runs":  {1000, 16_000, 100, 14_600},
		"the memory bounds them":    {64_000, 16_000, 142, 14_000},
		"one run at the very least": {1000, 100, 1, 86},
	} {
		got, err := Plan(whole, Machine{CPUMilli: c.cpu, MemoryMiB: c.memory, LogMiB: 4}, []driver.Capabilities{box}, spec)
		require.NoError(t, err, name)
		require.Equal(t, []int64{c.runs, c.offered}, []int64{got.Runs, got.Capacity.MemoryMib}, name)
		require.LessOrEqual(t, got.Capacity.MemoryMib+got.Runs*14, c.memory, name)
	}
	box.RunMemoryMiB, box.LogInMemory = 0, false
	got, err := Plan(whole, Machine{CPUMilli: 1000, MemoryMiB: 16_000, LogMiB: 4}, []driver.Capabilities{box}, spec)
	require.NoError(t, err)
	require.Zero(t, got.Runs)
	require.Equal(t, int64(16_000), got.Capacity.MemoryMib)
}

func TestDecide(t *testing.T) {
	want := func() *Terms {
		return &Terms{
			Ask: &tasksv1.Ask{CpuMilli: 5}, Capacity: &tasksv1.Resources{CpuMilli: 1000, MemoryMib: 100, DiskMib: 800},
			Runtimes: []string{"container", "wasm"}, MaxRunSeconds: 60,
		}
	}
	stands := func(change ...func(*tasksv1.Offer)) *tasksv1.Offer {
		w := want()
		o := &tasksv1.Offer{
			Ask: w.Ask, Capacity: w.Capacity, Runtimes: []string{"wasm", "container"}, MaxRunSeconds: 60, ExpiresHeight: 700,
		}
		for _, f := range change {
			f(o)
		}
		return o
	}
	for name, tc := range map[string]struct {
		want *Terms
		view View
		act  Action
	}{
		"first":                  {want(), View{Height: 100, TTL: 600, Active: true}, Post},
		"all is well":            {want(), View{Height: 100, TTL: 600, Active: true, Offer: stands()}, Nothing},
		"old":                    {want(), View{Height: 500, TTL: 600, Active: true, Offer: stands()}, Refresh},
		"expired":                {want(), View{Height: 700, TTL: 600, Active: true, Offer: stands()}, Post},
		"tiny ttl":               {want(), View{Height: 698, TTL: 5, Active: true, Offer: stands()}, Refresh},
		"pending":                {want(), View{Height: 500, TTL: 600, Active: true, Offer: stands(), PendingUntil: 502}, Nothing},
		"pending is over":        {want(), View{Height: 503, TTL: 600, Active: true, Offer: stands(), PendingUntil: 502}, Refresh},
		"draining":               {want(), View{Height: 100, TTL: 600, Active: true, Offer: stands(), Drain: true}, Withdraw},
		"drained":                {want(), View{Height: 100, TTL: 600, Active: true, Drain: true}, Nothing},
		"nothing to offer":       {nil, View{Height: 100, TTL: 600, Active: true, Offer: stands()}, Withdraw},
		"nothing and none":       {nil, View{Height: 100, TTL: 600, Active: true}, Nothing},
		"jailed":                 {want(), View{Height: 100, TTL: 600}, Nothing},
		"other ask":              {want(), View{Height: 100, TTL: 600, Active: true, Offer: stands(func(o *tasksv1.Offer) { o.Ask = &tasksv1.Ask{CpuMilli: 6} })}, Post},
		"ask on its way":         {want(), View{Height: 100, TTL: 600, Active: true, Offer: stands(func(o *tasksv1.Offer) { o.Ask, o.NextAsk, o.NextAskHeight = nil, want().Ask, 99 })}, Nothing},
		"wrong ask on its way":   {want(), View{Height: 100, TTL: 600, Active: true, Offer: stands(func(o *tasksv1.Offer) { o.NextAsk, o.NextAskHeight = &tasksv1.Ask{CpuMilli: 9}, 99 })}, Post},
		"other runtimes":         {want(), View{Height: 100, TTL: 600, Active: true, Offer: stands(func(o *tasksv1.Offer) { o.Runtimes = []string{"wasm"} })}, Post},
		"network":                {want(), View{Height: 100, TTL: 600, Active: true, Offer: stands(func(o *tasksv1.Offer) { o.Network = true })}, Post},
		"disk drifts a little":   {want(), View{Height: 100, TTL: 600, Active: true, Offer: stands(func(o *tasksv1.Offer) { o.Capacity = &tasksv1.Resources{CpuMilli: 1000, MemoryMib: 100, DiskMib: 750} })}, Nothing},
		"disk has changed a lot": {want(), View{Height: 100, TTL: 600, Active: true, Offer: stands(func(o *tasksv1.Offer) { o.Capacity = &tasksv1.Resources{CpuMilli: 1000, MemoryMib: 100, DiskMib: 100} })}, Post},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(tc.want, tc.view)
			require.Equal(t, tc.act.String(), got.String())
			require.Equal(t, got == Nothing, got.Message("nexa1", tc.want) == nil)
		})
	}
}
