package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// LogProtocol is the stream protocol on which NexCores serve live logs: a line of JSON, then bytes.
const LogProtocol = "/nexara/logs/1.0.0"

// LogRequest is the line that opens a log stream.
type LogRequest struct {
	Lease  uint64 `json:"lease"`
	Shard  int64  `json:"shard"` // the job's index of the shard
	Offset int64  `json:"offset"`
}

// Streams opens a stream to a peer at any of its addresses.
type Streams interface {
	OpenStream(ctx context.Context, addrs []string, protocol string) (io.ReadWriteCloser, error)
}

const (
	logTimeout  = 10 * time.Second
	maxLogBytes = 8 << 20
	// maxLogStreams is how many live logs are passed on at a time.
	maxLogStreams = 32
)

// LogHandler answers GET /v1/logs/{lease}/{shard}?offset=N with what a running shard has printed since
// offset. It reads from the NexCore that the chain names; delivered logs are part of the result instead.
// At most maxLogStreams are read at a time, more are told to come again. m may be nil.
func LogHandler(ledger Ledger, streams Streams, m *Metrics) http.HandlerFunc {
	slots := make(chan struct{}, maxLogStreams)
	return func(w http.ResponseWriter, r *http.Request) {
		req, err := logRequest(r)
		if err != nil {
			writeError(w, err)
			return
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			writeError(w, errBusy)
			return
		}
		defer m.reading()()
		ctx, cancel := context.WithTimeout(r.Context(), logTimeout)
		defer cancel()
		stream, err := openLog(ctx, ledger, streams, req)
		if err != nil {
			writeError(w, err)
			return
		}
		defer stream.Close()
		stop := context.AfterFunc(ctx, func() { stream.Close() })
		defer stop()
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = io.Copy(w, io.LimitReader(stream, maxLogBytes)) // a broken stream ends the answer early
	}
}

func logRequest(r *http.Request) (LogRequest, error) {
	lease, err1 := strconv.ParseUint(r.PathValue("lease"), 10, 64)
	shard, err2 := strconv.ParseInt(r.PathValue("shard"), 10, 64)
	offset := int64(0)
	var err3 error
	if text := r.URL.Query().Get("offset"); text != "" {
		offset, err3 = strconv.ParseInt(text, 10, 64)
	}
	if err1 != nil || err2 != nil || err3 != nil || shard < 0 || offset < 0 {
		return LogRequest{}, fmt.Errorf("%w: lease, shard and offset are numbers", ErrRequest)
	}
	return LogRequest{Lease: lease, Shard: shard, Offset: offset}, nil
}

func openLog(ctx context.Context, ledger Ledger, streams Streams, req LogRequest) (io.ReadWriteCloser, error) {
	_, nexcore, err := lookUp(ctx, ledger, req.Lease)
	if err != nil {
		return nil, err
	}
	stream, err := streams.OpenStream(ctx, nexcore.GetSpec().GetMultiaddrs(), LogProtocol)
	if err != nil {
		return nil, fmt.Errorf("%w: NexCore %d: %w", ErrUnavailable, nexcore.Id, err)
	}
	stop := context.AfterFunc(ctx, func() { stream.Close() }) // a peer that takes nothing holds us no longer
	defer stop()
	line, err := json.Marshal(req)
	if err == nil {
		_, err = stream.Write(append(line, '\n'))
	}
	if err != nil {
		stream.Close()
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return stream, nil
}
