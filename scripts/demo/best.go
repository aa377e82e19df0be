package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// best says what the job was for: the best setting of the sweep, or the most frequent words.
func (d *demo) best(shards []fetchedShard) error {
	if d.driver == "wasm" {
		return d.words(shards)
	}
	type metrics struct {
		Setting map[string]any `json:"setting"`
		Score   float64        `json:"score"`
		Test    float64        `json:"test_accuracy"`
	}
	var top metrics
	shard := int64(-1)
	for _, s := range shards {
		bz, err := os.ReadFile(filepath.Join(s.Dir, "outputs", "metrics.json"))
		if err != nil {
			return err
		}
		var m metrics
		if err := json.Unmarshal(bz, &m); err != nil {
			return err
		}
		if shard < 0 || m.Score > top.Score {
			top, shard = m, s.Shard
		}
	}
	if shard < 0 {
		return errNoResults
	}
	d.say("best setting: shard %d, %.2f %% of the validation set, %.2f %% of the test set: %v", shard, top.Score*100, top.Test*100, top.Setting)
	return nil
}

var errNoResults = errors.New("the job has no results")

// words merges the counts of the shards.
func (d *demo) words(shards []fetchedShard) error {
	total := map[string]int64{}
	for _, s := range shards {
		bz, err := os.ReadFile(filepath.Join(s.Dir, "outputs", "counts.json"))
		if err != nil {
			return err
		}
		var counts struct {
			Words map[string]int64 `json:"words"`
		}
		if err := json.Unmarshal(bz, &counts); err != nil {
			return err
		}
		for word, n := range counts.Words {
			total[word] += n
		}
	}
	if len(total) == 0 {
		return errNoResults
	}
	type pair struct {
		word string
		n    int64
	}
	var list []pair
	sum := int64(0)
	for word, n := range total {
		list = append(list, pair{word, n})
		sum += n
	}
	sort.Slice(list, func(i, j int) bool {
		return list[i].n > list[j].n || list[i].n == list[j].n && list[i].word < list[j].word
	})
	var top []string
	for _, p := range list[:min(len(list), 8)] {
		top = append(top, fmt.Sprintf("%s %d", p.word, p.n))
	}
	d.say("%d words, %d different; most frequent: %s", sum, len(total), strings.Join(top, ", "))
	return nil
}

func indent(s string) string {
	var b strings.Builder
	for _, line := range strings.Split(strings.TrimRight(s, "\n"), "\n") {
		fmt.Fprintf(&b, "         | %s\n", line)
	}
	return b.String()
}

// tail returns the last n lines.
func tail(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], "\n")
}
