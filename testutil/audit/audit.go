// Package audit recomputes every reputation score and every hash of outcome records from events alone, with code of
// its own: unbounded integers, decay epoch by epoch, its own protobuf encoder. It knows the design's formulas and the
// wire's names, and nothing of the code of x/reputation that it checks. It is imported by tests only.
package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/nexara/nexara/x/reputation/types"
)

// Auditor follows a chain by its events.
type Auditor struct {
	p       types.Params
	height  int64
	tallies map[string][2]*big.Int // subject/dimension -> a, b
	pairs   map[string]*big.Int
}

// New returns an auditor of a chain that has had no outcome up to a height.
func New(p types.Params, height int64) *Auditor {
	return &Auditor{p: p, height: height, tallies: map[string][2]*big.Int{}, pairs: map[string]*big.Int{}}
}

// GoTo lets epochs pass up to a height.
func (a *Auditor) GoTo(height int64) {
	for h := a.height + 1; h <= height; h++ {
		if h%int64(a.p.EpochBlocks) != 0 {
			continue
		}
		epoch := h / int64(a.p.EpochBlocks)
		for _, n := range a.pairs {
			n.Rsh(n, 1)
		}
		if epoch%int64(a.p.HalfLifeEpochs) == 0 {
			for _, t := range a.tallies {
				t[0].Rsh(t[0], 1)
				t[1].Rsh(t[1], 1)
			}
		}
	}
	a.height = height
}

func (a *Auditor) tally(key string) [2]*big.Int {
	if _, ok := a.tallies[key]; !ok {
		a.tallies[key] = [2]*big.Int{new(big.Int), new(big.Int)}
	}
	return a.tallies[key]
}

// outcome takes one event in and returns the canonical record it stands for.
func (a *Auditor) outcome(e map[string]string) ([]byte, error) {
	number := map[string]*big.Int{}
	for _, key := range []string{"burn", "dimension", "height", "lease"} {
		v, ok := new(big.Int).SetString(e[key], 10)
		if !ok {
			return nil, fmt.Errorf("%s of %v is no number", key, e)
		}
		number[key] = v
	}
	pairKey := e["requester"] + "|" + e["operator"]
	if a.pairs[pairKey] == nil {
		a.pairs[pairKey] = new(big.Int)
	}
	pair := a.pairs[pairKey]
	if pair.String() != e["pair"] {
		return nil, fmt.Errorf("%s recent leases of the pair, not %s", e["pair"], pair)
	}

	// w = min(cap, burn / unit) x 8 / (8 + recent leases), in micro-units.
	w := new(big.Int).Mul(number["burn"], big.NewInt(1_000_000))
	w.Quo(w, big.NewInt(a.p.Unit))
	if limit := new(big.Int).SetUint64(a.p.WeightCap); w.Cmp(limit) > 0 {
		w = limit
	}
	w.Mul(w, big.NewInt(8_000))
	w.Quo(w, new(big.Int).Add(big.NewInt(8_000), pair))
	if w.String() != e["weight"] {
		return nil, fmt.Errorf("weight %s, not %s", e["weight"], w)
	}

	good := e["good"] == "true"
	ab := a.tally(e["subject"] + "#" + e["dimension"])
	if good {
		ab[0].Add(ab[0], w)
	} else {
		ab[0].Quo(ab[0].Mul(ab[0], big.NewInt(2)), big.NewInt(3))
		ab[1].Add(ab[1], new(big.Int).Mul(w, big.NewInt(10)))
	}
	switch requester := e["dimension"] == "4"; {
	case !requester:
		pair.Add(pair, big.NewInt(334))
	case !good:
		pair.Add(pair, big.NewInt(1_000))
	}
	return record(e, good, w.Uint64(), number), nil
}

// record is the canonical outcome: fields in order of number, zero values left out.
func record(e map[string]string, good bool, weight uint64, number map[string]*big.Int) []byte {
	var r []byte
	text := func(field byte, s string) {
		if s != "" {
			r = append(append(append(r, field<<3|2), binary.AppendUvarint(nil, uint64(len(s)))...), s...)
		}
	}
	varint := func(field byte, v uint64) {
		if v != 0 {
			r = append(append(r, field<<3), binary.AppendUvarint(nil, v)...)
		}
	}
	text(1, e["subject"])
	varint(2, number["dimension"].Uint64())
	if good {
		varint(3, 1)
	}
	varint(4, weight)
	varint(5, number["height"].Uint64())
	varint(6, number["lease"].Uint64())
	text(7, e["reason"])
	return r
}

// Score returns a subject's score and lower bound, in millionths, by the formulas of the design.
func (a *Auditor) Score(subject string, d types.Dimension) (ppm, lower uint64) {
	ab := a.tally(subject + "#" + strconv.Itoa(int(d)))
	u := big.NewInt(1_000_000)
	sum := new(big.Int).Add(ab[0], ab[1])
	s := new(big.Int).Add(ab[0], u)
	s.Mul(s, big.NewInt(1_000_000))
	s.Quo(s, new(big.Int).Add(sum, new(big.Int).Mul(big.NewInt(5), u)))
	v := new(big.Int).Mul(s, new(big.Int).Sub(big.NewInt(1_000_000), s))
	v.Quo(v.Mul(v, u), new(big.Int).Add(sum, u))
	l := new(big.Int).Sub(s, new(big.Int).Mul(big.NewInt(2), v.Sqrt(v)))
	if l.Sign() < 0 {
		l.SetInt64(0)
	}
	return s.Uint64(), l.Uint64()
}

// Block takes in the events of a block, those of its transactions first, and compares them with what the chain
// stored of it: nil when it stored nothing.
func (a *Auditor) Block(height int64, events []abci.Event, stored *types.OutcomesHash) error {
	a.GoTo(height)
	hash, count := make([]byte, sha256.Size), uint64(0)
	sealed := ""
	for _, event := range events {
		e := map[string]string{}
		for _, attribute := range event.Attributes {
			e[attribute.Key] = attribute.Value
		}
		switch event.Type {
		case "nexara_outcome":
			if e["index"] != strconv.FormatUint(count, 10) || e["height"] != strconv.FormatInt(height, 10) {
				return fmt.Errorf("block %d: outcome %d is %v", height, count, e)
			}
			r, err := a.outcome(e)
			if err != nil {
				return fmt.Errorf("block %d: outcome %d: %w", height, count, err)
			}
			next := sha256.Sum256(append(binary.BigEndian.AppendUint32(hash, uint32(len(r))), r...))
			hash, count = next[:], count+1
		case "nexara_outcomes_hash":
			sealed = e["hash"]
		}
	}
	switch {
	case count == 0 && (stored != nil || sealed != ""):
		return fmt.Errorf("block %d has no outcome and the hash %v %q", height, stored, sealed)
	case count == 0:
		return nil
	case stored == nil || stored.Height != height || stored.Count != count || !bytes.Equal(stored.Hash, hash):
		return fmt.Errorf("block %d: %d outcomes with the hash %x, the chain stored %v", height, count, hash, stored)
	case sealed != hex.EncodeToString(hash):
		return fmt.Errorf("block %d: the event says hash %q, not %x", height, sealed, hash)
	}
	return nil
}
