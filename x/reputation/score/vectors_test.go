package score

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// The vectors were computed from the chapter, with integers of any size, not by this package: each is one subject's
// outcomes in order, with the tally and the scores after each.
func TestScoreVectors(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "spec", "vectors", "score.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors [][]struct {
		Halvings uint64
		Good     bool
		Burn     int64  `json:",string"`
		Unit     int64  `json:",string"`
		Cap      uint64 `json:",string"`
		Pair     uint64 `json:"pair_milli,string"`
		Weight   uint64 `json:",string"`
		A, B     uint64 `json:",string"`
		Score    uint64 `json:"score_ppm"`
		Lower    uint64 `json:"lower_ppm"`
	}
	if err := json.Unmarshal(raw, &vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("%d vectors: %v", len(vectors), err)
	}
	for i, outcomes := range vectors {
		var tally Tally
		for j, v := range outcomes {
			w := Weight(v.Burn, v.Unit, v.Cap, v.Pair)
			tally = tally.Decay(v.Halvings).Add(v.Good, w)
			if w != v.Weight || tally != (Tally{v.A, v.B}) || tally.Score() != v.Score || tally.Lower() != v.Lower {
				t.Errorf("%d, outcome %d: weight %d, %+v, score %d, lower %d; not %+v", i, j, w, tally, tally.Score(), tally.Lower(), v)
			}
		}
	}
}
