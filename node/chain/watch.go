package chain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// Bounds of the websocket.
const (
	maxEventBytes = 1 << 20
	pingEvery     = 15 * time.Second
	silence       = 45 * time.Second
	minBackoff    = 200 * time.Millisecond
	maxBackoff    = 5 * time.Second
)

const headerQuery = "tm.event='NewBlockHeader'"

// Watch calls wake for every new height it learns of, by event or, when events
// are missing, by polling. It only wakes: heights may be skipped. It returns when
// ctx ends. wake must not block.
func (c *Client) Watch(ctx context.Context, wake func(Header)) {
	events := make(chan Header, 16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.subscribeLoop(ctx, events)
	}()
	defer func() { <-done }()

	poll := time.NewTimer(0)
	defer poll.Stop()
	reachable := true
	for {
		select {
		case <-ctx.Done():
			return
		case h := <-events:
			if c.see(h) {
				wake(h)
			}
		case <-poll.C:
			st, err := c.Status(ctx)
			if (err == nil) != reachable && ctx.Err() == nil {
				reachable = err == nil
				c.cfg.Logger.Info("chain reachable", "ok", reachable, "err", err)
			}
			if err == nil && c.see(st.Head) {
				wake(st.Head)
			}
		}
		poll.Reset(c.cfg.Poll)
	}
}

// subscribeLoop keeps one subscription alive, with growing, jittered pauses.
func (c *Client) subscribeLoop(ctx context.Context, out chan<- Header) {
	backoff := minBackoff
	for ctx.Err() == nil {
		started := time.Now()
		err := c.subscribe(ctx, out)
		if ctx.Err() != nil {
			return
		}
		c.cfg.Logger.Debug("block events lost", "err", err, "after", time.Since(started).Round(time.Millisecond))
		if time.Since(started) > maxBackoff {
			backoff = minBackoff
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff/2 + rand.N(backoff)):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

func (c *Client) subscribe(ctx context.Context, out chan<- Header) error {
	dialer := websocket.Dialer{HandshakeTimeout: c.cfg.Timeout, Proxy: http.ProxyFromEnvironment}
	conn, res, err := dialer.DialContext(ctx, c.ws, nil)
	if res != nil && res.Body != nil {
		defer res.Body.Close()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	conn.SetReadLimit(maxEventBytes)
	alive := func() error { return conn.SetReadDeadline(time.Now().Add(silence)) }
	conn.SetPongHandler(func(string) error { return alive() })
	if err := alive(); err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(c.cfg.Timeout)); err != nil {
		return err
	}
	err = conn.WriteJSON(request{
		JSONRPC: "2.0", ID: c.next.Add(1), Method: "subscribe",
		Params: map[string]string{"query": headerQuery},
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	pings, stopPings := context.WithCancel(ctx)
	pinged := make(chan struct{})
	go func() {
		defer close(pinged)
		tick := time.NewTicker(pingEvery)
		defer tick.Stop()
		for {
			select {
			case <-pings.Done():
				return
			case <-tick.C:
				// A failed ping shows as a read error of the loop below.
				_ = conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.cfg.Timeout))
			}
		}
	}()
	defer func() { stopPings(); <-pinged }()
	for {
		_, raw, err := conn.ReadMessage()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		if err := alive(); err != nil {
			return err
		}
		h, ok, err := decodeEvent(raw)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		h.Seen = time.Now()
		select {
		case out <- h:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// decodeEvent reads one websocket message. The first answer of a subscription is
// empty and no event; an error answer ends the subscription.
func decodeEvent(raw []byte) (Header, bool, error) {
	var r response
	if err := json.Unmarshal(raw, &r); err != nil {
		return Header{}, false, errors.Join(ErrResponse, err)
	}
	if r.Error != nil {
		return Header{}, false, r.Error
	}
	var e struct {
		Data struct {
			Value struct {
				Header struct {
					Height number    `json:"height"`
					Time   time.Time `json:"time"`
				} `json:"header"`
			} `json:"value"`
		} `json:"data"`
	}
	if err := json.Unmarshal(r.Result, &e); err != nil {
		return Header{}, false, errors.Join(ErrResponse, err)
	}
	h := e.Data.Value.Header
	return Header{Height: int64(h.Height), Time: h.Time}, h.Height > 0, nil
}
