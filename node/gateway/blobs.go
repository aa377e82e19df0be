package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ipfs/go-cid"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/loopback"
)

// BlobConfig configures the blob routes.
type BlobConfig struct {
	// Store holds what is served and takes what is uploaded.
	Store blob.Store
	// Fetcher, when set, is asked for DAGs that are not local.
	Fetcher blob.Fetcher
	// FetchTimeout bounds what a request may wait for Fetcher. Default 30 s.
	FetchTimeout time.Duration
	// MaxFetches is how many requests may wait for Fetcher at a time; more are told to come again. Default 8.
	MaxFetches int
	// MaxUpload is the largest DAG taken, in bytes of its blocks. Default 4 GiB.
	MaxUpload int64
	// MaxDownload is the largest DAG served as CAR, and fetched for that, in bytes of its blocks. Default MaxUpload.
	MaxDownload int64
	// MaxUploads is how many uploads run at a time. Default 4.
	MaxUploads int
	// UploadLease is how long an upload is kept from GC. Default 24 h.
	UploadLease time.Duration
	// AllowUpload decides who may upload. Default Loopback.
	AllowUpload func(*http.Request) bool
	// Stall is how long a body may stand still, either way. Default 30 s.
	Stall time.Duration
	// Logger is required.
	Logger *slog.Logger
}

func (c *BlobConfig) validate() error {
	if c.Store == nil || c.Logger == nil {
		return errors.New("blob routes: Store and Logger are required")
	}
	if c.FetchTimeout <= 0 {
		c.FetchTimeout = 30 * time.Second
	}
	if c.MaxFetches <= 0 {
		c.MaxFetches = 8
	}
	if c.MaxUpload <= 0 {
		c.MaxUpload = 4 << 30
	}
	if c.MaxDownload <= 0 {
		c.MaxDownload = c.MaxUpload
	}
	if c.MaxUploads <= 0 {
		c.MaxUploads = 4
	}
	if c.UploadLease <= 0 {
		c.UploadLease = 24 * time.Hour
	}
	if c.AllowUpload == nil {
		c.AllowUpload = Loopback
	}
	if c.Stall <= 0 {
		c.Stall = defaultStall
	}
	return nil
}

// Loopback allows requests of programs on this machine: not those that a proxy passed on, nor those that a
// web page made a browser send.
func Loopback(r *http.Request) bool { return loopback.Request(r) }

type blobHandler struct {
	cfg     BlobConfig
	uploads chan struct{}
	fetches chan struct{}
}

