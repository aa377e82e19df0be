// Package remote moves blobs over HTTP: it fetches DAGs from trustless IPFS gateways (GET /ipfs/{cid} as CAR
// or raw block) and uploads them to a Nexara gateway (POST /v1/car). It is the blob driver of setups without
// libp2p and what the CLI uses. It trusts no gateway: every block is verified before it is stored.
package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/nexara/nexara/node/blob"
)

const (
	maxAnswer = 64 << 10 // bytes of a JSON answer
	userAgent = "nexara"
)

// Config configures a Fetcher; Upload uses the fields that concern it.
type Config struct {
	// Bases are gateway URLs, such as http://127.0.0.1:8090, tried in order.
	Bases []string
	// Store is filled by Fetch.
	Store blob.Store
	// Client makes the requests. Default NewClient().
	Client *http.Client
	// Stall is how long a transfer may stand still before it is ErrTimeout. Default 20 s.
	Stall time.Duration
	// Workers is the number of single blocks asked for at a time when a fetch resumes. Default 8.
	Workers int
	// Progress, when set, is called with the bytes moved so far by one Fetch or Upload, from one goroutine.
	Progress func(bytes int64)
	// Logger is required.
	Logger *slog.Logger
}

// NewClient is an HTTP client with time limits on everything but the body, which Config.Stall bounds. It
// follows no redirects: a gateway that answers with one is taken as unavailable.
func NewClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			MaxIdleConnsPerHost:    8,
			MaxConnsPerHost:        16,
			IdleConnTimeout:        30 * time.Second,
			TLSHandshakeTimeout:    10 * time.Second,
			ExpectContinueTimeout:  time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Fetcher implements blob.Fetcher.
type Fetcher struct {
	cfg   Config
	bases []*url.URL
}

var _ blob.Fetcher = (*Fetcher)(nil)

// New checks the configuration.
func New(cfg Config) (*Fetcher, error) {
	if cfg.Store == nil || cfg.Logger == nil || len(cfg.Bases) == 0 {
		return nil, errors.New("remote blobs: Bases, Store and Logger are required")
	}
	cfg.defaults()
	f := &Fetcher{cfg: cfg}
	for _, b := range cfg.Bases {
		u, err := parseBase(b)
		if err != nil {
			return nil, err
		}
		f.bases = append(f.bases, u)
	}
	return f, nil
}

func (c *Config) defaults() {
	if c.Client == nil {
		c.Client = NewClient()
	}
	if c.Stall <= 0 {
		c.Stall = 20 * time.Second
	}
	if c.Workers <= 0 {
		c.Workers = 8
	}
	if c.Progress == nil {
		c.Progress = func(int64) {}
	}
}

func parseBase(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("gateway URL %q, want http(s)://host[:port]: %w", base, errors.Join(blob.ErrInvalid, err))
	}
	return u, nil
}

