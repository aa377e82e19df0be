package auction

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/*.txt")

// A transcript is a story: commands that fill a book, and clear and why blocks whose output follows a
// line of dashes up to an empty line. The book stands from one block to the next; remarks start with #.
//
//	params burn_ppm=50000 penalty_k_ppm=0 lease_max=4 ...
//	seed 7
//	shape NAME cpu=1000 mem=512 disk=0 gpu=0 runtime=wasm arch= regions=eu,us gpu_model= network=1 run=10 min_score=0
//	supply ID cpu=4000 mem=8192 used_cpu=0 ask_cpu=15 (unex per core and second) ask_mem=0 (unex per GiB and second)
//	       ask_gpu=0 runtimes=wasm region=eu bond=1000000 slots=16 score=1000000 asked=0 paused=1 ... (again: replaces)
//	entry JOB FIRST COUNT shape=NAME limit=100 visible=1 excluded=3,4 (again: replaces; COUNT 0 removes)
//	clear
//	why JOB FIRST
//
// Remarks and commands are kept as they are when -update writes the outputs anew.
func TestTranscripts(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := (&story{t: t, book: Book{Params: DefaultParams()}}).play(string(want))
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("the story ends otherwise; -update rewrites it. Got:\n%s", got)
			}
		})
	}
}

type story struct {
	t     *testing.T
	book  Book
	names []string // of book.Shapes
}

// play runs the commands and returns the text with the outputs that they have now.
func (s *story) play(text string) string {
	var out strings.Builder
	skip, answered := false, false
	for line := range strings.Lines(text) {
		if answered && strings.TrimSpace(line) == "" {
			answered = false
			continue
		}
		answered = false
		if skip {
			skip = strings.TrimSpace(line) != ""
			continue
		}
		if strings.HasPrefix(line, "----") {
			skip = true
			continue
		}
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
	var plain []string
	named := fields{t: s.t, values: map[string]string{}}
	for _, w := range words {
		if key, value, found := strings.Cut(w, "="); found {
			named.values[key] = value
		} else {
			plain = append(plain, w)
		}
	}
	answer := ""
	switch command {
	case "params":
		p := &s.book.Params
		for name, to := range map[string]*int64{
			"burn_ppm": &p.BurnPPM, "penalty_k_ppm": &p.PenaltyKPPM, "lock_ppm": &p.LockPPM, "lease_max": &p.LeaseMax, "max_shapes": &p.MaxShapes,
			"max_supplies": &p.MaxSupplies, "max_entries": &p.MaxEntries, "max_shards": &p.MaxShards, "max_matches": &p.MaxMatches,
		} {
			*to = named.number(name, *to)
		}
	case "seed":
		s.book.Seed = seedOf(uint64(s.number(plain[0])))
	case "shape":
		s.names = append(s.names, plain[0])
		s.book.Shapes = append(s.book.Shapes, Shape{
			Need:    Resources{named.number("cpu", 0), named.number("mem", 0), named.number("disk", 0), named.number("gpu", 0)},
			Runtime: named.word("runtime", "wasm"), Arch: named.word("arch", ""), Regions: named.list("regions"), GPUModel: named.word("gpu_model", ""),
			Network: named.number("network", 0) == 1, RunSeconds: named.number("run", 1), MinScorePPM: named.number("min_score", 0),
		})
	case "supply":
		s.supply(uint64(s.number(plain[0])), &named)
	case "entry":
		s.entry(uint64(s.number(plain[0])), s.number(plain[1]), s.number(plain[2]), &named)
	case "clear":
		answer = s.clear()
	case "why":
		answer = s.why(uint64(s.number(plain[0])), s.number(plain[1]))
	default:
		s.t.Fatalf("unknown command %q", command)
	}
	if len(named.values) > 0 {
		s.t.Fatalf("%s: unknown fields %v", command, named.values)
	}
	return answer
}

func (s *story) supply(id uint64, f *fields) {
	capacity := Resources{f.number("cpu", 4_000), f.number("mem", 8_192), f.number("disk", 0), f.number("gpu", 0)}
	free := capacity
	free[CPUMilli] -= f.number("used_cpu", 0)
	free[MemoryMiB] -= f.number("used_mem", 0)
	row := Supply{
		ID: id, Active: f.number("active", 1) == 1, Expired: f.number("expired", 0) == 1, Paused: f.number("paused", 0) == 1,
		Draining: f.number("draining", 0) == 1, Jailed: f.number("jailed", 0) == 1, Capacity: capacity, Free: free,
		Ask:       Ask{uint64(f.number("ask_cpu", 0)) * anexPerUnex / 1_000, uint64(f.number("ask_mem", 0)) * anexPerUnex / 1_024, 0, uint64(f.number("ask_gpu", 0)) * anexPerUnex},
		AskHeight: f.number("asked", 0), Runtimes: f.list("runtimes"), Arch: f.word("arch", "amd64"), Region: f.word("region", "eu"),
		GPUModel: f.word("gpu_model", ""), Network: f.number("network", 0) == 1, MaxRunSeconds: f.number("max_run", 3_600),
		FreeBond: f.number("bond", 1_000_000), LeaseSlots: f.number("slots", 16), ScorePPM: f.number("score", PPM),
	}
	if row.Runtimes == nil {
		row.Runtimes = []string{"wasm"}
	}
	for i := range s.book.Supplies {
		if s.book.Supplies[i].ID == id {
			s.book.Supplies[i] = row
			return
		}
	}
	s.book.Supplies = append(s.book.Supplies, row)
}

func (s *story) entry(job uint64, first, count int64, f *fields) {
	row := Entry{JobID: job, First: first, Count: count, ShapeIndex: -1, Limit: f.number("limit", 1_000), VisibleBefore: f.number("visible", 1)}
	shape := f.word("shape", s.names[0])
	for i, name := range s.names {
		if name == shape {
			row.ShapeIndex = i
		}
	}
	for _, id := range f.list("excluded") {
		row.Excluded = append(row.Excluded, uint64(s.number(id)))
	}
	kept := s.book.Entries[:0]
	for _, e := range s.book.Entries {
		if e.JobID != job || e.First != first {
			kept = append(kept, e)
		}
	}
	if s.book.Entries = kept; count > 0 {
		s.book.Entries = append(s.book.Entries, row)
	}
}

func (s *story) clear() string {
	var b strings.Builder
	m := mustModel(s.t, s.book)
	for _, r := range m.Rejected() {
		fmt.Fprintf(&b, "left out: %v\n", r.Err)
	}
	a := mustSolve(s.t, m)
	for _, x := range a.Matches {
		fmt.Fprintf(&b, "job %d shards %d-%d -> NexCore %d at %d, welfare %d\n", x.JobID, x.First, x.First+x.Count-1, x.NexCoreID, x.Price, x.Welfare)
	}
	fmt.Fprintf(&b, "matched %d, unmatched %d, welfare %d", a.Matched, a.Unmatched, a.Welfare)
	if a.Cut {
		b.WriteString(", cut")
	}
	if c := m.Coverage(); c.Truncated() {
		fmt.Fprintf(&b, "\ncovered %d/%d shapes, %d/%d NexCores, %d/%d entries, %d/%d shards",
			c.Shapes, c.ShapesTotal, c.Supplies, c.SuppliesTotal, c.Entries, c.EntriesTotal, c.Shards, c.ShardsTotal)
	}
	return b.String() + "\n"
}

func (s *story) why(job uint64, first int64) string {
	reasons, err := Explain(mustModel(s.t, s.book), job, first)
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	for _, c := range reasons.Rules {
		if c.Total > 0 {
			fmt.Fprintf(&b, "%s: first %d, total %d\n", c.Rule, c.First, c.Total)
		}
	}
	for _, c := range reasons.Changes {
		fmt.Fprintf(&b, "change %s from %q to %q (%s): NexCore %d at %d, all in %d\n", c.Field, c.From, c.To, c.Rule, c.NexCoreID, c.Price, c.AllIn)
	}
	return b.String() + reasons.Text() + "\n"
}

func (s *story) number(word string) int64 {
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// fields are the key=value words of a command; what is read is removed, so that a misspelt one shows.
type fields struct {
	t      *testing.T
	values map[string]string
}

func (f *fields) word(key, otherwise string) string {
	value, found := f.values[key]
	if !found {
		return otherwise
	}
	delete(f.values, key)
	return value
}

func (f *fields) number(key string, otherwise int64) int64 {
	word := f.word(key, "")
	if word == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		f.t.Fatalf("%s: %v", key, err)
	}
	return n
}

func (f *fields) list(key string) []string {
	word := f.word(key, "")
	if word == "" {
		return nil
	}
	return strings.Split(word, ",")
}
