package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/chacha20"

	"github.com/nexara/nexara/node/blob"
)

// memory is a map of blocks: enough of a store for arithmetic tests.
type memory struct {
	mu     sync.Mutex
	blocks map[[32]byte][]byte
}

func newMemory() *memory { return &memory{blocks: map[[32]byte][]byte{}} }

func (m *memory) Put(_ context.Context, b blob.Block) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blocks[blob.Digest(b.CID())] = bytes.Clone(b.Data())
	return nil
}

func (m *memory) Delete(_ context.Context, c cid.Cid) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blocks, blob.Digest(c))
	return nil
}

func (m *memory) Get(_ context.Context, c cid.Cid) (blob.Block, error) {
	if err := blob.Check(c); err != nil {
		return blob.Block{}, err
	}
	if b, ok := blob.Inline(c); ok {
		return b, nil
	}
	m.mu.Lock()
	data, ok := m.blocks[blob.Digest(c)]
	m.mu.Unlock()
	if !ok {
		return blob.Block{}, fmt.Errorf("%s: %w", c, blob.ErrNotFound)
	}
	return blob.VerifyBlock(c, data)
}

func (m *memory) Size(ctx context.Context, c cid.Cid) (int64, error) {
	b, err := m.Get(ctx, c)
	return int64(len(b.Data())), err
}

func (m *memory) Has(ctx context.Context, c cid.Cid) (bool, error) {
	_, err := m.Get(ctx, c)
	return err == nil, nil
}

func (m *memory) Hold() func()                              { return func() {} }
func (m *memory) Pin(context.Context, blob.Pin) error       { return nil }
func (m *memory) Unpin(context.Context, string) error       { return nil }
func (m *memory) Pins(context.Context) ([]blob.Pin, error)  { return nil, nil }
func (m *memory) Sync(context.Context) error                { return nil }
func (m *memory) Close() error                              { return nil }
func (m *memory) Stats(context.Context) (blob.Stats, error) { return blob.Stats{}, nil }
func (m *memory) GC(context.Context, int64) (blob.GCResult, error) {
	return blob.GCResult{}, nil
}

func (m *memory) clone() *memory { return &memory{blocks: maps.Clone(m.blocks)} }

// discard hashes what is put and keeps nothing, for vectors of a gigabyte.
type discard struct{ memory }

func (*discard) Put(context.Context, blob.Block) error { return nil }

type vector struct {
	Name, Kind, Text, Seed, CID string
	Size                        int64
	Count                       int
	NameLen                     int `json:"name_len"`
	LastNameLen                 int `json:"last_name_len"`
}

type keyStream struct{ c *chacha20.Cipher }

func (k keyStream) Read(p []byte) (int, error) {
	clear(p)
	k.c.XORKeyStream(p, p)
	return len(p), nil
}

func stream(t testing.TB, seed string) io.Reader {
	key := sha256.Sum256([]byte(seed))
	c, err := chacha20.NewUnauthenticatedCipher(key[:], make([]byte, chacha20.NonceSize))
	require.NoError(t, err)
	return keyStream{c}
}

func TestVectors(t *testing.T) {
	raw, err := os.ReadFile("../../docs/spec/vectors/unixfs.json")
	require.NoError(t, err)
	var file struct {
		Alphabet string
		Vectors  []vector
	}
	require.NoError(t, json.Unmarshal(raw, &file))
	require.NotEmpty(t, file.Vectors)
	for _, v := range file.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			if testing.Short() && v.Size > 1<<28 {
				t.Skip("a gigabyte")
			}
			var n blob.Node
			var err error
			switch v.Kind {
			case "text":
				n, err = blob.AddBytes(t.Context(), newMemory(), []byte(v.Text))
			case "random":
				n, err = blob.AddReader(t.Context(), &discard{}, io.LimitReader(stream(t, v.Seed), v.Size), blob.Limits{})
			case "dir":
				dir := filepath.Join(t.TempDir(), "d")
				require.NoError(t, os.Mkdir(dir, 0o755))
				names := stream(t, v.Seed)
				for i := range v.Count {
					name := make([]byte, v.NameLen)
					if i == v.Count-1 {
						name = make([]byte, v.LastNameLen)
					}
					_, err := io.ReadFull(names, name)
					require.NoError(t, err)
					for j, b := range name {
						name[j] = file.Alphabet[int(b)%len(file.Alphabet)]
					}
					require.NoError(t, os.WriteFile(filepath.Join(dir, string(name)), []byte("x"), 0o600))
				}
				n, err = blob.AddPath(t.Context(), newMemory(), dir, blob.Limits{})
			}
			require.NoError(t, err)
			require.Equal(t, v.CID, n.CID.String())
		})
	}
}