// Download fetches one DAG from one gateway: Fetch for a caller that keeps no Fetcher.
func Download(ctx context.Context, base string, root cid.Cid, st blob.Store, lim blob.Limits) (blob.Stat, error) {
	f, err := New(Config{Bases: []string{base}, Store: st, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return blob.Stat{}, err
	}
	return f.Fetch(ctx, root, lim)
}

// Fetch implements blob.Fetcher. A DAG of which nothing is local comes as one CAR; what a broken transfer
// left out, or an earlier one, comes block by block.
func (f *Fetcher) Fetch(ctx context.Context, root cid.Cid, lim blob.Limits) (blob.Stat, error) {
	st, err := f.fetch(ctx, root, lim)
	if err != nil {
		return st, fmt.Errorf("fetch %s: %w", root, err)
	}
	return st, nil
}

func (f *Fetcher) fetch(ctx context.Context, root cid.Cid, lim blob.Limits) (blob.Stat, error) {
	defer f.cfg.Store.Hold()()
	here, err := f.cfg.Store.Has(ctx, root)
	if err != nil {
		return blob.Stat{}, err
	}
	var got int64
	var failed error
	for i := 0; i < len(f.bases) && !here; i++ {
		st, err := f.car(ctx, f.bases[i], root, lim)
		if err == nil {
			return st, nil
		}
		if final(ctx, err) {
			return st, err
		}
		f.cfg.Logger.Debug("CAR not fetched whole", "gateway", f.bases[i].Host, "root", root.String(), "error", err)
		failed = errors.Join(failed, err)
		got += st.Got
		if here, err = f.cfg.Store.Has(ctx, root); err != nil {
			return st, err
		}
	}
	if !here {
		return blob.Stat{}, failed
	}
	st, err := blob.FetchDAG(ctx, f.cfg.Store, root, lim, f.cfg.Workers, f.block)
	st.Got += got
	return st, err
}

// final tells errors that another gateway or another attempt would not cure.
func final(ctx context.Context, err error) bool {
	return blob.ContextErr(ctx) != nil || errors.Is(err, blob.ErrTooLarge) || errors.Is(err, blob.ErrNoSpace) ||
		errors.Is(err, blob.ErrClosed) || errors.Is(err, blob.ErrUnsupported)
}

func (f *Fetcher) car(ctx context.Context, base *url.URL, root cid.Cid, lim blob.Limits) (st blob.Stat, err error) {
	err = f.get(ctx, base, root, "car", func(body io.Reader) error {
		var got cid.Cid
		got, st, err = blob.ReadCAR(ctx, f.cfg.Store, body, lim)
		if err == nil && !got.Equals(root) {
			return fmt.Errorf("gateway sent a CAR of %s: %w", got, blob.ErrInvalid)
		}
		return err
	})
	return st, err
}

// block is a blob.Source over all gateways.
func (f *Fetcher) block(ctx context.Context, c cid.Cid) (data []byte, err error) {
	var failed error
	for _, base := range f.bases {
		err := f.get(ctx, base, c, "raw", func(body io.Reader) error {
			data, err = io.ReadAll(io.LimitReader(body, blob.MaxBlockSize+1))
			if err != nil {
				return fmt.Errorf("%w: %w", blob.ErrUnavailable, err)
			}
			_, err = blob.VerifyBlock(c, data)
			return err
		})
		if err == nil {
			return data, nil
		}
		if ended := blob.ContextErr(ctx); ended != nil {
			return nil, ended
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

func (f *Fetcher) get(ctx context.Context, base *url.URL, c cid.Cid, format string, read func(io.Reader) error) error {
	if err := blob.Check(c); err != nil {
		return err
	}
	u := base.JoinPath("ipfs", c.String())
	u.RawQuery = "format=" + format
	accept := blob.RawContentType
	if format == "car" {
		accept = blob.CARContentType
	}
	w := newWatch(ctx, f.cfg.Stall)
	defer w.stop()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("%w: %w", blob.ErrInvalid, err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", userAgent)
	resp, err := f.cfg.Client.Do(req)
	if err != nil {
		return w.classify(fmt.Errorf("%w: %w", blob.ErrUnavailable, err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return answerErr(resp)
	}
	body := &counted{r: resp.Body, w: w, report: func(int64) {}}
	if format == "car" {
		body.report = f.cfg.Progress
	}
	return w.classify(read(body))
}

// answerErr turns an answer that is not success into the class that its JSON names, or else its status.
func answerErr(resp *http.Response) error {
	var msg struct{ Error, Code string }
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		err = json.Unmarshal(raw, &msg)
	}
	class := blob.OfCode(msg.Code)
	if err != nil || class == nil {
		switch resp.StatusCode {
		case http.StatusNotFound, http.StatusGone:
			class = blob.ErrNotFound
		case http.StatusRequestEntityTooLarge:
			class = blob.ErrTooLarge
		case http.StatusGatewayTimeout, http.StatusRequestTimeout:
			class = blob.ErrTimeout
		case http.StatusInsufficientStorage:
			class = blob.ErrNoSpace
		case http.StatusBadRequest, http.StatusUnsupportedMediaType, http.StatusNotAcceptable:
			class = blob.ErrUnsupported
		case http.StatusForbidden, http.StatusUnauthorized:
			class = ErrForbidden
		default:
			class = blob.ErrUnavailable
		}
	}
	return fmt.Errorf("%s %s answered %s %.200q: %w", resp.Request.Method, resp.Request.URL.Redacted(), resp.Status, msg.Error, class)
}

// ErrForbidden means that the gateway does not take uploads from here.
var ErrForbidden = errors.New("gateway refused")
