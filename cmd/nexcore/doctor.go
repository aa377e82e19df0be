package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/nexara/nexara/node/chain"
	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/key"
	"github.com/nexara/nexara/node/provider"
	nexcorev1 "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1"
)

// errDoctor: at least one check failed; the lines above say which.
var errDoctor = errors.New("not fit to run: see the failed checks")

// Levels of a finding.
const (
	levelOK   = "ok"
	levelWarn = "warn"
	levelFail = "fail"
)

// finding is one line of the doctor.
type finding struct {
	Level string `json:"level"`
	Check string `json:"check"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

const (
	checkTimeout = 15 * time.Second
	freshWait    = 10 * time.Second
	lowDiskMiB   = 1024
)

func (m *Main) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check keys, clock, chain, gateways, disk and drivers; exit code 1 when one fails",
		Long: `Checks what a NexCore needs, one line each, with a hint for what to do. Drivers are checked by really running
something, of which nothing is left. It changes nothing and can be run beside a running daemon.`,
		Example: `  nexcore doctor
  nexcore doctor --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &doctor{m: m, home: m.where()}
			d.examine(cmd.Context())
			if m.output == "json" {
				if err := m.json(d.findings); err != nil {
					return err
				}
			}
			for _, f := range d.findings {
				if f.Level == levelFail {
					return errDoctor
				}
			}
			return nil
		},
	}
}

type doctor struct {
	m        *Main
	home     provider.Home
	cfg      provider.Config
	findings []finding
}

func (d *doctor) say(level, check, hint, format string, args ...any) {
	f := finding{Level: level, Check: check, Text: fmt.Sprintf(format, args...), Hint: hint}
	d.findings = append(d.findings, f)
	if d.m.output == "json" {
		return
	}
	d.m.printf("%-5s %-10s %s\n", f.Level, f.Check, f.Text)
	if f.Hint != "" && f.Level != levelOK {
		d.m.printf("      %-10s -> %s\n", "", f.Hint)
	}
}

func (d *doctor) examine(ctx context.Context) {
	cfg, err := provider.Load(d.home)
	if err != nil {
		d.say(levelFail, "config", "run nexcore init, or mend the field that is named", "%v", err)
		return
	}
	d.cfg = cfg
	d.say(levelOK, "config", "", "%s", d.home.Config())
	k := d.keys()
	d.disk(ctx)
	d.chain(ctx, k)
	d.gateways(ctx)
	d.drivers(ctx)
	d.daemon(ctx)
}

func (d *doctor) keys() *key.Key {
	k, err := key.Load(d.home.NodeKey())
	if err != nil {
		d.say(levelFail, "node key", "restore it from a backup, or init a new home and register again", "%v", err)
		k = nil
	} else {
		d.say(levelOK, "node key", "", "%s", k.Address())
	}
	if d.cfg.Blobs.Mode != provider.BlobsIPFS {
		return k
	}
	info, err := os.Stat(d.home.PeerKey())
	switch {
	case err != nil:
		d.say(levelFail, "peer key", "init a new home", "%v", err)
	case info.Mode().Perm()&0o077 != 0:
		d.say(levelFail, "peer key", "chmod 600 "+d.home.PeerKey(), "mode is %04o", info.Mode().Perm())
	default:
		d.say(levelOK, "peer key", "", "%s", d.home.PeerKey())
	}
	return k
}

func (d *doctor) disk(ctx context.Context) {
	got, err := machine(d.home)(ctx)
	switch {
	case err != nil:
		d.say(levelFail, "machine", "", "%v", err)
	case got.FreeDiskMiB < lowDiskMiB/8:
		d.say(levelFail, "disk", "free some space, or move the home", "%d MiB free in %s", got.FreeDiskMiB, d.home)
	case got.FreeDiskMiB < lowDiskMiB:
		d.say(levelWarn, "disk", "free some space: few jobs will fit", "%d MiB free in %s", got.FreeDiskMiB, d.home)
	default:
		d.say(levelOK, "machine", "", "%d.%03d cores, %d MiB memory, %d MiB disk free", got.CPUMilli/1000, got.CPUMilli%1000, got.MemoryMiB, got.FreeDiskMiB)
	}
}

func (d *doctor) chain(ctx context.Context, k *key.Key) {
	c, err := chain.New(chain.Config{RPC: d.cfg.Chain.RPC, ChainID: d.cfg.Chain.ID})
	if err != nil {
		d.say(levelFail, "chain", "mend chain.rpc and chain.id in config.yaml", "%v", err)
		return
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*checkTimeout)
	defer cancel()
	st, err := c.Status(ctx)
	switch {
	case errors.Is(err, chain.ErrWrongChain):
		d.say(levelFail, "chain", "mend chain.rpc or chain.id in config.yaml", "%v", err)
		return
	case errors.Is(err, chain.ErrSyncing):
		d.say(levelWarn, "chain", "wait until the node has caught up", "node %s is at block %d", st.Moniker, st.Head.Height)
		return
	case err != nil:
		d.say(levelFail, "chain", "start the node, or mend chain.rpc in config.yaml", "%v", err)
		return
	}
	d.say(levelOK, "chain", "", "%s at block %d by node %s", st.ChainID, st.Head.Height, st.Moniker)
	d.clock(ctx, c)
	if k != nil {
		d.registration(ctx, c, k)
	}
}

