package gateway

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/blobtest"
	"github.com/nexara/nexara/node/blob/file"
	"github.com/nexara/nexara/node/blob/remote"
)

var quietLog = slog.New(slog.DiscardHandler)

func blobStore(t testing.TB, dir string, maxBytes int64) blob.Store {
	t.Helper()
	st, err := file.Open(file.Config{Dir: dir, MaxBytes: maxBytes, Grace: -1, Logger: quietLog})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return st
}

func blobServer(t testing.TB, cfg BlobConfig) *httptest.Server {
	t.Helper()
	cfg.Logger = quietLog
	h, err := NewBlobHandler(cfg)
	require.NoError(t, err)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func httpClient(t testing.TB) *http.Client {
	c := remote.NewClient()
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func remoteOf(t testing.TB, st blob.Store, bases ...string) *remote.Fetcher {
	t.Helper()
	f, err := remote.New(remote.Config{Bases: bases, Store: st, Client: httpClient(t), Stall: 10 * time.Second, Logger: quietLog})
	require.NoError(t, err)
	return f
}

// The HTTP fetcher against the real handler passes the suite of fetchers.
func TestBlobFetcher(t *testing.T) {
	blobtest.RunFetcher(t, func(t testing.TB, clientMax int64) *blobtest.Pair {
		srcDir, cliDir := blobtest.NewDirs(t)
		src, cli := blobStore(t, srcDir, 1<<30), blobStore(t, cliDir, clientMax)
		h, err := NewBlobHandler(BlobConfig{Store: src, Logger: quietLog})
		require.NoError(t, err)
		var srv *httptest.Server
		address := "127.0.0.1:0"
		p := &blobtest.Pair{Source: src, SourceDir: srcDir, Client: cli}
		p.Start = func() {
			l, err := net.Listen("tcp", address)
			require.NoError(t, err)
			address = l.Addr().String()
			srv = httptest.NewUnstartedServer(h)
			srv.Listener.Close()
			srv.Listener = l
			srv.Start()
		}
		p.Stop = func() {
			srv.CloseClientConnections()
			srv.Close()
		}
		p.Start()
		t.Cleanup(func() { srv.Close() })
		p.Fetcher = remoteOf(t, cli, srv.URL)
		return p
	})
}

func TestBlobUpload(t *testing.T) {
	ctx := blobtest.Context(t)
	gate, local := blobStore(t, t.TempDir(), 64<<20), blobStore(t, t.TempDir(), 64<<20)
	srv := blobServer(t, BlobConfig{Store: gate, MaxUpload: 8 << 20})
	root, _ := blobtest.Tree(t, local, 1)
	var seen int64
	got, err := remote.Upload(ctx, srv.URL, local, root.CID, remote.Config{Client: httpClient(t), Progress: func(n int64) { seen = n }})
	require.NoError(t, err)
	st, err := blob.Walk(ctx, local, root.CID, blob.Limits{}, nil)
	require.NoError(t, err)
	require.Equal(t, remote.Uploaded{Root: root.CID.String(), Blocks: st.Blocks, Bytes: st.Bytes}, got)
	require.Greater(t, seen, st.Bytes)
	_, err = gate.GC(ctx, 0)
	require.NoError(t, err)
	blobtest.Equal(t, gate, root.CID, 1)
	pins, err := gate.Pins(ctx)
	require.NoError(t, err)
	require.Len(t, pins, 1)
	require.Equal(t, "upload/"+root.CID.String(), pins[0].Name)
	require.WithinDuration(t, time.Now().Add(24*time.Hour), pins[0].Until, time.Hour)

	big, err := blob.AddBytes(ctx, local, blobtest.Bytes(9<<20, 5))
	require.NoError(t, err)
	_, err = remote.Upload(ctx, srv.URL, local, big.CID, remote.Config{Client: httpClient(t)})
	require.ErrorIs(t, err, blob.ErrTooLarge)
	full := blobServer(t, BlobConfig{Store: blobStore(t, t.TempDir(), 1<<20)})
	_, err = remote.Upload(ctx, full.URL, local, root.CID, remote.Config{Client: httpClient(t)})
	require.ErrorIs(t, err, blob.ErrNoSpace)
	closed := blobServer(t, BlobConfig{Store: gate, AllowUpload: func(*http.Request) bool { return false }})
	_, err = remote.Upload(ctx, closed.URL, local, root.CID, remote.Config{Client: httpClient(t)})
	require.ErrorIs(t, err, remote.ErrForbidden)
}

func TestBlobUploadRefuses(t *testing.T) {
	st := blobStore(t, t.TempDir(), 64<<20)
	root, _ := blobtest.Tree(t, st, 1)
	var car bytes.Buffer
	_, err := blob.WriteCAR(t.Context(), &car, st, root.CID, blob.Limits{})
	require.NoError(t, err)
	flipped := bytes.Clone(car.Bytes())
	flipped[len(flipped)/2] ^= 1
	h, err := NewBlobHandler(BlobConfig{Store: blobStore(t, t.TempDir(), 64<<20), Logger: quietLog})
	require.NoError(t, err)
	for _, c := range []struct {
		name   string
		body   []byte
		change func(*http.Request)
		status int
		code   string
	}{
		{"good", car.Bytes(), func(*http.Request) {}, 200, ""},
		{"from elsewhere", car.Bytes(), func(r *http.Request) { r.RemoteAddr = "192.0.2.1:5" }, 403, "forbidden"},
		{"through a proxy", car.Bytes(), func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") }, 403, "forbidden"},
		{"from a web page", car.Bytes(), func(r *http.Request) { r.Header.Set("Origin", "http://example.com") }, 403, "forbidden"},
		{"as a form", car.Bytes(), func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 400, "unsupported"},
		{"flipped bit", flipped, func(*http.Request) {}, 422, "corrupt"},
		{"not a CAR", []byte("hello"), func(*http.Request) {}, 400, "invalid"},
		{"nothing", nil, func(*http.Request) {}, 400, "invalid"},
		{"cut off", car.Bytes()[:1000], func(*http.Request) {}, 400, "unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/v1/car", bytes.NewReader(c.body))
			r.RemoteAddr = "127.0.0.1:5"
			r.Header.Set("Content-Type", blob.CARContentType)
			c.change(r)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, c.status, w.Code, w.Body)
			require.Equal(t, "application/json", w.Header().Get("Content-Type"))
			if c.code != "" {
				require.Contains(t, w.Body.String(), `"code":"`+c.code+`"`)
			}
		})
	}
}

