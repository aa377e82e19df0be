// Package offer decides on a NexCore's standing offer: what it should say, and
// when to post, refresh or withdraw it.
//
// It is values in, values out: no clock, no network, no state. Terms turns the
// operator's wishes, the machine, its drivers and its registration into the offer
// that should stand; Decide compares that with what stands on chain. It never
// sends anything: node/provider asks it once per block and submits the message.
//
// Place in the flow: inventory, drivers, registration -> Plan -> Terms ->
// Decide (with the chain's view) -> Action -> a message of proto/gen.
package offer

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/nexara/nexara/node/driver"
	nexcorev1 "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

var (
	// ErrConfig means wishes that make no offer.
	ErrConfig = errors.New("offer: invalid configuration")
	// ErrNothing means that there is nothing to offer, and the text says why.
	ErrNothing = errors.New("offer: nothing to offer")
)

// MaxRunSeconds is the longest shard that the chain allows an offer to accept: 30 days.
const MaxRunSeconds = 30 * 24 * 3600

// maxAsk is the chain's bound of one ask, in anex per unit and second.
const maxAsk = 1_000_000_000_000_000_000

// Prices are what the operator asks, in NEX per unit and hour as decimal text:
// "0.02" for two hundredths of a NEX.
type Prices struct {
	// CPU is per core and hour.
	CPU string `yaml:"cpu_core_hour"`
	// Memory is per GiB and hour.
	Memory string `yaml:"memory_gib_hour"`
	// Disk is per GiB and hour.
	Disk string `yaml:"disk_gib_hour"`
	// GPU is per GPU and hour.
	GPU string `yaml:"gpu_hour"`
}

// Config is what the operator wants to sell.
type Config struct {
	Prices Prices `yaml:"prices"`
	// SharePercent of cores and memory is offered, 1 to 100.
	SharePercent int64 `yaml:"share_percent"`
	// DiskMiB offered for runs at most; 0 means half of what is free.
	DiskMiB int64 `yaml:"disk_mib"`
	// CPUMilli and MemoryMiB, when not 0, are offered instead of a share.
	CPUMilli  int64 `yaml:"cpu_milli"`
	MemoryMiB int64 `yaml:"memory_mib"`
	// GPUs offers the registered accelerators.
	GPUs bool `yaml:"gpus"`
	// Network allows runs an outgoing network where the driver can isolate it.
	Network bool `yaml:"network"`
	// MaxRunSeconds is the longest shard accepted.
	MaxRunSeconds int64 `yaml:"max_run_seconds"`
}

// Default is a modest offer: most of the machine, no network.
func Default() Config {
	return Config{
		Prices:       Prices{CPU: "0.02", Memory: "0.004", Disk: "0.0001", GPU: "0.5"},
		SharePercent: 90, MaxRunSeconds: 24 * 3600,
	}
}

// Validate refuses wishes that make no offer.
func (c *Config) Validate() error {
	if c.SharePercent < 1 || c.SharePercent > 100 {
		return fmt.Errorf("%w: share_percent is %d, allowed are 1 to 100", ErrConfig, c.SharePercent)
	}
	if c.DiskMiB < 0 || c.CPUMilli < 0 || c.MemoryMiB < 0 {
		return fmt.Errorf("%w: negative capacity", ErrConfig)
	}
	if c.MaxRunSeconds < 1 || c.MaxRunSeconds > MaxRunSeconds {
		return fmt.Errorf("%w: max_run_seconds is %d, allowed are 1 to %d", ErrConfig, c.MaxRunSeconds, MaxRunSeconds)
	}
	_, err := c.Prices.ask()
	return err
}

// ask turns prices for people into anex per unit and second, rounded down.
func (p Prices) ask() (*tasksv1.Ask, error) {
	var out tasksv1.Ask
	for _, f := range []struct {
		name, text string
		units      int64 // units of the chain in one unit for people
		to         *uint64
	}{
		{"cpu_core_hour", p.CPU, 1000, &out.CpuMilli},
		{"memory_gib_hour", p.Memory, 1024, &out.MemoryMib},
		{"disk_gib_hour", p.Disk, 1024, &out.DiskMib},
		{"gpu_hour", p.GPU, 1, &out.Gpu},
	} {
		if f.text == "" {
			continue
		}
		v, ok := new(big.Rat).SetString(f.text)
		if !ok || len(f.text) > 40 || strings.ContainsAny(f.text, "/eEpPxX_") || v.Sign() < 0 {
			return nil, fmt.Errorf("%w: price %s is %q, want a decimal number of NEX such as 0.02", ErrConfig, f.name, f.text)
		}
		v.Mul(v, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(18), nil)))
		v.Quo(v, new(big.Rat).SetInt64(f.units*3600))
		n := new(big.Int).Quo(v.Num(), v.Denom())
		if !n.IsUint64() || n.Uint64() > maxAsk {
			return nil, fmt.Errorf("%w: price %s of %s NEX is too high", ErrConfig, f.name, f.text)
		}
		*f.to = n.Uint64()
	}
	return &out, nil
}

