package chain

import (
	"context"
	"fmt"
	"time"
)

// MaxSkew is the difference between this machine's clock and block time from
// which nothing that depends on time can be trusted. Block time itself lags by up
// to a block or two, so seconds are normal.
const MaxSkew = 60 * time.Second

// Skew is this machine's clock minus a header's time. The header must be fresh:
// seen as new while the process watched.
func Skew(h Header) time.Duration { return h.Seen.Sub(h.Time) }

// CheckSkew says ErrClockSkew when a fresh header and the clock that saw it
// differ by MaxSkew or more.
func CheckSkew(h Header) error {
	d := Skew(h)
	if d > -MaxSkew && d < MaxSkew {
		return nil
	}
	direction := "ahead of"
	if d < 0 {
		d, direction = -d, "behind"
	}
	return fmt.Errorf("%w: this machine's clock is %s %s the chain's; set it (for instance by enabling NTP)",
		ErrClockSkew, d.Round(time.Second), direction)
}

// FreshHeader waits until it sees a block that was not there at the first look,
// so that its time says something about now. ErrStale when there is none before ctx ends.
func (c *Client) FreshHeader(ctx context.Context, every time.Duration) (Header, error) {
	first, err := c.Status(ctx)
	if err != nil {
		return Header{}, err
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return first.Head, fmt.Errorf("%w: height %d since %s", ErrStale, first.Head.Height,
				first.Head.Time.UTC().Format(time.RFC3339))
		case <-tick.C:
		}
		st, err := c.Status(ctx)
		if err == nil && st.Head.Height > first.Head.Height {
			return st.Head, nil
		}
	}
}