func TestBlobGet(t *testing.T) {
	ctx := blobtest.Context(t)
	dir := t.TempDir()
	st := blobStore(t, dir, 64<<20)
	srv, client := blobServer(t, BlobConfig{Store: st}), httpClient(t)
	root, leaves := blobtest.Tree(t, st, 1)
	do := func(method, path string, header ...string) (*http.Response, []byte) {
		r, err := http.NewRequestWithContext(ctx, method, srv.URL+path, nil)
		require.NoError(t, err)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := client.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp, body
	}
	leaf := "/ipfs/" + leaves[0].CID().String()
	resp, body := do("GET", leaf+"?format=raw")
	require.Equal(t, 200, resp.StatusCode)
	require.True(t, bytes.Equal(leaves[0].Data(), body))
	require.Equal(t, blob.RawContentType, resp.Header.Get("Content-Type"))
	require.Contains(t, resp.Header.Get("Cache-Control"), "immutable")
	etag := resp.Header.Get("Etag")
	require.Equal(t, `"`+leaves[0].CID().String()+`.raw"`, etag)
	resp, body = do("GET", leaf, "Accept", "text/html, application/vnd.ipld.raw;q=0.9")
	require.Equal(t, 200, resp.StatusCode)
	require.Len(t, body, 1<<20)
	resp, body = do("HEAD", leaf+"?format=raw")
	require.Equal(t, 200, resp.StatusCode)
	require.Empty(t, body)
	require.Equal(t, strconv.Itoa(1<<20), resp.Header.Get("Content-Length"))
	for _, match := range []string{etag, "W/" + etag, `"x", ` + etag, "*"} {
		resp, body = do("GET", leaf+"?format=raw", "If-None-Match", match)
		require.Equal(t, 304, resp.StatusCode)
		require.Empty(t, body)
	}
	resp, _ = do("GET", leaf+"?format=raw", "If-None-Match", `"x"`)
	require.Equal(t, 200, resp.StatusCode)

	whole := "/ipfs/" + root.CID.String()
	resp, body = do("GET", whole, "Accept", "application/vnd.ipld.car; version=1")
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, blob.CARContentType, resp.Header.Get("Content-Type"))
	got, _, err := blob.ReadCAR(ctx, blobStore(t, t.TempDir(), 64<<20), bytes.NewReader(body), blob.Limits{})
	require.NoError(t, err)
	require.Equal(t, root.CID, got)
	resp, _ = do("HEAD", whole+"?format=car")
	require.Equal(t, 200, resp.StatusCode)

	none := "/ipfs/" + blobtest.Block(t, 5, 5).CID().String()
	for _, c := range []struct {
		path   string
		status int
		code   string
	}{
		{none + "?format=raw", 404, "not_found"},
		{none + "?format=car", 404, "not_found"},
		{leaf, 400, "unsupported"},
		{leaf + "?format=tar", 400, "unsupported"},
		{whole + "?format=car&dag-scope=block", 400, "unsupported"},
		{"/ipfs/nonsense?format=raw", 400, "invalid"},
		{"/ipfs/" + strings.Repeat("b", 900) + "?format=raw", 413, "too_large"},
	} {
		resp, body := do("GET", c.path)
		require.Equal(t, c.status, resp.StatusCode, c.path)
		require.Contains(t, string(body), `"code":"`+c.code+`"`)
		require.Equal(t, "no-store", resp.Header.Get("Cache-Control"), "an error is not cached")
	}
	resp, _ = do("PUT", leaf)
	require.Equal(t, 405, resp.StatusCode)

	// An incomplete or corrupt DAG: the stream breaks off, a block is an error.
	blobtest.Corrupt(t, dir, leaves[2])
	r, err := http.NewRequestWithContext(ctx, "GET", srv.URL+whole+"?format=car", nil)
	require.NoError(t, err)
	resp, err = client.Do(r)
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	require.Error(t, err)
	resp.Body.Close()
	blobtest.Corrupt(t, dir, leaves[1])
	resp, body = do("GET", "/ipfs/"+leaves[1].CID().String()+"?format=raw")
	require.Equal(t, 500, resp.StatusCode)
	require.Contains(t, string(body), `"code":"corrupt"`)
}

