package auction

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Counts agree with a second look at the book, and every change that is proposed, made to the job alone,
// does match, for the price that was told.
func TestExplainIsTrue(t *testing.T) {
	changes := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		b := drawBook(t)
		at := rapid.IntRange(0, len(b.Entries)-1).Draw(t, "entry")
		e := b.Entries[at]
		reasons, err := Explain(mustModel(t, b), e.JobID, e.First)
		if err != nil {
			t.Fatal(err)
		}
		eligible, first := int64(0), int64(0)
		for i := range b.Supplies {
			if _, _, ok := naive(&b, &e, &b.Supplies[i]); ok {
				eligible++
			}
		}
		for _, c := range reasons.Rules {
			if c.First > c.Total || c.Total > reasons.Supplies {
				t.Fatalf("%s: %+v", c.Rule, c)
			}
			first += c.First
		}
		if eligible != reasons.Eligible || eligible+first != reasons.Supplies || reasons.Supplies != int64(len(b.Supplies)) {
			t.Fatalf("naive finds %d, says %+v", eligible, reasons)
		}
		if eligible > 0 && (len(reasons.Changes) > 0 || reasons.Cheapest() != nil) {
			t.Fatalf("it can match and yet: %+v", reasons)
		}
		for i, c := range reasons.Changes {
			if i > 0 && reasons.Changes[i-1].AllIn > c.AllIn {
				t.Fatalf("not cheapest first: %+v", reasons.Changes)
			}
			changed := change(t, b, at, c)
			price, _, ok := naive(&changed, &changed.Entries[at], supplyOf(&b, c.NexCoreID))
			if !ok || price != c.Price || c.AllIn != price+Burn(price, b.Params.BurnPPM) {
				t.Fatalf("%+v does not match (price %d)", c, price)
			}
			changes[c.Field]++
		}
		if reasons.Text() == "" {
			t.Fatal("no text")
		}
	})
	t.Log(changes)
}

func supplyOf(b *Book, id uint64) *Supply {
	return &b.Supplies[slices.IndexFunc(b.Supplies, func(s Supply) bool { return s.ID == id })]
}

// change makes a relaxation in a copy of the book.
func change(t *rapid.T, b Book, at int, c Relaxation) Book {
	b.Entries = slices.Clone(b.Entries)
	shape := b.Shapes[b.Entries[at].ShapeIndex]
	number, err := strconv.ParseInt(c.To, 10, 64)
	switch c.Field {
	case "arch":
		shape.Arch, err = c.To, nil
	case "regions":
		shape.Regions, err = strings.Split(c.To, ","), nil
	case "gpu_model":
		if shape.GPUModel, err = c.To, nil; c.To == "any" {
			shape.GPUModel = ""
		}
	case "network":
		shape.Network, err = c.To == "true", nil
	case "limit":
		b.Entries[at].Limit = number
	case FieldView:
		b.Entries[at].VisibleBefore = number
	case "run_seconds":
		shape.RunSeconds = number
	case "min_score_ppm":
		shape.MinScorePPM = number
	default:
		for r := range NumResources {
			if ResourceName(r) == c.Field {
				shape.Need[r] = number
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := ValidateShape(shape); err != nil {
		t.Fatalf("%+v makes %v", c, err)
	}
	b.Shapes = append(slices.Clone(b.Shapes), shape)
	b.Entries[at].ShapeIndex = len(b.Shapes) - 1
	return b
}

func TestExplainUnknown(t *testing.T) {
	if _, err := Explain(mustModel(t, checkBook()), 1, 1); !errors.Is(err, ErrNotCovered) {
		t.Errorf("got %v", err)
	}
}

// The limit that is proposed is the least that matches.
func TestExplainLimitIsLeast(t *testing.T) {
	b := checkBook()
	b.Entries = []Entry{{JobID: 1, Count: 1, Limit: 1, VisibleBefore: 1}}
	reasons, err := Explain(mustModel(t, b), 1, 0)
	if err != nil || reasons.Cheapest() == nil || reasons.Cheapest().To != "105" {
		t.Fatalf("%+v, %v", reasons, err)
	}
	for limit, want := range map[int64]int64{104: 0, 105: 1} {
		b.Entries[0].Limit = limit
		if a := mustSolve(t, mustModel(t, b)); a.Matched != want {
			t.Errorf("limit %d matches %d", limit, a.Matched)
		}
	}
}

// Where others won the room, why-not says what it cost: with the limit it names, the same clearing would have
// given it a place.
func TestExplainOutbid(t *testing.T) {
	b := contested()
	a := mustOptimal(t, mustModel(t, b))
	after := b
	after.Supplies = append([]Supply(nil), b.Supplies...)
	after.Entries = nil
	for _, p := range a.Certificate.Prices {
		after.Hints = append(after.Hints, Hint(p))
	}
	m := mustModel(t, b)
	for _, match := range a.Matches {
		s := &after.Supplies[m.findSupply(match.NexCoreID)]
		s.Free[CPUMilli] -= 1_000 * match.Count
		s.Free[MemoryMiB] -= 512 * match.Count
	}
	for _, e := range m.unmatched(a.Matches) {
		entry := b.Entries[e.entry]
		entry.First, entry.Count = entry.First+int64(e.edge), e.count
		after.Entries = append(after.Entries, entry)
	}
	after2 := mustModel(t, after)
	for _, e := range after.Entries {
		reasons, err := Explain(after2, e.JobID, e.First)
		if err != nil {
			t.Fatal(err)
		}
		if reasons.Outbid == nil {
			t.Fatalf("nothing said about scarcity: %s", reasons.Text())
		}
		t.Log(reasons.Text())
		again := b
		again.Entries = append([]Entry(nil), b.Entries...)
		for i := range again.Entries {
			if again.Entries[i].JobID == e.JobID {
				again.Entries[i].Limit = reasons.Outbid.AllIn
				again.Entries[i].First, again.Entries[i].Count = 0, 1
			}
		}
		won := mustOptimal(t, mustModel(t, again))
		for _, match := range won.Matches {
			if match.JobID == e.JobID {
				return
			}
		}
		t.Fatalf("with a limit of %d it is still without a place", reasons.Outbid.AllIn)
	}
}
