package result

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
)

// ManifestVersion tags the bytes of a Manifest.
const ManifestVersion = "nexara/manifest/v1"

// Usage is what a run consumed, as metered. All are non-negative.
type Usage struct {
	// CPUNanos is CPU time, user and system, in nanoseconds.
	CPUNanos int64 `json:"cpu_ns,string"`
	// MemoryByteSeconds is resident memory integrated over the run.
	MemoryByteSeconds int64 `json:"memory_byte_seconds,string"`
	// WallMillis is the run's duration in milliseconds.
	WallMillis int64 `json:"wall_ms,string"`
	// BytesIn is what the run received: inputs and network.
	BytesIn int64 `json:"bytes_in,string"`
	// BytesOut is what the run sent: outputs, log and network.
	BytesOut int64 `json:"bytes_out,string"`
}

// Manifest is the canonical record of one shard's run.
type Manifest struct {
	Version string `json:"version"`
	// ChainID, Job, Shard, Attempt, Lease and NexCore say which run this is. Ids
	// count from 1, shards from 0, attempts from 1.
	ChainID string `json:"chain_id"`
	Job     uint64 `json:"job,string"`
	Shard   int64  `json:"shard,string"`
	Attempt uint32 `json:"attempt"`
	Lease   uint64 `json:"lease,string"`
	NexCore uint64 `json:"nexcore,string"`
	// Spec is the CID of the job document that was run.
	Spec string `json:"spec"`
	// ImageDigest is what was executed, as sha256: and 64 hex digits: the digest
	// of the OCI manifest or of the WASM module.
	ImageDigest string `json:"image_digest"`
	// Inputs are the CIDs of the inputs in the order of the job document.
	Inputs []string `json:"inputs"`
	// Reason is the driver's code of why the run ended, such as exited.
	Reason string `json:"reason"`
	// ExitCode is the program's; meaningful for the reason exited.
	ExitCode int32 `json:"exit_code"`
	// Outputs is the CID of the output folder, Log the CID of the log file.
	Outputs string `json:"outputs"`
	Log     string `json:"log"`
	Usage   Usage  `json:"usage"`
	// StartedMillis and FinishedMillis are Unix milliseconds by the NexCore's clock.
	StartedMillis  int64 `json:"started_ms,string"`
	FinishedMillis int64 `json:"finished_ms,string"`
}

// Validate names the first rule that does not hold.
func (m *Manifest) Validate() error {
	for _, rule := range manifestRules {
		if !rule.holds(m) {
			return fmt.Errorf("%w: rule %s", ErrManifest, rule.name)
		}
	}
	return nil
}

var manifestRules = []struct {
	name  string
	holds func(*Manifest) bool
}{
	{"version", func(m *Manifest) bool { return m.Version == ManifestVersion }},
	{"chain_id", func(m *Manifest) bool { return validChainID(m.ChainID) }},
	{"ids", func(m *Manifest) bool { return m.Job > 0 && m.Lease > 0 && m.NexCore > 0 }},
	{"shard", func(m *Manifest) bool { return m.Shard >= 0 && m.Attempt > 0 }},
	{"spec", func(m *Manifest) bool { return validCID(m.Spec) }},
	{"image_digest", func(m *Manifest) bool { return validDigest(m.ImageDigest) }},
	{"inputs", func(m *Manifest) bool {
		if len(m.Inputs) > MaxInputs {
			return false
		}
		for _, c := range m.Inputs {
			if !validCID(c) {
				return false
			}
		}
		return true
	}},
	{"reason", func(m *Manifest) bool { return validReason(m.Reason) }},
	{"outputs", func(m *Manifest) bool { return validCID(m.Outputs) }},
	{"log", func(m *Manifest) bool { return validCID(m.Log) }},
	{"usage", func(m *Manifest) bool {
		u := m.Usage
		return u.CPUNanos >= 0 && u.MemoryByteSeconds >= 0 && u.WallMillis >= 0 && u.BytesIn >= 0 && u.BytesOut >= 0
	}},
	{"times", func(m *Manifest) bool { return m.StartedMillis >= 0 && m.FinishedMillis >= m.StartedMillis }},
}

// validReason allows lower-case letters and '_': a code, never a sentence.
func validReason(s string) bool {
	if s == "" || len(s) > MaxReasonBytes {
		return false
	}
	for i := range len(s) {
		if s[i] != '_' && (s[i] < 'a' || s[i] > 'z') {
			return false
		}
	}
	return true
}

func validDigest(s string) bool {
	h, ok := strings.CutPrefix(s, "sha256:")
	if !ok || len(h) != 64 || strings.ToLower(h) != h {
		return false
	}
	_, err := hex.DecodeString(h)
	return err == nil
}

// Encode gives the canonical bytes and their CID.
func (m *Manifest) Encode() (b []byte, id string, err error) {
	if err := m.Validate(); err != nil {
		return nil, "", err
	}
	c := *m
	if c.Inputs == nil {
		c.Inputs = []string{}
	}
	if b, err = encode(&c); err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if len(b) > MaxManifestBytes {
		return nil, "", fmt.Errorf("%w: %d bytes, at most %d", ErrManifest, len(b), MaxManifestBytes)
	}
	if id, err = CID(b); err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrManifest, err)
	}
	return b, id, nil
}

// DecodeManifest reads canonical bytes only: whatever it accepts, Encode gives
// back byte for byte. Anything else is ErrManifest.
func DecodeManifest(b []byte) (*Manifest, error) {
	if len(b) > MaxManifestBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrManifest, len(b), MaxManifestBytes)
	}
	var m Manifest
	if err := decode(b, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	again, _, err := m.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(b, again) {
		return nil, fmt.Errorf("%w: not in canonical form", ErrManifest)
	}
	return &m, nil
}
