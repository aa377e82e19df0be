package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nexara/nexara/x/denom"
)

// addMachine makes a NexCore's home, registers it as its operator and starts it.
func (w *World) addMachine(ctx context.Context, n NexCore) error {
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	rpc := w.RPC
	if n.Via != nil {
		if rpc, err = n.Via(rpc); err != nil {
			return err
		}
	}
	m := &Machine{NexCore: n, Home: filepath.Join(w.Dir, n.Name), Operator: "operator-" + n.Name}
	args := []string{
		"init", "--home", m.Home, "--operator", w.Address(m.Operator), "--chain-id", w.ChainID, "--rpc", rpc,
		"--region", n.Region, "--gateway", w.Gateway, "--p2p", fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", ports[0]), "--store-mib", "2048",
		"--price-cpu", perHour(n.Price), "--price-memory", "0", "--price-disk", "0", "--price-gpu", "0",
		"--cpu-milli", fmt.Sprint(n.CPUMilli), "--memory-mib", fmt.Sprint(n.MemoryMiB), "--disk-mib", fmt.Sprint(n.DiskMiB),
	}
	args = append(args, n.Init...)
	if w.Mesh {
		peers, err := w.peers(ctx)
		if err != nil {
			return err
		}
		for _, p := range peers {
			args = append(args, "--peer", p)
		}
	}
	if w.Driver == "container" {
		args = append(args, "--wasm=false", "--containerd", w.Containerd, "--namespace", "nexara-"+n.Name)
	} else {
		args = append(args, "--containerd", "none")
	}
	if _, err := w.run(ctx, "nexcore", args...); err != nil {
		return err
	}
	out, err := w.CLI(ctx, "tx", "nexcore", "register", filepath.Join(m.Home, "register.json"),
		"--bond", fmt.Sprint(bondUnex), "--from", m.Operator, "--output", "json")
	if err != nil {
		return err
	}
	var res struct {
		ID string `json:"nexcore_id"`
	}
	if err := json.Unmarshal(out, &res); err != nil {
		return err
	}
	if m.ID, err = strconv.ParseUint(res.ID, 10, 64); err != nil {
		return err
	}
	m.Process = newProcess(w.Dir, n.Name, w.bin("nexcore"), "start", "--home", m.Home)
	m.env = n.Env
	w.Machines = append(w.Machines, m)
	return m.Start()
}

// peers are the addresses of the NexCores so far: whoever comes later connects with those before.
func (w *World) peers(ctx context.Context) (out []string, err error) {
	for _, m := range w.Machines {
		err := Until(ctx, startTimeout, "the addresses of "+m.NexCore.Name, func(ctx context.Context) (bool, error) {
			s, err := w.Status(ctx, m)
			addrs, _ := s["addrs"].([]any)
			for _, a := range addrs {
				out = append(out, fmt.Sprint(a))
			}
			return len(addrs) > 0, err
		})
		if err := w.explain(err, m.Process); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// perHour is micro-NEX a second as NEX an hour, in decimal text.
func perHour(unex int64) string {
	hour := unex * 3_600
	return fmt.Sprintf("%d.%06d", hour/denom.UnexPerNEX, hour%denom.UnexPerNEX)
}

// awaitOffers waits until each NexCore's first offer is in force.
func (w *World) awaitOffers(ctx context.Context) error {
	for _, m := range w.Machines {
		err := Until(ctx, startTimeout, "the offer of "+m.NexCore.Name, func(ctx context.Context) (bool, error) {
			if !m.Running() {
				return false, fmt.Errorf("%s has ended", m.NexCore.Name)
			}
			var res struct {
				Offer struct {
					AskHeight        int64 `json:"ask_height,string"`
					ActivationHeight int64 `json:"activation_height,string"`
				}
			}
			if err := w.query(ctx, &res, "tasks", "offer", fmt.Sprint(m.ID)); err != nil {
				return false, err
			}
			h, err := w.Height(ctx)
			return h >= res.Offer.ActivationHeight, err
		})
		if err := w.explain(err, m.Process); err != nil {
			return err
		}
	}
	return nil
}

// Machine returns a NexCore by its number.
func (w *World) Machine(id string) *Machine {
	for _, m := range w.Machines {
		if fmt.Sprint(m.ID) == id {
			return m
		}
	}
	return nil
}

// Status asks a NexCore's daemon how it is.
func (w *World) Status(ctx context.Context, m *Machine) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := w.run(ctx, "nexcore", "status", "--home", m.Home, "--output", "json")
	if err != nil {
		return nil, err
	}
	var res map[string]any
	return res, json.Unmarshal(out, &res)
}
