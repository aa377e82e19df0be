package lifecycle

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the diagrams in docs/spec")

// The drawing in docs/spec is the table itself, so it cannot go stale.
func TestDiagrams(t *testing.T) {
	for name, drawing := range map[string]string{"shard": ShardDiagram(), "lease": LeaseDiagram()} {
		path := filepath.Join("..", "..", "..", "docs", "spec", name+".mmd")
		if *update {
			if err := os.WriteFile(path, []byte(drawing), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != drawing {
			t.Errorf("%s is stale; run go test ./x/tasks/lifecycle -update", path)
		}
	}
}

// From (state, event) to at most one row; every state but the ends can be left; every state is reached.
func TestTablesAreMachines(t *testing.T) {
	shards := map[ShardState]map[Event]bool{}
	reached := map[ShardState]bool{ShardOpen: true}
	for _, move := range ShardMoves() {
		if shards[move.From] == nil {
			shards[move.From] = map[Event]bool{}
		}
		if shards[move.From][move.Event] {
			t.Errorf("two moves from %s on %s", move.From, move.Event)
		}
		shards[move.From][move.Event] = true
		reached[move.To] = true
		if move.From == ShardSettled {
			t.Errorf("%s leaves the end", move.Event)
		}
	}
	for state := ShardOpen; state <= ShardSettled; state++ {
		if !reached[state] {
			t.Errorf("%s is never reached", state)
		}
		if state != ShardSettled && len(shards[state]) == 0 {
			t.Errorf("%s is never left", state)
		}
	}
	for _, move := range LeaseMoves() {
		if move.From == LeaseSettled || move.From == LeaseClosed {
			t.Errorf("%s leaves an end", move.Event)
		}
	}
}

// A lease and its shards move together: each lease event is legal for the shards it holds and gives the same reason.
func TestLeaseAndShardsAgree(t *testing.T) {
	shardOf := map[LeaseState]ShardState{
		LeaseAssigned: ShardLeased, LeaseAcknowledged: ShardRunning,
		LeaseDelivered: ShardDelivered, LeaseFinal: ShardFinal,
	}
	for _, move := range LeaseMoves() {
		_, reason, err := StepShard(shardOf[move.From], move.Event)
		if err != nil {
			t.Errorf("lease %s on %s: %v", move.From, move.Event, err)
		}
		if reason != move.Reason {
			t.Errorf("lease %s on %s says %q, its shards %q", move.From, move.Event, move.Reason, reason)
		}
	}
}

func TestIllegalMoves(t *testing.T) {
	for _, bad := range []struct {
		from  ShardState
		event Event
	}{{ShardOpen, Deliver}, {ShardSettled, Match}, {ShardFinal, Cancel}, {ShardDelivered, Deliver}, {0, Match}, {ShardOpen, 0}} {
		if _, _, err := StepShard(bad.from, bad.event); !errors.Is(err, ErrIllegal) {
			t.Errorf("%s on %s: %v", bad.from, bad.event, err)
		}
	}
	if _, _, err := StepLease(LeaseDelivered, Miss); !errors.Is(err, ErrIllegal) {
		t.Errorf("a delivered lease was missed: %v", err)
	}
}
