package auction

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A file survives its encoding, whatever order the book was listed in, and no byte of it is free.
func TestFileRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBook(t)
		f := File{Height: 9, Solver: "optimal", Book: b, Allocation: mustOptimal(t, mustModel(t, b))}
		data := f.Encode()
		back, err := DecodeFile(data)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(back.Encode(), data) {
			t.Fatal("decoded and encoded again it differs")
		}
		if _, err := Verify(data, claimOf(&f)); err != nil {
			t.Fatal(err)
		}
		other := f
		other.Book = shuffled(b, rand.New(rand.NewSource(int64(len(data)))))
		other.Book.Shapes = b.Shapes
		for i := range other.Book.Entries { // shapes keep their places, so entries keep their shapes
			other.Book.Entries[i].ShapeIndex = entryOf(&b, other.Book.Entries[i].JobID, other.Book.Entries[i].First).ShapeIndex
		}
		if !bytes.Equal(other.Encode(), data) {
			t.Fatal("the order of the book shows")
		}
		at := rapid.IntRange(0, len(data)-1).Draw(t, "byte")
		changed := bytes.Clone(data)
		changed[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		if again, err := DecodeFile(changed); err == nil && bytes.Equal(again.Encode(), data) {
			t.Fatal("two byte strings are one file")
		}
		if _, err := DecodeFile(data[:at]); !errors.Is(err, ErrFile) {
			t.Fatalf("cut at %d: %v", at, err)
		}
	})
}

// fuzzBooks are one or more books of each kind of clearing: a network, vectors, leases or bonds that run out, one cut
// by leases, classes and levels.
func fuzzBooks() []Book {
	s := &stream{state: 77}
	few, poor, cut := contested(), contested(), contested()
	few.Params.LeaseMax, few.Supplies[0].LeaseSlots = 1, 1
	poor.Supplies[0].FreeBond = 150
	cut.Params.MaxMatches = 2
	return []Book{slotBook(s), slotBook(s), equals(s), tinyBook(s, 3), tinyBook(s, 2), contested(), few, poor, cut, checkBook()}
}

// The seeds of the fuzzer are what they are meant to be.
func TestFuzzBooksCoverEachKind(t *testing.T) {
	network, vector, cut, scarce := 0, 0, 0, 0
	for _, b := range fuzzBooks() {
		m := mustModel(t, b)
		a := mustOptimal(t, m)
		switch {
		case a.Cut:
			cut++
		case a.Certificate.Exact && len(a.Certificate.Prices) > 0:
			network++
		case !a.Certificate.Exact && m.uniform:
			scarce++ // a network but for bonds and leases
		case !a.Certificate.Exact:
			vector++
		}
	}
	if network < 2 || vector < 2 || cut < 1 || scarce < 2 {
		t.Errorf("%d networks, %d vectors, %d cut, %d short of bonds or leases", network, vector, cut, scarce)
	}
}

// Arbitrary bytes never panic. What decodes goes through the whole verification, with a record that says what the file
// says, and so does what the solver makes of its book: that one passes.
func FuzzVerify(f *testing.F) {
	for _, b := range fuzzBooks() {
		m := mustModel(f, b)
		file := File{Height: 1, Solver: "optimal", Book: b, Allocation: mustOptimal(f, m)}
		f.Add(file.Encode())
		file.Solver, file.Allocation = "greedy", mustSolve(f, m)
		f.Add(file.Encode())
	}
	f.Add([]byte(fileMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := DecodeFile(data)
		if err != nil {
			if !errors.Is(err, ErrFile) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(file.Encode(), data) {
			t.Fatal("not canonical")
		}
		if len(file.Book.Supplies)*len(file.Book.Shapes) > 1<<10 || len(file.Book.Entries) > 1<<8 {
			return // large ones are TestHostileBooks': a fuzzer wants many small ones
		}
		_, _ = Verify(data, claimOf(file)) // any answer, no panic
		m, err := NewModel(file.Book)
		if err != nil {
			return
		}
		for _, steps := range []int64{1_000, DefaultSteps} {
			file.Solver = "optimal"
			if file.Allocation, err = (Optimal{}).Solve(m, Budget{Steps: steps}); err != nil {
				t.Fatal(err)
			}
			if err := Check(m, file.Allocation); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Verify(file.Encode(), claimOf(file)); err != nil && !errors.Is(err, ErrRejected) && !errors.Is(err, ErrFile) {
			t.Fatal(err)
		}
	})
}

const fileVectors = "../../../docs/spec/vectors/clearing.json"

// fileVector is one clearing for other implementations: a model file and what the chain's record says about it.
type fileVector struct {
	Name    string `json:"name"`
	File    string `json:"file"`   // hex
	Digest  string `json:"sha256"` // hex
	Solver  string `json:"solver"`
	Height  int64  `json:"height"`
	Welfare int64  `json:"welfare"`
	Bound   int64  `json:"bound"`
	GapPPM  int64  `json:"gap_ppm"`
	Work    int64  `json:"work"`
	Exact   bool   `json:"exact"`
	Matched int64  `json:"matched"`
}

// The documented vectors: the files decode, verify, and are what the solver makes of their books today.
func TestFileVectors(t *testing.T) {
	var want []fileVector
	for _, c := range []struct {
		name string
		book Book
	}{
		{"contested slots", contested()}, {"vectors of needs", tinyBook(&stream{state: 4}, 3)}, {"few leases", checkBook()}, {"cut by leases", fuzzBooks()[8]},
	} {
		f := File{Height: 7, Solver: "optimal", Book: c.book, Allocation: mustOptimal(t, mustModel(t, c.book))}
		data := f.Encode()
		digest := FileDigest(data)
		a := &f.Allocation
		want = append(want, fileVector{
			Name: c.name, File: hex.EncodeToString(data), Digest: hex.EncodeToString(digest[:]), Solver: f.Solver, Height: f.Height,
			Welfare: a.Welfare, Bound: a.Bound, GapPPM: GapPPM(a.Bound, a.Welfare), Work: a.Work, Exact: a.Certificate.Exact, Matched: a.Matched,
		})
	}
	if *update {
		text, err := json.MarshalIndent(want, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(fileVectors, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(fileVectors)
	if err != nil {
		t.Fatal(err)
	}
	var got []fileVector
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("the vectors differ; go test -run FileVectors -update writes them anew\ngot  %+v\nwant %+v", got, want)
	}
	for _, v := range got {
		data, err := hex.DecodeString(v.File)
		if err != nil {
			t.Fatal(err)
		}
		f, err := DecodeFile(data)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		if _, err := Verify(data, claimOf(f)); err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
	}
}
