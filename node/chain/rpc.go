package chain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

type request struct {
	JSONRPC string `json:"jsonrpc"`
	ID      int64  `json:"id"`
	Method  string `json:"method"`
	Params  any    `json:"params"`
}

type response struct {
	Result json.RawMessage `json:"result"`
	Error  *RPCError       `json:"error"`
}

// number is an int64 that CometBFT writes as a JSON string.
type number int64

func (n *number) UnmarshalJSON(b []byte) error {
	if len(b) >= 2 && b[0] == '"' {
		b = b[1 : len(b)-1]
	}
	v, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return err
	}
	*n = number(v)
	return nil
}

// call makes one JSON-RPC request. ErrUnreachable covers everything between here
// and an answer, ErrResponse an answer that is none.
func (c *Client) call(ctx context.Context, method string, params, out any) error {
	body, err := json.Marshal(request{JSONRPC: "2.0", ID: c.next.Add(1), Method: method, Params: params})
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrResponse, method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.RPC, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrConfig, method, err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnreachable, method, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, c.cfg.MaxResponseBytes+1))
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnreachable, method, err)
	}
	if int64(len(raw)) > c.cfg.MaxResponseBytes {
		return fmt.Errorf("%w: %s: more than %d bytes", ErrResponse, method, c.cfg.MaxResponseBytes)
	}
	var r response
	if err := json.Unmarshal(raw, &r); err != nil {
		// A proxy or a node that is starting answers in other words: the node itself was not reached.
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%w: %s: HTTP %s", ErrUnreachable, method, res.Status)
		}
		return fmt.Errorf("%w: %s: %w", ErrResponse, method, err)
	}
	if r.Error != nil {
		return fmt.Errorf("%s: %w", method, r.Error)
	}
	if err := json.Unmarshal(r.Result, out); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrResponse, method, err)
	}
	return nil
}

// Status is what the node says about itself.
type Status struct {
	ChainID    string
	Moniker    string
	Head       Header
	CatchingUp bool
	// TxIndex is whether the node can tell what became of a transaction.
	TxIndex bool
}

// Status asks the node for its height. ErrWrongChain when it is another chain's,
// ErrSyncing when it is catching up; the Status is filled in both cases.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var r struct {
		NodeInfo struct {
			Network string `json:"network"`
			Moniker string `json:"moniker"`
			Other   struct {
				TxIndex string `json:"tx_index"`
			} `json:"other"`
		} `json:"node_info"`
		SyncInfo struct {
			Height     number    `json:"latest_block_height"`
			Time       time.Time `json:"latest_block_time"`
			CatchingUp bool      `json:"catching_up"`
		} `json:"sync_info"`
	}
	if err := c.call(ctx, "status", struct{}{}, &r); err != nil {
		return Status{}, err
	}
	st := Status{
		ChainID: r.NodeInfo.Network, Moniker: r.NodeInfo.Moniker, CatchingUp: r.SyncInfo.CatchingUp,
		TxIndex: r.NodeInfo.Other.TxIndex == "on",
		Head:    Header{Height: int64(r.SyncInfo.Height), Time: r.SyncInfo.Time, Seen: time.Now()},
	}
	if st.ChainID != c.cfg.ChainID {
		return st, fmt.Errorf("%w: the node is on %q, not %q", ErrWrongChain, st.ChainID, c.cfg.ChainID)
	}
	if st.CatchingUp {
		return st, ErrSyncing
	}
	return st, nil
}

// IsTransient is whether trying the same thing again later can help without any other change.
func IsTransient(err error) bool {
	return errors.Is(err, ErrUnreachable) || errors.Is(err, ErrResponse) || errors.Is(err, ErrSyncing) ||
		errors.Is(err, ErrBusy) || errors.Is(err, ErrRequest) || errors.Is(err, ErrOutOfGas)
}
