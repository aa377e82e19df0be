package lifecycle

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// golden compares with a file of testdata, or writes it with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s says otherwise; go test ./x/tasks/lifecycle -update rewrites it. Got:\n%s", path, got)
	}
}

// Every state with every event, what is refused too: a move that is added, lost or renamed shows in review.
func TestTablesAreGolden(t *testing.T) {
	golden(t, filepath.Join("testdata", "shard.table"), matrix("shard", ShardOpen, ShardSettled, StepShard))
	golden(t, filepath.Join("testdata", "lease.table"), matrix("lease", LeaseAssigned, LeaseClosed, StepLease))
}

// matrix has a row for each event and a column for each state; a cell is the next state and the reason.
func matrix[S state](name string, first, last S, step func(S, Event) (S, string, error)) string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, name)
	for s := first; s <= last; s++ {
		fmt.Fprintf(w, "\t%s", s)
	}
	fmt.Fprintln(w)
	for e := Match; e < lastEvent; e++ {
		fmt.Fprint(w, e)
		for s := first; s <= last; s++ {
			cell := "-"
			if to, reason, err := step(s, e); err == nil {
				cell = fmt.Sprintf("%s (%s)", to, reason)
			}
			fmt.Fprintf(w, "\t%s", cell)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	var out strings.Builder
	for line := range strings.Lines(b.String()) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return out.String()
}

// A transcript is a story: events in, states out. What a command answers follows a line of dashes up to an empty
// line; remarks start with #.
//
//	shards A B C            open shards of a job
//	match L A B             binds shards to the new lease L
//	EVENT L [lost=B,C]      happens to a lease and to each of its shards; those that are lost meet lose instead
//	EVENT A                 happens to a shard that no lease holds
//	show                    the states of all
//
// A refused event leaves everything as it was, whoever of lease and shards refuses it.
func TestTranscripts(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s := &story{t: t, shards: map[string]ShardState{}, leases: map[string]*leased{}}
			golden(t, path, s.play(string(raw)))
		})
	}
}

type leased struct {
	state LeaseState
	holds []string
}

type story struct {
	t      *testing.T
	shards map[string]ShardState
	leases map[string]*leased
	order  []string // of names, as they came
}

// play runs the commands and returns the text with the answers that they have now.
func (s *story) play(text string) string {
	var out strings.Builder
	skip, answered := false, false
	for line := range strings.Lines(text) {
		blank := strings.TrimSpace(line) == ""
		switch {
		case skip:
			skip = !blank
			continue
		case answered && blank:
			answered = false
			continue
		case strings.HasPrefix(line, "----"):
			skip = true
			continue
		}
		answered = false
		out.WriteString(line)
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if answer := s.do(words[0], words[1:]); answer != "" {
			out.WriteString("----\n" + answer + "\n")
			answered = true
		}
	}
	return out.String()
}

func (s *story) do(command string, words []string) string {
	switch command {
	case "shards":
		for _, name := range words {
			s.shards[name] = ShardOpen
			s.order = append(s.order, name)
		}
		return ""
	case "match":
		return s.match(words[0], words[1:])
	case "show":
		return s.show()
	}
	event := Event(slices.Index(eventNames[:], command))
	if event < Match || len(words) == 0 {
		s.t.Fatalf("unknown command %q", command)
	}
	if lease := s.leases[words[0]]; lease != nil {
		var lost []string
		if len(words) > 1 {
			names, found := strings.CutPrefix(words[1], "lost=")
			if !found {
				s.t.Fatalf("unknown word %q", words[1])
			}
			lost = strings.Split(names, ",")
		}
		return s.happen(words[0], lease, event, lost)
	}
	from, found := s.shards[words[0]]
	if !found {
		s.t.Fatalf("neither a lease nor a shard: %q", words[0])
	}
	to, reason, err := StepShard(from, event)
	if err != nil {
		return refusal(s.t, err)
	}
	s.shards[words[0]] = to
	return moved(words[0], from, to, reason)
}

func (s *story) match(name string, shards []string) string {
	var b strings.Builder
	for _, shard := range shards {
		to, reason, err := StepShard(s.shards[shard], Match)
		if err != nil {
			return refusal(s.t, err)
		}
		b.WriteString(moved(shard, s.shards[shard], to, reason))
	}
	for _, shard := range shards {
		s.shards[shard] = ShardLeased
	}
	s.leases[name] = &leased{state: LeaseAssigned, holds: shards}
	s.order = append(s.order, name)
	return b.String() + name + ": assigned\n"
}

// happen moves a lease and its shards together, or none of them.
func (s *story) happen(name string, lease *leased, event Event, lost []string) string {
	to, reason, err := StepLease(lease.state, event)
	if err != nil {
		return refusal(s.t, err)
	}
	text := moved(name, lease.state, to, reason)
	next := map[string]ShardState{}
	var holds []string
	for _, shard := range lease.holds {
		e := event
		if slices.Contains(lost, shard) {
			e = Lose
		}
		state, why, err := StepShard(s.shards[shard], e)
		if err != nil {
			return refusal(s.t, err)
		}
		if next[shard] = state; state != ShardOpen { // an open shard is nobody's
			holds = append(holds, shard)
		}
		text += moved(shard, s.shards[shard], state, why)
	}
	for shard, state := range next {
		s.shards[shard] = state
	}
	lease.state, lease.holds = to, holds
	return text
}

func (s *story) show() string {
	var b strings.Builder
	for _, name := range s.order {
		if lease := s.leases[name]; lease != nil {
			fmt.Fprintf(&b, "%s %s holds %s\n", name, lease.state, strings.Join(append(lease.holds, "-")[:max(len(lease.holds), 1)], " "))
		} else {
			fmt.Fprintf(&b, "%s %s\n", name, s.shards[name])
		}
	}
	return b.String()
}

func moved(name string, from, to fmt.Stringer, reason string) string {
	return fmt.Sprintf("%s: %s -> %s (%s)\n", name, from, to, reason)
}

func refusal(t *testing.T, err error) string {
	t.Helper()
	if !errors.Is(err, ErrIllegal) {
		t.Errorf("no typed refusal: %v", err)
	}
	return "refused: " + err.Error() + "\n"
}
