package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/nexara/nexara/node/blob/file"
	"github.com/nexara/nexara/node/blob/ipfs"
	"github.com/nexara/nexara/node/chain"
	"github.com/nexara/nexara/node/gateway"
	"github.com/nexara/nexara/node/key"
)

const (
	custodyTimeout  = 2 * time.Minute
	custodyParallel = 16
)

// serve joins the parts and runs until ctx ends.
func serve(ctx context.Context, home string, cfg Config, logs io.Writer) (err error) {
	logger := slog.New(slog.NewTextHandler(logs, nil))
	signer, err := key.Load(filepath.Join(home, nodeKey))
	if err != nil {
		return err
	}
	client, err := chain.New(chain.Config{RPC: cfg.RPC, ChainID: cfg.ChainID, Logger: logger})
	if err != nil {
		return err
	}
	defer client.Close()
	store, err := file.Open(file.Config{Dir: filepath.Join(home, blobFolder), MaxBytes: cfg.StoreMiB << 20, Logger: logger})
	if err != nil {
		return err
	}
	node, err := ipfs.Open(ipfs.Config{Store: store, KeyFile: filepath.Join(home, peerKey), Listen: cfg.P2P, Logger: logger})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	defer func() { err = errors.Join(err, node.Close()) }() // closes the store too

	metrics, err := gateway.NewMetrics(node)
	if err != nil {
		return err
	}
	blobs, err := gateway.NewBlobHandler(gateway.BlobConfig{
		Store: node, Fetcher: node, MaxUpload: cfg.MaxUploadMiB << 20, MaxDownload: cfg.maxDownload(), Logger: logger,
	})
	if err != nil {
		return err
	}
	reach := peers{node}
	custody := gateway.NewCustodian(gateway.CustodyConfig{
		ChainID: cfg.ChainID, MaxBytes: cfg.MaxResultMiB << 20, Timeout: custodyTimeout, Keep: cfg.keep(), Parallel: custodyParallel,
		Metrics: metrics,
	}, signer, node, node, reach, ledger{client})
	server, err := gateway.Listen(cfg.Listen, gateway.Handlers{
		Blobs: blobs, Custody: http.Handler(custody), Logs: gateway.LogHandler(ledger{client}, reach, metrics),
		Metrics: metrics,
		Status:  func(ctx context.Context) any { return status(ctx, node, cfg) },
	}, logger)
	if err != nil {
		return err
	}
	logger.Info("gateway is up", "http", server.Addr(), "peer", node.PeerID(), "p2p", node.Addrs())
	return server.Run(ctx)
}
