package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Step is one thing that was done about a lease. The types below are all there are.
type Step interface {
	// name is the tag of the step's encoding; it is never reused.
	name() string
	// valid says whether the values are within bounds.
	valid() bool
}

// Bounds of a step's values.
const (
	// MaxStepBytes bounds an encoded step.
	MaxStepBytes = 4096
	// maxText bounds any text in a step.
	maxText = 256
	// maxShards bounds the shards of a lease.
	maxShards = 256
)

// Seen opens a lease: the terms as the chain gave them.
type Seen struct {
	Job     uint64 `json:"job"`
	NexCore uint64 `json:"nexcore"`
	// First is the job's index of the first shard, Count how many there are.
	First   int64  `json:"first"`
	Count   int64  `json:"count"`
	Attempt uint32 `json:"attempt"`
	SpecCID string `json:"spec_cid"`
	// AckBy and DeliverBy are block heights.
	AckBy     int64 `json:"ack_by"`
	DeliverBy int64 `json:"deliver_by"`
}

// Acknowledged says that the acknowledgement was broadcast.
type Acknowledged struct {
	Tx string `json:"tx"`
}

// ImageFetched says that the image is on disk and prepared.
type ImageFetched struct {
	Digest string `json:"digest"`
}

// InputsFetched says that every input is on disk.
type InputsFetched struct {
	// Bytes is their size.
	Bytes int64 `json:"bytes"`
}

// RunStarted says that a run is about to start. It is written before the driver
// is called, so that a run that exists always has a name in the journal.
type RunStarted struct {
	// Shard is the index inside the lease, from 0.
	Shard int64 `json:"shard"`
	// RunID is the driver's name of the run.
	RunID string `json:"run_id"`
}

// RunEnded keeps what the manifest needs.
type RunEnded struct {
	Shard             int64  `json:"shard"`
	RunID             string `json:"run_id"`
	Reason            string `json:"reason"`
	ExitCode          int32  `json:"exit_code"`
	CPUNanos          int64  `json:"cpu_ns"`
	MemoryByteSeconds int64  `json:"memory_byte_seconds"`
	WallMillis        int64  `json:"wall_ms"`
	BytesIn           int64  `json:"bytes_in"`
	BytesOut          int64  `json:"bytes_out"`
	StartedMillis     int64  `json:"started_ms"`
	FinishedMillis    int64  `json:"finished_ms"`
}

// Packed says that a shard's outputs and manifest are in the blob store.
type Packed struct {
	Shard       int64  `json:"shard"`
	ManifestCID string `json:"manifest_cid"`
}

// ResultPacked says that the lease's result is in the blob store.
type ResultPacked struct {
	CID string `json:"cid"`
	// Root is the Merkle root, 32 bytes; Outcomes the bitmap of the lease.
	Root     []byte `json:"root"`
	Outcomes []byte `json:"outcomes"`
	Bytes    int64  `json:"bytes"`
}

// CustodySigned keeps a custodian's receipt.
type CustodySigned struct {
	// NexCore signed, or 0 when a gateway with PublicKey did.
	NexCore   uint64 `json:"nexcore"`
	PublicKey []byte `json:"public_key"`
	Signature []byte `json:"signature"`
}

// Delivered says that the result was broadcast.
type Delivered struct {
	Tx string `json:"tx"`
}

// Final closes a lease.
type Final struct {
	// Reason is a code, such as settled, declined or closed_by_chain.
	Reason string `json:"reason"`
}

func (Seen) name() string          { return "seen" }
func (Acknowledged) name() string  { return "acknowledged" }
func (ImageFetched) name() string  { return "image_fetched" }
func (InputsFetched) name() string { return "inputs_fetched" }
func (RunStarted) name() string    { return "run_started" }
func (RunEnded) name() string      { return "run_ended" }
func (Packed) name() string        { return "packed" }
func (ResultPacked) name() string  { return "result_packed" }
func (CustodySigned) name() string { return "custody_signed" }
func (Delivered) name() string     { return "delivered" }
func (Final) name() string         { return "final" }