func (d *doctor) clock(ctx context.Context, c *chain.Client) {
	ctx, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	h, err := c.FreshHeader(ctx, 100*time.Millisecond)
	if err == nil {
		err = chain.CheckSkew(h)
	}
	switch {
	case errors.Is(err, chain.ErrClockSkew):
		d.say(levelFail, "clock", "enable time synchronisation, for instance: timedatectl set-ntp true", "%v", err)
	case err != nil:
		d.say(levelWarn, "clock", "the chain makes no blocks now; try again when it does", "%v", err)
	default:
		d.say(levelOK, "clock", "", "%s from block time, which lags by up to a block or two", chain.Skew(h).Round(10*time.Millisecond))
	}
}

func (d *doctor) registration(ctx context.Context, c *chain.Client, k *key.Key) {
	n, err := c.NexCoreByNode(ctx, k.Address())
	register := "nexarad tx nexcore register " + d.home.Register() + " --from <operator>"
	switch {
	case errors.Is(err, chain.ErrNotFound):
		d.say(levelFail, "registered", register, "the chain knows no NexCore with key %s", k.Address())
		return
	case err != nil:
		d.say(levelWarn, "registered", "", "%v", err)
		return
	}
	free := n.GetBond() - n.GetLocked()
	text := fmt.Sprintf("NexCore %d of %s, bond %d micro-NEX, %d of it free", n.GetId(), n.GetOperator(), n.GetBond(), free)
	switch {
	case n.GetOperator() != d.cfg.Chain.Operator:
		d.say(levelFail, "registered", "mend chain.operator in config.yaml: gas is paid by that account", "%s, not of %s", text, d.cfg.Chain.Operator)
	case n.GetStatus() == nexcorev1.Status_STATUS_JAILED:
		d.say(levelFail, "registered", fmt.Sprintf("nexarad tx nexcore unjail %d --from <operator>, from block %d on", n.GetId(), n.GetJailedUntil()),
			"%s, jailed: %s", text, n.GetJailReason())
	case n.GetStatus() != nexcorev1.Status_STATUS_ACTIVE:
		d.say(levelWarn, "registered", "", "%s, %s", text, n.GetStatus())
	case free <= 0:
		d.say(levelWarn, "registered", fmt.Sprintf("nexarad tx nexcore bond %d 10000000 --from <operator>: leases lock bond", n.GetId()), "%s", text)
	default:
		d.say(levelOK, "registered", "", "%s", text)
	}
	if _, err := c.AccountNumber(ctx, k.Address()); err != nil {
		d.say(levelFail, "gas", "the operator's fee grant creates the account: "+register, "node key %s has no account: %v", k.Address(), err)
	} else {
		d.say(levelOK, "gas", "", "node key has an account; %s pays", d.cfg.Chain.Operator)
	}
}

func (d *doctor) gateways(ctx context.Context) {
	client := &http.Client{Timeout: checkTimeout}
	defer client.CloseIdleConnections()
	reached := 0
	for _, base := range d.cfg.Gateway.URLs {
		info, err := provider.GatewayInfo(ctx, client, base)
		switch {
		case err != nil:
			d.say(levelWarn, "gateway", "start the gateway, or mend gateway.urls in config.yaml", "%v", err)
		case info.ChainID != d.cfg.Chain.ID:
			d.say(levelWarn, "gateway", "mend gateway.urls in config.yaml", "%s serves %s", base, info.ChainID)
		default:
			reached++
			d.say(levelOK, "gateway", "", "%s", base)
		}
	}
	if reached == 0 {
		d.say(levelFail, "custody", "without a gateway no result is vouched for, and nothing is paid", "no gateway can be used")
	}
}

func (d *doctor) drivers(ctx context.Context) {
	for _, p := range probes(d.cfg.Drivers) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		caps, took, err := p.run(ctx)
		cancel()
		if err != nil {
			hint := "see the error; set drivers.wasm or drivers.container.address in config.yaml to switch it off"
			if errors.Is(err, driver.ErrUnavailable) && p.name == driver.RuntimeContainer {
				hint = "install and start containerd and runc (Debian: apt-get install containerd runc crun) and run as root; or empty drivers.container.address"
			}
			d.say(levelFail, p.name, hint, "%v", err)
			continue
		}
		text := fmt.Sprintf("a probe ran in %s; memory to %d MiB, disk to %d MiB", took.Round(time.Millisecond), caps.MemoryMiB, caps.DiskMiB)
		if oci := caps.Facts["runtime"]; oci != "" {
			text += "; made with " + oci
		}
		switch {
		case caps.DiskMiB == 0:
			d.say(levelWarn, p.name, "run as root on Linux, so that a limit on disk can be enforced", "%s: jobs that need disk will not come", text)
		case d.cfg.Offer.Network && !caps.Network:
			d.say(levelOK, p.name, "", "%s; no isolated network", text)
		default:
			d.say(levelOK, p.name, "", "%s", text)
		}
	}
}

func (d *doctor) daemon(ctx context.Context) {
	c, err := provider.NewClient(d.home)
	if err != nil {
		d.say(levelOK, "daemon", "", "not running")
		return
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	s, err := c.Status(ctx)
	switch {
	case err != nil:
		d.say(levelWarn, "daemon", "it may be starting or hanging; see its log", "%v", err)
	case s.ClockProblem != "":
		d.say(levelFail, "daemon", "enable time synchronisation; the daemon offers again at the next block after that", "offers nothing: %s", s.ClockProblem)
	case d.cfg.Blobs.Mode == provider.BlobsIPFS && len(s.Peers) == 0:
		d.say(levelWarn, "peers", "is the gateway's IPFS port reachable?", "connected with none")
	default:
		d.say(levelOK, "daemon", "", "runs, %d leases, %d peers", len(s.Leases), len(s.Peers))
	}
}
