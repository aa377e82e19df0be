package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/nexara/nexara/x/denom"
)

// Options say what a world is made of.
type Options struct {
	// Dir is the world's folder; it must be empty or absent.
	Dir string
	// Bin holds nexarad, nexcore and nexgate.
	Bin string
	// Driver is "wasm" or "container".
	Driver string
	// NexCores are the machines, each of an operator of its own.
	NexCores []NexCore
	// Params are market parameters that differ from a quick default.
	Params map[string]any
	// BlockTime is between two blocks, default one second.
	BlockTime time.Duration
	// Containerd is the socket of the containerd that NexCores use, for the container driver.
	Containerd string
	// Mesh keeps every NexCore connected with every other, besides the gateway.
	Mesh bool
}

// NexCore is one machine of a world.
type NexCore struct {
	Name   string
	Region string
	// CPUMilli, MemoryMiB and DiskMiB are what it offers.
	CPUMilli, MemoryMiB, DiskMiB int64
	// Price is micro-NEX per core and second.
	Price int64
	// Env is added to the daemon's environment.
	Env []string
	// Init are further flags of `nexcore init`.
	Init []string
	// Via gives the address at which this NexCore reaches the node, from the node's own; nil reaches it
	// directly. What stands between them is the caller's.
	Via func(rpc string) (string, error)
}

// Machine is a running NexCore.
type Machine struct {
	*Process
	NexCore
	ID       uint64
	Home     string
	Operator string
}

// World is a running house.
type World struct {
	Options
	ChainID  string
	RPC      string // of the node
	Gateway  string // URL
	Node     *Process
	Gate     *Process
	Machines []*Machine
	Home     string // of the node, with every key
	keys     map[string]string
}

const (
	chainID = "nexara-local-1"
	// Requester is the account that submits; operators are "operator-NAME".
	Requester = "alice"
	// startTimeout bounds the start of one daemon on a loaded machine.
	startTimeout = 2 * time.Minute
	stopTimeout  = 20 * time.Second
)

// Start brings up a world and waits until every NexCore's offer is in force. On an error what was started is
// stopped.
func Start(ctx context.Context, o Options) (w *World, err error) {
	if o.BlockTime == 0 {
		o.BlockTime = time.Second
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	w = &World{Options: o, ChainID: chainID, keys: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Stop())
		}
	}()
	if err := w.prepare(ctx); err != nil {
		return w, err
	}
	if err := w.startChain(ctx); err != nil {
		return w, err
	}
	if err := w.StartGateway(ctx); err != nil {
		return w, err
	}
	for i := range o.NexCores {
		if err := w.addMachine(ctx, o.NexCores[i]); err != nil {
			return w, err
		}
	}
	return w, w.awaitOffers(ctx)
}

// Stop ends every process, daemons before the chain.
func (w *World) Stop() error {
	var err error
	for _, m := range w.Machines {
		err = errors.Join(err, m.Stop(stopTimeout))
	}
	for _, p := range []*Process{w.Gate, w.Node} {
		if p != nil {
			err = errors.Join(err, p.Stop(stopTimeout))
		}
	}
	return err
}

func (w *World) bin(name string) string { return filepath.Join(w.Bin, name) }