// A gateway without the blocks asks its fetcher, once for a block and once for a DAG.
func TestBlobFetchThrough(t *testing.T) {
	ctx := blobtest.Context(t)
	far, near, mine := blobStore(t, t.TempDir(), 64<<20), blobStore(t, t.TempDir(), 64<<20), blobStore(t, t.TempDir(), 64<<20)
	root, leaves := blobtest.Tree(t, far, 1)
	source := blobServer(t, BlobConfig{Store: far})
	gate := blobServer(t, BlobConfig{Store: near, Fetcher: remoteOf(t, near, source.URL), FetchTimeout: time.Minute})
	resp, err := httpClient(t).Get(gate.URL + "/ipfs/" + root.CID.String() + "?format=raw")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)
	ok, err := near.Has(ctx, leaves[3].CID())
	require.NoError(t, err)
	require.False(t, ok, "one block was asked for")
	f := remoteOf(t, mine, gate.URL)
	_, err = f.Fetch(ctx, root.CID, blob.Limits{})
	require.NoError(t, err)
	blobtest.Equal(t, mine, root.CID, 1)
	_, err = f.Fetch(ctx, blobtest.Block(t, 5, 5).CID(), blob.Limits{})
	require.ErrorIs(t, err, blob.ErrNotFound)
}
