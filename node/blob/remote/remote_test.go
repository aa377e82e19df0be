package remote

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/blobtest"
	"github.com/nexara/nexara/node/blob/file"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

func store(t testing.TB) blob.Store {
	st, err := file.Open(file.Config{Dir: t.TempDir(), MaxBytes: 1 << 30, Grace: -1, Logger: quiet})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return st
}

// client is closed at the end, so that no idle connection outlives its test.
func client(t testing.TB) *http.Client {
	c := NewClient()
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// Gateways that misbehave are told apart, never believed, and the next one is asked.
func TestHostileGateways(t *testing.T) {
	good := store(t)
	root, leaves := blobtest.Tree(t, good, 1)
	other, _ := blobtest.Tree(t, good, 2)
	car := func(c blob.Node) []byte {
		var buf bytes.Buffer
		_, err := blob.WriteCAR(t.Context(), &buf, good, c.CID, blob.Limits{})
		require.NoError(t, err)
		return buf.Bytes()
	}
	whole := car(root)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	done := make(chan struct{})
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		want  error
	}{
		{"nothing", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, blob.ErrNotFound},
		{"gone", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }, blob.ErrNotFound},
		{"broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, blob.ErrUnavailable},
		{"redirects", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, blob.ErrUnavailable},
		{"typed", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"error":"waited","code":"timeout"}`)
		}, blob.ErrTimeout},
		{"another DAG", func(w http.ResponseWriter, _ *http.Request) { w.Write(car(other)) }, blob.ErrInvalid},
		{"empty", func(http.ResponseWriter, *http.Request) {}, blob.ErrInvalid},
		{"a page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>welcome</html>") }, blob.ErrInvalid},
		{"flipped bit", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("format") == "raw" {
				w.Write(bytes.Repeat([]byte("lie"), 10))
				return
			}
			w.Write(flipped)
		}, blob.ErrCorrupt},
		{"cut off", func(w http.ResponseWriter, r *http.Request) {
			w.Write(whole[:len(whole)/2])
			panic(http.ErrAbortHandler)
		}, blob.ErrUnavailable},
		{"stands still", func(w http.ResponseWriter, r *http.Request) {
			w.Write(whole[:30])
			http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-done:
			}
		}, blob.ErrTimeout},
		{"endless block", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(whole[:59]); err != nil {
					return
				}
			}
		}, blob.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := httptest.NewServer(c.serve)
			defer bad.Close()
			st := store(t)
			cfg := Config{Bases: []string{bad.URL}, Store: st, Client: client(t), Stall: time.Minute, Logger: quiet}
			if c.name == "stands still" {
				cfg.Stall = 2 * time.Second
			}
			f, err := New(cfg)
			require.NoError(t, err)
			_, err = f.Fetch(blobtest.Context(t), root.CID, blob.Limits{})
			require.ErrorIs(t, err, c.want)
			ok, err := st.Has(t.Context(), leaves[3].CID())
			require.NoError(t, err)
			require.False(t, ok)
			// A good gateway behind it makes the fetch whole.
			second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				id, err := blob.Parse(r.URL.Path[len("/ipfs/"):])
				if err == nil && r.URL.Query().Get("format") == "car" {
					_, err = blob.WriteCAR(r.Context(), w, good, id, blob.Limits{})
				} else if err == nil {
					var b blob.Block
					b, err = good.Get(r.Context(), id)
					w.Write(b.Data())
				}
				if err != nil {
					panic(http.ErrAbortHandler)
				}
			}))
			defer second.Close()
			cfg.Bases = append(cfg.Bases, second.URL)
			f, err = New(cfg)
			require.NoError(t, err)
			_, err = f.Fetch(blobtest.Context(t), root.CID, blob.Limits{})
			require.NoError(t, err)
			blobtest.Equal(t, st, root.CID, 1)
		})
	}
	close(done)
}

func TestUploadErrors(t *testing.T) {
	st := store(t)
	root, leaves := blobtest.Tree(t, st, 1)
	answer := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	cfg := Config{Client: client(t), Stall: time.Minute}
	ctx := blobtest.Context(t)
	up := func(base string) error {
		_, err := Upload(ctx, base, st, root.CID, cfg)
		return err
	}
	require.NoError(t, up(answer(200, `{"root":"`+root.CID.String()+`","bytes":1,"blocks":1}`)))
	require.ErrorIs(t, up(answer(200, `{"root":"bafy","bytes":1,"blocks":1}`)), blob.ErrInvalid)
	require.ErrorIs(t, up(answer(200, `no json`)), blob.ErrInvalid)
	require.ErrorIs(t, up(answer(403, ``)), ErrForbidden)
	require.ErrorIs(t, up(answer(413, ``)), blob.ErrTooLarge)
	require.ErrorIs(t, up(answer(507, ``)), blob.ErrNoSpace)
	require.ErrorIs(t, up("ftp://x"), blob.ErrInvalid)
	require.ErrorIs(t, up("http://127.0.0.1:1"), blob.ErrUnavailable)
	done := make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	defer stuck.Close()
	defer close(done)
	cfg.Stall = 300 * time.Millisecond
	require.ErrorIs(t, up(stuck.URL), blob.ErrTimeout)
	cfg.Stall = time.Minute
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err := Upload(ended, stuck.URL, st, root.CID, cfg)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, st.Delete(ctx, leaves[2].CID()))
	require.ErrorIs(t, up(answer(200, `{}`)), blob.ErrNotFound)
	_, err = New(Config{Bases: []string{"x"}, Store: st, Logger: quiet})
	require.ErrorIs(t, err, blob.ErrInvalid)
}
