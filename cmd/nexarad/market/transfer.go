package market

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/ipfs/go-cid"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/file"
	"github.com/nexara/nexara/node/blob/remote"
)

// cacheBytes bounds the temporary blob folder of one command.
const cacheBytes = 64 << 30

// openCache makes a blob folder for the time of one command; done removes it.
func openCache() (store blob.Store, done func(), err error) {
	dir, err := os.MkdirTemp("", "nexarad-blobs-")
	if err != nil {
		return nil, nil, err
	}
	store, err = file.Open(file.Config{Dir: dir, MaxBytes: cacheBytes, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return store, func() { store.Close(); os.RemoveAll(dir) }, nil
}

// sendCAR uploads a DAG to a gateway.
func sendCAR(ctx context.Context, gateway string, store blob.Store, root cid.Cid) error {
	_, err := remote.Upload(ctx, gateway, store, root, remote.Config{})
	return err
}

// fetchCAR downloads a DAG from a gateway; each block is checked against its CID.
func fetchCAR(ctx context.Context, gateway string, store blob.Store, root cid.Cid) error {
	if _, err := remote.Download(ctx, gateway, root, store, blob.Limits{}); err != nil {
		return fmt.Errorf("download of %s from %s: %w", root, gateway, err)
	}
	return nil
}
