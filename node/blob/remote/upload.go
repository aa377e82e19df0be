package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/nexara/nexara/node/blob"
)

// Uploaded is a gateway's answer to an upload.
type Uploaded struct {
	Root   string `json:"root"`
	Blocks int64  `json:"blocks"` // distinct blocks of the DAG
	Bytes  int64  `json:"bytes"`  // of those blocks
}

// Upload sends the DAG below root to a gateway, which verifies and keeps it for its upload lease. The whole
// DAG must be in r. cfg may be zero but for the fields one cares about; Bases, Store and Logger are not used.
func Upload(ctx context.Context, base string, r blob.Reader, root cid.Cid, cfg Config) (Uploaded, error) {
	out, err := upload(ctx, base, r, root, cfg)
	if err != nil {
		return Uploaded{}, fmt.Errorf("upload %s: %w", root, err)
	}
	return out, nil
}

func upload(ctx context.Context, base string, r blob.Reader, root cid.Cid, cfg Config) (Uploaded, error) {
	var out Uploaded
	cfg.defaults()
	u, err := parseBase(base)
	if err != nil {
		return out, err
	}
	w := newWatch(ctx, cfg.Stall)
	defer w.stop()
	pr, pw := io.Pipe()
	var wg sync.WaitGroup
	var local error // what went wrong while reading our own blocks
	wg.Go(func() {
		_, local = blob.WriteCAR(w.ctx, pw, r, root, blob.Limits{})
		pw.CloseWithError(local)
	})
	// The request's reader is closed by the client whatever happens, which ends the writer.
	req, err := http.NewRequestWithContext(w.ctx, http.MethodPost, u.JoinPath("v1", "car").String(),
		struct {
			io.Reader
			io.Closer
		}{&counted{r: pr, w: w, report: cfg.Progress}, pr})
	if err != nil {
		pr.Close()
		wg.Wait()
		return out, fmt.Errorf("%w: %w", blob.ErrInvalid, err)
	}
	req.Header.Set("Content-Type", blob.CARContentType)
	req.Header.Set("User-Agent", userAgent)
	resp, err := cfg.Client.Do(req)
	pr.Close()
	wg.Wait()
	if err != nil {
		if local != nil && !errors.Is(local, io.ErrClosedPipe) && blob.ContextErr(w.ctx) == nil {
			return out, local
		}
		return out, w.classify(fmt.Errorf("%w: %w", blob.ErrUnavailable, err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		return out, answerErr(resp)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return out, w.classify(fmt.Errorf("%w: %w", blob.ErrUnavailable, err))
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("gateway's answer: %w: %w", blob.ErrInvalid, err)
	}
	if out.Root != root.String() {
		return out, fmt.Errorf("gateway took it for %.100q: %w", out.Root, blob.ErrInvalid)
	}
	return out, nil
}

// watch ends a context when a transfer stands still.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration
}

func newWatch(ctx context.Context, stall time.Duration) *watch {
	w := &watch{stall: stall}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(stall, func() {
		w.cancel(fmt.Errorf("no progress for %s: %w", stall, blob.ErrTimeout))
	})
	return w
}

func (w *watch) moved() { w.timer.Reset(w.stall) }

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// classify prefers the reason why the context ended to the error that its end caused.
func (w *watch) classify(err error) error {
	if err == nil {
		return nil
	}
	cause := context.Cause(w.ctx)
	switch {
	case cause == nil:
		return err
	case errors.Is(cause, blob.ErrTimeout):
		return cause
	default:
		return blob.ContextErr(w.ctx)
	}
}

// counted reports what is read and tells the watch.
type counted struct {
	r      io.Reader
	w      *watch
	n      int64
	report func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if n > 0 {
		c.w.moved()
		c.n += int64(n)
		c.report(c.n)
	}
	return n, err
}