// Machine is what there is, as measured now.
type Machine struct {
	CPUMilli, MemoryMiB, FreeDiskMiB int64
	// LogMiB is how long a run's log may become.
	LogMiB int64
}

const (
	// leastRunMilli is the least CPU of a run whose memory beyond its limits is set
	// aside, in thousandths of a core: drivers of such runs take no less.
	leastRunMilli = 10
	// asideShare is the part of the memory, as a divisor, that is set aside at most.
	asideShare = 8
)

// Terms are what the standing offer should say.
type Terms struct {
	Ask           *tasksv1.Ask
	Capacity      *tasksv1.Resources
	Runtimes      []string
	Network       bool
	MaxRunSeconds int64
	// Runs is how many runs may be there at a time that take memory beyond their
	// limits; 0 is no limit. It is not part of the offer: what is set aside for them
	// is not offered, and the rest of them wait.
	Runs int64
}

// Plan works out the terms: the least of what the operator wants, what the
// machine has, what the drivers can enforce and what is registered. ErrNothing
// when no runtime or no core is left.
func Plan(c Config, m Machine, drivers []driver.Capabilities, spec *nexcorev1.Spec) (Terms, error) {
	if err := c.Validate(); err != nil {
		return Terms{}, err
	}
	ask, err := c.Prices.ask()
	if err != nil {
		return Terms{}, err
	}
	t := Terms{Ask: ask, Capacity: &tasksv1.Resources{}, MaxRunSeconds: c.MaxRunSeconds}
	var disk, inMemory, perRun int64
	for _, d := range drivers {
		// The chain sells thousandths of a core: a driver whose runs take whole ones would break its word.
		if d.MemoryMiB < 1 || d.CPUMilli < 1 || !d.CPUFractions || !slices.Contains(spec.GetRuntimes(), d.Runtime) {
			continue
		}
		t.Runtimes = append(t.Runtimes, d.Runtime)
		t.Network = t.Network || c.Network && d.Network
		// The offer is one vector for all runtimes: disk that one of them cannot give is not offered.
		if len(t.Runtimes) == 1 || d.DiskMiB < disk {
			disk = d.DiskMiB
		}
		inMemory = max(inMemory, d.DiskInMemoryMiB)
		beyond := d.RunMemoryMiB
		if d.LogInMemory {
			beyond += m.LogMiB
		}
		perRun = max(perRun, beyond)
	}
	if len(t.Runtimes) == 0 {
		return Terms{}, fmt.Errorf("%w: no driver works and keeps shares of a core for a registered runtime (registered: %s)", ErrNothing,
			strings.Join(spec.GetRuntimes(), ", "))
	}
	slices.Sort(t.Runtimes)

	wish := func(explicit, share int64) int64 {
		if explicit > 0 {
			return explicit
		}
		return share
	}
	cpu := min(wish(c.CPUMilli, m.CPUMilli*c.SharePercent/100), m.CPUMilli, int64(spec.GetCpuMilli()))
	memory := min(wish(c.MemoryMiB, m.MemoryMiB*c.SharePercent/100), m.MemoryMiB, int64(spec.GetMemoryMib()))
	disk = min(disk, wish(c.DiskMiB, m.FreeDiskMiB/2), m.FreeDiskMiB, int64(spec.GetDiskMib()))
	total := m.MemoryMiB * c.SharePercent / 100
	if perRun > 0 {
		// As many runs as the cores allow, if that is not too much memory: it cannot be sold twice.
		aside := max(min(cpu/leastRunMilli*perRun, total/asideShare), perRun)
		t.Runs = aside / perRun
		total -= aside
		memory = min(memory, total)
	}
	if inMemory > 0 && disk > 0 {
		// Small writable spaces live in memory, and many of them can add up to all the disk offered:
		// memory and disk together must fit into the memory set aside.
		disk = min(disk, memory/4)
		memory = min(memory, total-disk)
	}
	if cpu < 1 || memory < 1 {
		return Terms{}, fmt.Errorf("%w: %d thousandths of a core and %d MiB of memory are left", ErrNothing, cpu, memory)
	}
	t.Capacity.CpuMilli, t.Capacity.MemoryMib, t.Capacity.DiskMib = cpu, memory, max(disk, 0)
	if c.GPUs {
		// An offer is one vector with one model: the chain sells the model that was registered first.
		if gpus := spec.GetGpus(); len(gpus) > 0 {
			t.Capacity.Gpus = int64(gpus[0].GetCount())
		}
	}
	return t, nil
}

