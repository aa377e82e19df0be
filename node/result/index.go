package result

import (
	"bytes"
	"fmt"

	"github.com/nexara/nexara/x/tasks/verdict"
)

// IndexVersion tags the bytes of an Index.
const IndexVersion = "nexara/result/v1"

// Index is the result of a lease: which shard has which manifest.
type Index struct {
	Version string `json:"version"`
	ChainID string `json:"chain_id"`
	Job     uint64 `json:"job,string"`
	Lease   uint64 `json:"lease,string"`
	NexCore uint64 `json:"nexcore,string"`
	// First is the job's index of the lease's first shard.
	First   int64  `json:"first,string"`
	Attempt uint32 `json:"attempt"`
	// Manifests has an entry per shard of the lease: the CID of its manifest, or
	// empty when the shard was not delivered.
	Manifests []string `json:"manifests"`
}

// Validate names the first rule that does not hold. An index without a single
// delivered shard is not a result.
func (x *Index) Validate() error {
	for _, rule := range indexRules {
		if !rule.holds(x) {
			return fmt.Errorf("%w: rule %s", ErrIndex, rule.name)
		}
	}
	return nil
}

var indexRules = []struct {
	name  string
	holds func(*Index) bool
}{
	{"version", func(x *Index) bool { return x.Version == IndexVersion }},
	{"chain_id", func(x *Index) bool { return validChainID(x.ChainID) }},
	{"ids", func(x *Index) bool { return x.Job > 0 && x.Lease > 0 && x.NexCore > 0 && x.Attempt > 0 }},
	{"first", func(x *Index) bool { return x.First >= 0 && x.First+int64(len(x.Manifests)) >= x.First }},
	{"count", func(x *Index) bool { return len(x.Manifests) >= 1 && len(x.Manifests) <= verdict.MaxLeaseShards }},
	{"manifests", func(x *Index) bool {
		delivered := 0
		for _, c := range x.Manifests {
			if c == "" {
				continue
			}
			if !validCID(c) {
				return false
			}
			delivered++
		}
		return delivered > 0
	}},
}

func (x *Index) leaves() [][]byte {
	out := make([][]byte, len(x.Manifests))
	for i, c := range x.Manifests {
		out[i] = []byte(c)
	}
	return out
}

// Root is the Merkle root over Manifests, in order.
func (x *Index) Root() (verdict.Hash, error) {
	if err := x.Validate(); err != nil {
		return verdict.Hash{}, err
	}
	return verdict.Root(x.leaves())
}

// Proof shows that Manifests[i] is under Root.
func (x *Index) Proof(i int) ([]verdict.Hash, error) {
	if err := x.Validate(); err != nil {
		return nil, err
	}
	return verdict.Prove(x.leaves(), i)
}

// Outcomes is the bitmap that goes with Root.
func (x *Index) Outcomes() (verdict.Outcomes, error) {
	if err := x.Validate(); err != nil {
		return nil, err
	}
	o, err := verdict.NewOutcomes(len(x.Manifests))
	if err != nil {
		return nil, err
	}
	for i, c := range x.Manifests {
		if c == "" {
			continue
		}
		if err := o.Set(i); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Custody is the message of a custodian that holds the result under resultCID,
// which has size bytes in all its blocks.
func (x *Index) Custody(resultCID string, size int64) (verdict.Custody, error) {
	root, err := x.Root()
	if err != nil {
		return verdict.Custody{}, err
	}
	if !validCID(resultCID) {
		return verdict.Custody{}, fmt.Errorf("%w: rule result_cid", ErrIndex)
	}
	outcomes, err := x.Outcomes()
	if err != nil {
		return verdict.Custody{}, err
	}
	c := verdict.Custody{ChainID: x.ChainID, LeaseID: x.Lease, ResultCID: resultCID, Root: root, Bytes: size, Outcomes: outcomes}
	_, err = c.Message()
	return c, err
}

// Check says whether m is the manifest of the lease's i-th shard in this index.
func (x *Index) Check(i int, m *Manifest) error {
	if i < 0 || i >= len(x.Manifests) {
		return fmt.Errorf("%w: %w", ErrMismatch, verdict.ErrIndex)
	}
	_, id, err := m.Encode()
	if err != nil {
		return err
	}
	if id != x.Manifests[i] || m.ChainID != x.ChainID || m.Job != x.Job || m.Lease != x.Lease ||
		m.NexCore != x.NexCore || m.Attempt != x.Attempt || m.Shard != x.First+int64(i) {
		return fmt.Errorf("%w: shard %d", ErrMismatch, i)
	}
	return nil
}

// Encode gives the canonical bytes.
func (x *Index) Encode() ([]byte, error) {
	if err := x.Validate(); err != nil {
		return nil, err
	}
	b, err := encode(x)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndex, err)
	}
	if len(b) > MaxIndexBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrIndex, len(b), MaxIndexBytes)
	}
	return b, nil
}

// DecodeIndex reads canonical bytes only; anything else is ErrIndex.
func DecodeIndex(b []byte) (*Index, error) {
	if len(b) > MaxIndexBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrIndex, len(b), MaxIndexBytes)
	}
	var x Index
	if err := decode(b, &x); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndex, err)
	}
	again, err := x.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(b, again) {
		return nil, fmt.Errorf("%w: not in canonical form", ErrIndex)
	}
	return &x, nil
}