// NewBlobHandler serves blobs:
//
//	POST /v1/car              a CAR of one root; verified, pinned for the upload lease; {"root","bytes","blocks"}
//	GET  /ipfs/{cid}?format=  raw (one block) or car (the DAG, depth first, no duplicates), or by Accept
//
// Errors are {"error","code"} with the codes of blob.Code, or forbidden, busy, internal. A CAR that cannot be completed is cut
// off by closing the connection, so that no client takes it for whole; a block that does not match its CID is
// never sent.
func NewBlobHandler(cfg BlobConfig) (http.Handler, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	h := &blobHandler{cfg: cfg, uploads: make(chan struct{}, cfg.MaxUploads), fetches: make(chan struct{}, cfg.MaxFetches)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/car", h.upload)
	mux.HandleFunc("GET /ipfs/{cid}", h.get)
	return mux, nil
}

// errForbidden, errBusy: refused for who asks, or for now.
var (
	errForbidden = errors.New("uploads are taken from this machine only")
	errBusy      = errors.New("too many at a time, try again")
)

func (h *blobHandler) upload(w http.ResponseWriter, r *http.Request) {
	if !h.cfg.AllowUpload(r) {
		h.fail(w, r, errForbidden)
		return
	}
	// The media type is demanded because a web page cannot send it without asking first, and we never agree.
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/vnd.ipld.car" {
		h.fail(w, r, fmt.Errorf("content type is not application/vnd.ipld.car: %w", blob.ErrUnsupported))
		return
	}
	select {
	case h.uploads <- struct{}{}:
		defer func() { <-h.uploads }()
	default:
		h.fail(w, r, errBusy)
		return
	}
	root, st, err := h.take(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.cfg.Logger.Info("blob uploaded", "root", root.String(), "bytes", st.Bytes, "blocks", st.Blocks)
	writeJSON(w, http.StatusOK, map[string]any{"root": root.String(), "bytes": st.Bytes, "blocks": st.Blocks})
}

func (h *blobHandler) take(w http.ResponseWriter, r *http.Request) (cid.Cid, blob.Stat, error) {
	defer h.cfg.Store.Hold()()
	lim := blob.Limits{MaxBytes: h.cfg.MaxUpload}
	// A CAR is longer than its blocks by less than half plus its header: sections have heads of some 40 bytes.
	// Repeated blocks beyond that are cut off here.
	body := &body{r: r.Body, ctl: http.NewResponseController(w), stall: h.cfg.Stall, left: h.cfg.MaxUpload/2*3 + 1<<20}
	root, st, err := blob.ReadCAR(r.Context(), h.cfg.Store, body, lim)
	if err != nil {
		return root, st, err
	}
	err = h.cfg.Store.Pin(r.Context(), blob.Pin{
		Name: "upload/" + root.String(), Root: root, Until: time.Now().Add(h.cfg.UploadLease),
	})
	return root, st, err
}

func (h *blobHandler) get(w http.ResponseWriter, r *http.Request) {
	c, err := blob.Parse(r.PathValue("cid"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	format, err := formatOf(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	head := w.Header()
	head.Set("Vary", "Accept")
	etag := `"` + c.String() + "." + format + `"`
	if matches(r.Header.Values("If-None-Match"), etag) {
		head.Set("Etag", etag)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	// Set on success only: an error must not be cached for ever.
	good := func(contentType string) {
		head.Set("Etag", etag)
		head.Set("Content-Type", contentType)
		head.Set("Cache-Control", "public, max-age=29030400, immutable")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Content-Disposition", `attachment; filename="`+c.String()+"."+format+`"`)
	}
	if format == "raw" {
		err = h.raw(w, r, c, good)
	} else {
		err = h.car(w, r, c, good)
	}
	if err != nil {
		h.fail(w, r, err)
	}
}

func (h *blobHandler) raw(w http.ResponseWriter, r *http.Request, c cid.Cid, good func(string)) error {
	b, err := h.cfg.Store.Get(r.Context(), c)
	if h.cfg.Fetcher != nil && (errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrCorrupt)) {
		// One block is wanted, not what is below it: the limit that stops there is no error.
		if err = h.fetch(r.Context(), c, blob.Limits{MaxBlocks: 1}); err == nil || errors.Is(err, blob.ErrTooLarge) {
			b, err = h.cfg.Store.Get(r.Context(), c)
		}
	}
	if err != nil {
		return err
	}
	good(blob.RawContentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(b.Data())))
	if r.Method != http.MethodHead {
		_, _ = newSteady(w, h.cfg.Stall).Write(b.Data()) // the client went away: nothing to do
	}
	return nil
}

func (h *blobHandler) car(w http.ResponseWriter, r *http.Request, c cid.Cid, good func(string)) error {
	defer h.cfg.Store.Hold()()
	// What is too large is refused before the answer begins, and is not fetched.
	lim := blob.Limits{MaxBytes: h.cfg.MaxDownload}
	if _, err := blob.Walk(r.Context(), h.cfg.Store, c, lim, nil); errors.Is(err, blob.ErrTooLarge) {
		return err
	} else if err != nil && h.cfg.Fetcher != nil {
		if err := h.fetch(r.Context(), c, lim); err != nil {
			return err
		}
	}
	if ok, err := h.cfg.Store.Has(r.Context(), c); err != nil || !ok {
		return errors.Join(err, fmt.Errorf("block %s: %w", c, blob.ErrNotFound))
	}
	if r.Method == http.MethodHead {
		good(blob.CARContentType)
		return nil
	}
	out := &started{w: newSteady(w, h.cfg.Stall), begin: func() { good(blob.CARContentType) }}
	_, err := blob.WriteCAR(r.Context(), out, h.cfg.Store, c, lim)
	if err != nil && out.begun {
		h.cfg.Logger.Warn("CAR cut off", "root", c.String(), "error", err)
		panic(http.ErrAbortHandler) // the server closes the connection without the end of the body
	}
	return err
}

func (h *blobHandler) fetch(ctx context.Context, c cid.Cid, lim blob.Limits) error {
	select {
	case h.fetches <- struct{}{}:
		defer func() { <-h.fetches }()
	default:
		return errBusy
	}
	ctx, cancel := context.WithTimeout(ctx, h.cfg.FetchTimeout)
	defer cancel()
	_, err := h.cfg.Fetcher.Fetch(ctx, c, lim)
	return err
}

// formatOf reads what the client asked for; the query wins over Accept.
func formatOf(r *http.Request) (string, error) {
	q := r.URL.Query()
	if s := q.Get("dag-scope"); s != "" && s != "all" || q.Has("entity-bytes") {
		return "", fmt.Errorf("dag-scope and entity-bytes: %w", blob.ErrUnsupported)
	}
	switch f := q.Get("format"); f {
	case "raw", "car":
		return f, nil
	case "":
	default:
		return "", fmt.Errorf("format %.40q, want raw or car: %w", f, blob.ErrUnsupported)
	}
	for _, one := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		t, params, err := mime.ParseMediaType(strings.TrimSpace(one))
		switch {
		case err != nil:
		case t == blob.RawContentType:
			return "raw", nil
		case t == "application/vnd.ipld.car" && (params["version"] == "" || params["version"] == "1"):
			return "car", nil
		}
	}
	return "", fmt.Errorf("neither ?format=raw|car nor such an Accept header: %w", blob.ErrUnsupported)
}

func matches(ifNoneMatch []string, etag string) bool {
	for _, one := range strings.Split(strings.Join(ifNoneMatch, ","), ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == etag {
			return true
		}
	}
	return false
}

// fail answers with an error's class.
func (h *blobHandler) fail(w http.ResponseWriter, r *http.Request, err error) {
	code, status := blob.Code(err), http.StatusInternalServerError
	if code == "" {
		code = "internal"
	}
	switch {
	case errors.Is(err, errForbidden):
		code, status = "forbidden", http.StatusForbidden
	case errors.Is(err, errBusy):
		code, status = "busy", http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	case errors.Is(err, blob.ErrCorrupt) && r.Method == http.MethodPost:
		status = http.StatusUnprocessableEntity // the client's bytes; otherwise ours
	case errors.Is(err, blob.ErrUnavailable) && r.Method == http.MethodPost:
		status = http.StatusBadRequest // the client's stream broke off
	case errors.Is(err, blob.ErrTooLarge):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, blob.ErrNoSpace):
		status = http.StatusInsufficientStorage
	case errors.Is(err, blob.ErrUnsupported), errors.Is(err, blob.ErrInvalid):
		status = http.StatusBadRequest
	case errors.Is(err, blob.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, blob.ErrTimeout):
		status = http.StatusGatewayTimeout
	case errors.Is(err, blob.ErrUnavailable), errors.Is(err, blob.ErrClosed):
		status = http.StatusServiceUnavailable
	}
	if status == http.StatusInternalServerError {
		h.cfg.Logger.Error("blob request", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, status, problem{Error: err.Error(), Code: code})
}