// prepare makes the gateway's home first: genesis lists its key.
func (w *World) prepare(ctx context.Context) error {
	ports, err := freePorts(6)
	if err != nil {
		return err
	}
	w.RPC = fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	w.Gateway = fmt.Sprintf("http://127.0.0.1:%d", ports[4])
	out, err := w.run(ctx, "nexgate", "init", "--home", filepath.Join(w.Dir, "gateway"), "--chain-id", chainID, "--rpc", w.RPC,
		"--listen", fmt.Sprintf("127.0.0.1:%d", ports[4]), "--p2p", fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", ports[5]))
	if err != nil {
		return err
	}
	var made struct{ Pubkey string }
	if err := json.Unmarshal(out, &made); err != nil {
		return err
	}
	grpc, err := freePorts(2)
	if err != nil {
		return err
	}
	w.Home = filepath.Join(w.Dir, "net", "node0")
	w.Node = newProcess(w.Dir, "chain", w.bin("nexarad"), "start", "--home", w.Home, "--log_no_color", "--log_level", "info")
	w.Gate = newProcess(w.Dir, "gateway", w.bin("nexgate"), "start", "--home", filepath.Join(w.Dir, "gateway"))
	args := []string{
		"testnet", "--validators", "1", "--output-dir", filepath.Join(w.Dir, "net"), "--chain-id", chainID,
		"--block-time", w.BlockTime.String(), "--genesis-override", filepath.Join(w.Dir, "genesis.patch.json"),
		"--p2p-port", port(ports[0]), "--rpc-port", port(ports[1]), "--api-port", port(grpc[0]), "--grpc-port", port(grpc[1]),
		"--fund", Requester + "=100000NEX", "--output", "json",
	}
	for _, n := range w.NexCores {
		args = append(args, "--fund", "operator-"+n.Name+"=100000NEX")
	}
	if err := w.writePatch(made.Pubkey); err != nil {
		return err
	}
	out, err = w.run(ctx, "nexarad", args...)
	if err != nil {
		return err
	}
	var net struct {
		Accounts []struct{ Name, Address string }
	}
	if err := json.Unmarshal(out, &net); err != nil {
		return err
	}
	for _, a := range net.Accounts {
		w.keys[a.Name] = a.Address
	}
	return nil
}

func port(p int) string { return fmt.Sprint(p) }

// Address is an account's.
func (w *World) Address(name string) string { return w.keys[name] }

// startChain runs the node and waits for its first blocks.
func (w *World) startChain(ctx context.Context) error {
	if err := w.Node.Start(); err != nil {
		return err
	}
	return w.AwaitHeight(ctx, 2)
}

// AwaitHeight waits until the chain has a block of that height.
func (w *World) AwaitHeight(ctx context.Context, height int64) error {
	err := Until(ctx, startTimeout, fmt.Sprintf("block %d", height), func(ctx context.Context) (bool, error) {
		h, err := w.Height(ctx)
		return h >= height, err
	})
	return w.explain(err, w.Node)
}

// StartGateway runs the gateway and waits until it answers.
func (w *World) StartGateway(ctx context.Context) error {
	if err := w.Gate.Start(); err != nil {
		return err
	}
	err := Until(ctx, startTimeout, "the gateway", func(ctx context.Context) (bool, error) {
		_, err := httpGet(ctx, w.Gateway+"/v1/status")
		return err == nil, err
	})
	return w.explain(err, w.Gate)
}

// explain adds the end of a log to an error.
func (w *World) explain(err error, p *Process) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w\n--- end of %s ---\n%s", err, p.Log, p.Tail(4_000))
}

// run runs a command to its end and returns its standard output; an error carries its standard error.
func (w *World) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.bin(name), args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// CLI runs nexarad with the world's node, keyring and gateway.
func (w *World) CLI(ctx context.Context, args ...string) ([]byte, error) {
	return w.run(ctx, "nexarad", w.cliArgs(args)...)
}

// Command is a nexarad command that the caller runs, for output that is to be seen as it comes.
func (w *World) Command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, w.bin("nexarad"), w.cliArgs(args)...)
}

func (w *World) cliArgs(args []string) []string {
	out := append(append([]string{}, args...), "--home", w.Home)
	switch {
	case len(args) > 1 && args[0] == "tx":
		out = append(out, "--node", strings.Replace(w.RPC, "http://", "tcp://", 1), "--chain-id", w.ChainID, "--keyring-backend", "test", "--yes")
	case len(args) > 0 && (args[0] == "query" || args[0] == "job"):
		out = append(out, "--node", strings.Replace(w.RPC, "http://", "tcp://", 1))
	}
	if usesGateway(args) {
		out = append(out, "--gateway", w.Gateway)
	}
	return out
}

func usesGateway(args []string) bool {
	switch strings.Join(args[:min(len(args), 3)], " ") {
	case "":
		return false
	default:
		return len(args) > 2 && args[0] == "tx" && args[1] == "tasks" && args[2] == "submit" ||
			len(args) > 1 && args[0] == "job" && (args[1] == "logs" || args[1] == "fetch")
	}
}

// writePatch writes the genesis of a quick market: short windows, the gateway listed.
func (w *World) writePatch(gatewayHex string) error {
	gateway, err := hexToBase64(gatewayHex)
	if err != nil {
		return err
	}
	params := map[string]any{
		"dispute_window": "5", "ask_delay": "1", "ack_base_blocks": "45", "grace_blocks": "15",
		"block_ms": fmt.Sprint(w.BlockTime.Milliseconds()), "gateways": []string{gateway},
	}
	for k, v := range w.Params {
		params[k] = v
	}
	bz, err := json.MarshalIndent(map[string]any{"tasks": map[string]any{"params": params}}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.Dir, "genesis.patch.json"), bz, 0o600)
}

// bondUnex is what each NexCore of a world bonds.
const bondUnex = 10_000 * denom.UnexPerNEX
