package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"time"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/blob/file"
	"github.com/nexara/nexara/node/blob/remote"
)

const (
	// rateBytes is what is downloaded to measure the network. The content is the same
	// everywhere, so whoever comes second finds it at the gateway.
	rateBytes = 8 << 20
	// rateTime bounds bringing it there.
	rateTime = 10 * time.Second
)

// rateURL gives where a gateway serves the bytes by which the network is measured.
// They are uploaded first, which gateways allow to their own machine only: where
// nobody did, the rate stays unmeasured, and init says so.
func rateURL(gateway, dir string) func(context.Context) (string, error) {
	return func(ctx context.Context) (_ string, err error) {
		ctx, cancel := context.WithTimeout(ctx, rateTime)
		defer cancel()
		tmp, err := os.MkdirTemp(dir, ".rate-*")
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
		st, err := file.Open(file.Config{Dir: tmp, MaxBytes: 4 * rateBytes, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, st.Close()) }()
		defer st.Hold()()
		// Random bytes: what compresses would look faster than it is.
		node, err := blob.AddReader(ctx, st, io.LimitReader(rand.NewChaCha8([32]byte{'n', 'e', 't'}), rateBytes), blob.Limits{MaxBytes: rateBytes + 1})
		if err != nil {
			return "", err
		}
		base, err := url.Parse(gateway)
		if err != nil {
			return "", err
		}
		at := base.JoinPath("ipfs", node.CID.String())
		at.RawQuery = "format=car"
		client := remote.NewClient()
		defer client.CloseIdleConnections()
		// Refused elsewhere than on the gateway's own machine: then it has the bytes of
		// somebody else, or the download says that it has not.
		_, _ = remote.Upload(ctx, gateway, st, node.CID, remote.Config{Client: client})
		return at.String(), nil
	}
}