func text(values ...string) bool {
	for _, v := range values {
		if v == "" || len(v) > maxText || !utf8.ValidString(v) {
			return false
		}
	}
	return true
}

func natural(values ...int64) bool {
	for _, v := range values {
		if v < 0 {
			return false
		}
	}
	return true
}

func shard(i int64) bool { return i >= 0 && i < maxShards }

func (s Seen) valid() bool {
	return s.Count >= 1 && s.Count <= maxShards && natural(s.First, s.AckBy, s.DeliverBy) && text(s.SpecCID)
}
func (s Acknowledged) valid() bool  { return text(s.Tx) }
func (s ImageFetched) valid() bool  { return text(s.Digest) }
func (s InputsFetched) valid() bool { return natural(s.Bytes) }
func (s RunStarted) valid() bool    { return shard(s.Shard) && text(s.RunID) }
func (s RunEnded) valid() bool {
	return shard(s.Shard) && text(s.RunID, s.Reason) && natural(s.CPUNanos, s.MemoryByteSeconds,
		s.WallMillis, s.BytesIn, s.BytesOut, s.StartedMillis, s.FinishedMillis)
}
func (s Packed) valid() bool { return shard(s.Shard) && text(s.ManifestCID) }
func (s ResultPacked) valid() bool {
	return text(s.CID) && len(s.Root) == 32 && len(s.Outcomes) >= 1 && len(s.Outcomes) <= maxShards/8 && natural(s.Bytes)
}

func (s CustodySigned) valid() bool {
	return len(s.Signature) == 64 && (s.NexCore != 0 && len(s.PublicKey) == 0 || s.NexCore == 0 && len(s.PublicKey) == 33)
}
func (s Delivered) valid() bool { return text(s.Tx) }
func (s Final) valid() bool     { return text(s.Reason) }

// EncodeStep gives a tag, a space and compact JSON.
func EncodeStep(s Step) ([]byte, error) {
	if s == nil || !s.valid() {
		return nil, fmt.Errorf("%w: values out of range", ErrStep)
	}
	var b bytes.Buffer
	b.WriteString(s.name())
	b.WriteByte(' ')
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStep, err)
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(out) > MaxStepBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrStep, len(out), MaxStepBytes)
	}
	return out, nil
}

// DecodeStep reads what EncodeStep writes; anything else is ErrStep.
func DecodeStep(b []byte) (Step, error) {
	if len(b) > MaxStepBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrStep, len(b), MaxStepBytes)
	}
	tag, body, ok := bytes.Cut(b, []byte(" "))
	if !ok {
		return nil, fmt.Errorf("%w: no tag", ErrStep)
	}
	switch string(tag) {
	case Seen{}.name():
		return decodeAs[Seen](body)
	case Acknowledged{}.name():
		return decodeAs[Acknowledged](body)
	case ImageFetched{}.name():
		return decodeAs[ImageFetched](body)
	case InputsFetched{}.name():
		return decodeAs[InputsFetched](body)
	case RunStarted{}.name():
		return decodeAs[RunStarted](body)
	case RunEnded{}.name():
		return decodeAs[RunEnded](body)
	case Packed{}.name():
		return decodeAs[Packed](body)
	case ResultPacked{}.name():
		return decodeAs[ResultPacked](body)
	case CustodySigned{}.name():
		return decodeAs[CustodySigned](body)
	case Delivered{}.name():
		return decodeAs[Delivered](body)
	case Final{}.name():
		return decodeAs[Final](body)
	default:
		return nil, fmt.Errorf("%w: unknown tag", ErrStep)
	}
}

func decodeAs[T Step](body []byte) (Step, error) {
	var s T
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStep, err)
	}
	if !s.valid() {
		return nil, fmt.Errorf("%w: values out of range", ErrStep)
	}
	if dec.More() {
		return nil, fmt.Errorf("%w: trailing bytes", ErrStep)
	}
	return s, nil
}
