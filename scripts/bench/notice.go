package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nexara/nexara/node/chain"
	"github.com/nexara/nexara/testutil/scenario"
)

// commits is when each block was committed, as an observer beside the NexCores learns it from the node: by the
// event that the node sends right after the commit. All are on one machine and one clock.
type commits struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu sync.Mutex
	at map[int64]time.Time
}

func watchCommits(ctx context.Context, w *scenario.World) (*commits, error) {
	client, err := chain.New(chain.Config{RPC: w.RPC, ChainID: w.ChainID})
	if err != nil {
		return nil, err
	}
	c := &commits{done: make(chan struct{}), at: map[int64]time.Time{}}
	ctx, c.cancel = context.WithCancel(ctx)
	go func() {
		defer close(c.done)
		defer client.Close()
		client.Watch(ctx, func(h chain.Header) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.at[h.Height] = h.Seen
		})
	}()
	return c, nil
}

func (c *commits) stop() { c.cancel(); <-c.done }

// toSeen is the time from the commit of the block that assigned a lease to the daemon's taking it up, by its log.
func (c *commits) toSeen(w *scenario.World) (map[string]any, error) {
	var took []float64
	for _, m := range w.Machines {
		f, err := os.Open(m.Log)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, maxLogLine)
		for lines.Scan() {
			var e struct {
				Time     time.Time
				Msg      string
				Assigned int64
			}
			if !strings.HasPrefix(lines.Text(), "{") || json.Unmarshal(lines.Bytes(), &e) != nil || e.Msg != "lease seen" {
				continue
			}
			if at, ok := c.at[e.Assigned]; ok { // those before the watch began are not known
				took = append(took, e.Time.Sub(at).Seconds())
			}
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			return nil, err
		}
	}
	if len(took) == 0 {
		return nil, errors.New("no lease whose block was seen")
	}
	return percentiles(took), nil
}