// View is what the chain says, and what is on its way to it.
type View struct {
	// Height of the answer.
	Height int64
	// Offer is what stands, nil for none.
	Offer *tasksv1.Offer
	// TTL is offer_ttl_blocks of the parameters.
	TTL int64
	// Active is whether the NexCore may trade: neither draining nor jailed.
	Active bool
	// Drain is whether the operator wants no new leases.
	Drain bool
	// PendingUntil is the height up to which a message sent earlier may still take effect.
	PendingUntil int64
}

// Action is what to do now.
type Action uint8

// The actions.
const (
	// Nothing: what stands is right, or a message is on its way.
	Nothing Action = iota
	// Post replaces the offer.
	Post
	// Refresh keeps it standing.
	Refresh
	// Withdraw takes it away.
	Withdraw
)

// String names the action.
func (a Action) String() string { return [...]string{"nothing", "post", "refresh", "withdraw"}[a] }

// Decide compares what should stand with what stands. want is nil when nothing
// can be offered.
func Decide(want *Terms, v View) Action {
	stands := v.Offer != nil && v.Offer.GetExpiresHeight() > v.Height
	switch {
	case v.Height <= v.PendingUntil:
		return Nothing
	case want == nil || v.Drain:
		if stands {
			return Withdraw
		}
		return Nothing
	case !v.Active: // the chain would refuse, and gives no leases either
		return Nothing
	case !stands || !want.same(v.Offer):
		return Post
	case v.Offer.GetExpiresHeight()-v.Height <= max(v.TTL/3, 2):
		return Refresh
	}
	return Nothing
}

// same is whether the offer says what t says, counting an ask that is on its way.
func (t *Terms) same(o *tasksv1.Offer) bool {
	ask := o.GetAsk()
	if o.GetNextAskHeight() > 0 {
		ask = o.GetNextAsk()
	}
	runtimes := slices.Clone(o.GetRuntimes())
	slices.Sort(runtimes)
	return proto.Equal(t.Ask, orAsk(ask)) && t.sameCapacity(o.GetCapacity()) && slices.Equal(t.Runtimes, runtimes) &&
		t.Network == o.GetNetwork() && t.MaxRunSeconds == o.GetMaxRunSeconds()
}

// sameCapacity forgives disk that drifts: free space changes with every run, and
// a message per block about it would help nobody. More than an eighth is posted.
func (t *Terms) sameCapacity(o *tasksv1.Resources) bool {
	c := t.Capacity
	drift := c.GetDiskMib() - o.GetDiskMib()
	return c.GetCpuMilli() == o.GetCpuMilli() && near(c.GetMemoryMib(), o.GetMemoryMib()) && c.GetGpus() == o.GetGpus() &&
		max(drift, -drift) <= c.GetDiskMib()/8
}

// near forgives the megabytes by which disk held in memory moves the rest.
func near(a, b int64) bool { return max(a-b, b-a) <= a/16 }

func orAsk(a *tasksv1.Ask) *tasksv1.Ask {
	if a == nil {
		return &tasksv1.Ask{}
	}
	return a
}

// Message builds what the action sends for the node address; nil for Nothing.
func (a Action) Message(node string, want *Terms) proto.Message {
	switch a {
	case Post:
		return &tasksv1.MsgPostOffer{
			Node: node, Ask: want.Ask, Capacity: want.Capacity, Runtimes: want.Runtimes,
			Network: want.Network, MaxRunSeconds: want.MaxRunSeconds,
		}
	case Refresh:
		return &tasksv1.MsgRefreshOffer{Node: node}
	case Withdraw:
		return &tasksv1.MsgWithdrawOffer{Node: node}
	case Nothing:
	}
	return nil
}
