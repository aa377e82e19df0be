package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
)

// Lease is what the journal knows about an open lease: the last of each step.
// A nil pointer means that the step was not done.
type Lease struct {
	ID            uint64
	Seen          Seen
	Acknowledged  *Acknowledged
	ImageFetched  *ImageFetched
	InputsFetched *InputsFetched
	// Shards holds those with at least one step, by index inside the lease.
	Shards    map[int64]Shard
	Result    *ResultPacked
	Custody   *CustodySigned
	Delivered *Delivered
	Final     *Final
}

// Shard is what the journal knows about one shard of a lease.
type Shard struct {
	Started *RunStarted
	Ended   *RunEnded
	Packed  *Packed
}

// Finished is what is left of a lease after Final.
type Finished struct {
	Lease       uint64 `json:"lease"`
	Job         uint64 `json:"job"`
	Reason      string `json:"reason"`
	ResultCID   string `json:"result_cid"`
	DeliveredTx string `json:"delivered_tx"`
}

// Clone copies a lease; the steps themselves are shared and never changed.
func (l *Lease) Clone() *Lease {
	if l == nil {
		return nil
	}
	c := *l
	c.Shards = maps.Clone(l.Shards)
	return &c
}

func (l *Lease) finished() Finished {
	f := Finished{Lease: l.ID, Job: l.Seen.Job, Reason: l.Final.Reason}
	if l.Result != nil {
		f.ResultCID = l.Result.CID
	}
	if l.Delivered != nil {
		f.DeliveredTx = l.Delivered.Tx
	}
	return f
}

// apply is the only place that knows which step may follow which. It changes and
// returns l, or a new lease when l is nil.
func apply(l *Lease, id uint64, s Step) (*Lease, error) {
	if s == nil || !s.valid() {
		return nil, fmt.Errorf("%w: lease %d: values out of range", ErrStep, id)
	}
	refuse := func(why string) (*Lease, error) {
		return nil, fmt.Errorf("%w: lease %d: %s: %s", ErrOrder, id, s.name(), why)
	}
	if seen, ok := s.(Seen); ok {
		if l != nil {
			return refuse("the lease is known")
		}
		return &Lease{ID: id, Seen: seen, Shards: map[int64]Shard{}}, nil
	}
	if l == nil {
		return refuse("the lease was not seen")
	}
	if l.Final != nil {
		return refuse("the lease is final")
	}
	switch s := s.(type) {
	case Acknowledged:
		l.Acknowledged = &s
	case ImageFetched:
		l.ImageFetched = &s
	case InputsFetched:
		l.InputsFetched = &s
	case RunStarted:
		if s.Shard >= l.Seen.Count {
			return refuse("no such shard")
		}
		if l.Shards[s.Shard].Packed != nil {
			return refuse("the shard is packed")
		}
		// A new run of the same shard: what an earlier one did is void.
		l.Shards[s.Shard] = Shard{Started: &s}
	case RunEnded:
		sh := l.Shards[s.Shard]
		if sh.Started == nil || sh.Started.RunID != s.RunID {
			return refuse("another run or none was started")
		}
		sh.Ended = &s
		l.Shards[s.Shard] = sh
	case Packed:
		sh := l.Shards[s.Shard]
		if sh.Ended == nil {
			return refuse("the run has not ended")
		}
		sh.Packed = &s
		l.Shards[s.Shard] = sh
	case ResultPacked:
		if !l.anyPacked() {
			return refuse("no shard is packed")
		}
		// A receipt for other bytes is worth nothing.
		if l.Result != nil && l.Result.CID != s.CID {
			l.Custody = nil
		}
		l.Result = &s
	case CustodySigned:
		if l.Result == nil {
			return refuse("there is no result")
		}
		l.Custody = &s
	case Delivered:
		if l.Custody == nil {
			return refuse("nobody has custody")
		}
		l.Delivered = &s
	case Final:
		l.Final = &s
	default:
		return refuse("unknown step")
	}
	return l, nil
}

func (l *Lease) anyPacked() bool {
	for _, sh := range l.Shards {
		if sh.Packed != nil {
			return true
		}
	}
	return false
}

func encodeFinished(f Finished) ([]byte, error) { return json.Marshal(f) }

func decodeFinished(b []byte) (*Finished, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var f Finished
	if len(b) > MaxStepBytes || dec.Decode(&f) != nil {
		return nil, fmt.Errorf("%w: record of a finished lease", ErrCorrupt)
	}
	return &f, nil
}
