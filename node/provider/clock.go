package provider

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nexara/nexara/node/chain"
)

// clock judges this machine's clock by every block that comes. A block was made
// after the one before it had been seen here and before it was seen itself, so its
// time belongs between these two moments, less a block or two: even after a stop of
// the chain, and even when a block was found by asking and not by its event.
type clock struct {
	log *slog.Logger

	mu      sync.Mutex
	last    chain.Header
	skew    time.Duration // of this clock from block time, at the last block
	problem string        // why this clock cannot be trusted; empty when it can
}

// see takes the next block, and says in the log when the judgement has changed.
func (c *clock) see(h chain.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.problem
	c.skew = chain.Skew(h)
	off := min(c.skew, 0) // the block is of the future
	if c.last.Height > 0 {
		off += max(c.last.Seen.Sub(h.Time), 0) // it is older than what was seen before it was made
	}
	switch known := c.last.Height > 0 && h.Height > c.last.Height; {
	case off <= -chain.MaxSkew || off >= chain.MaxSkew:
		c.problem = fmt.Sprintf("%v: %s from block time at block %d", chain.ErrClockSkew, off.Round(time.Second), h.Height)
	case known:
		c.problem = ""
	}
	c.last = h
	if c.problem != "" && before == "" {
		c.log.Error("this machine's clock is wrong: no offer until it is right", "off", off.Round(time.Second), "height", h.Height,
			"hint", "enable time synchronisation")
	}
	if c.problem == "" && before != "" {
		c.log.Info("this machine's clock is right again", "height", h.Height)
	}
}

// state is the skew at the last block and the problem, if there is one.
func (c *clock) state() (skew time.Duration, problem string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.skew, c.problem
}
