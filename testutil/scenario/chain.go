package scenario

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const httpTimeout = 10 * time.Second

// httpGet reads a small answer.
func httpGet(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	bz, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("GET %s: %s: %.300s", url, res.Status, bz)
	}
	return bz, err
}

// Height is the chain's.
func (w *World) Height(ctx context.Context) (int64, error) {
	bz, err := httpGet(ctx, w.RPC+"/status")
	if err != nil {
		return 0, err
	}
	var res struct {
		Result struct {
			SyncInfo struct {
				LatestBlockHeight string `json:"latest_block_height"`
			} `json:"sync_info"`
		}
	}
	if err := json.Unmarshal(bz, &res); err != nil {
		return 0, err
	}
	return strconv.ParseInt(res.Result.SyncInfo.LatestBlockHeight, 10, 64)
}

// Job is what a world reads of a job. Numbers of 64 bits are text in the chain's JSON.
type Job struct {
	Job struct {
		ID     uint64 `json:"id,string"`
		Shards int64  `json:"shards,string"`
		Escrow string `json:"escrow"`
		Counts struct {
			Open      string `json:"open"`
			Leased    string `json:"leased"`
			Running   string `json:"running"`
			Delivered string `json:"delivered"`
			Final     string `json:"final"`
			Settled   string `json:"settled"`
			Paid      string `json:"paid"`
		} `json:"counts"`
		EndedHeight string `json:"ended_height"`
		EndReason   string `json:"end_reason"`
	} `json:"job"`
	State string `json:"state"`
}

// Lease is what a world reads of a lease.
type Lease struct {
	ID        string `json:"id"`
	First     string `json:"first"`
	Count     string `json:"count"`
	NexCoreID string `json:"nexcore_id"`
	Price     string `json:"price"`
	State     string `json:"state"`
	Reason    string `json:"reason"`
	Assigned  string `json:"assigned_height"`
	Acked     string `json:"acked_height"`
	Delivered string `json:"delivered_height"`
	Result    *struct {
		CID string `json:"cid"`
	} `json:"result"`
}

// Payout is what a world reads of a payout.
type Payout struct {
	LeaseID   string `json:"lease_id"`
	NexCoreID string `json:"nexcore_id"`
	Operator  string `json:"operator"`
	Shards    string `json:"shards"`
	Paid      string `json:"paid"`
	Burned    string `json:"burned"`
	Refunded  string `json:"refunded"`
	Slashed   string `json:"slashed"`
	Reason    string `json:"reason"`
}

// Money is the money law as the chain tells it.
type Money struct {
	Holds  bool           `json:"holds"`
	Totals map[string]any `json:"totals"`
}

// query runs a query and decodes its JSON.
func (w *World) query(ctx context.Context, into any, args ...string) error {
	out, err := w.CLI(ctx, append(append([]string{"query"}, args...), "--output", "json")...)
	if err != nil {
		return err
	}
	return json.Unmarshal(out, into)
}

// Job reads a job.
func (w *World) Job(ctx context.Context, id uint64) (Job, error) {
	var j Job
	return j, w.query(ctx, &j, "tasks", "job", fmt.Sprint(id))
}

// Leases reads a job's leases.
func (w *World) Leases(ctx context.Context, id uint64) ([]Lease, error) {
	var res struct{ Leases []Lease }
	return res.Leases, w.query(ctx, &res, "tasks", "leases", fmt.Sprint(id))
}

// Payouts reads a job's payouts.
func (w *World) Payouts(ctx context.Context, id uint64) ([]Payout, error) {
	var res struct{ Payouts []Payout }
	return res.Payouts, w.query(ctx, &res, "tasks", "payouts", fmt.Sprint(id))
}

// Money reads the money law.
func (w *World) Money(ctx context.Context) (Money, error) {
	var m Money
	return m, w.query(ctx, &m, "tasks", "money")
}

// Submit submits a job file as the requester and returns the job's number.
func (w *World) Submit(ctx context.Context, file string) (uint64, error) {
	out, err := w.CLI(ctx, "tx", "tasks", "submit", file, "--from", Requester, "--output", "json")
	if err != nil {
		return 0, err
	}
	var res struct {
		JobID uint64 `json:"job_id"`
	}
	return res.JobID, json.Unmarshal(out, &res)
}

// AwaitJob waits until a job satisfies a condition.
func (w *World) AwaitJob(ctx context.Context, id uint64, within time.Duration, what string, holds func(Job) bool) (Job, error) {
	var last Job
	err := Until(ctx, within, fmt.Sprintf("job %d %s", id, what), func(ctx context.Context) (bool, error) {
		j, err := w.Job(ctx, id)
		if err != nil {
			return false, err
		}
		last = j
		return holds(j), nil
	})
	return last, err
}

// Ended says that every shard of a job has settled.
func Ended(j Job) bool { return j.Job.EndedHeight != "" && j.Job.EndedHeight != "0" }

func hexToBase64(s string) (string, error) {
	bz, err := hex.DecodeString(s)
	return base64.StdEncoding.EncodeToString(bz), err
}
