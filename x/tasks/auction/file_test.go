package auction

import (
	"bytes"
	"errors"
	"math/rand"
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

// Arbitrary bytes never panic, and what decodes goes through the whole verification.
func FuzzVerify(f *testing.F) {
	s := &stream{state: 77}
	for range 4 {
		b := slotBook(s)
		m := mustModel(f, b)
		file := File{Height: 1, Solver: "optimal", Book: b, Allocation: mustOptimal(f, m)}
		f.Add(file.Encode())
	}
	hostile := checkBook()
	file := File{Height: 1, Solver: "greedy", Book: hostile, Allocation: mustSolve(f, mustModel(f, hostile))}
	f.Add(file.Encode())
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
		if len(file.Book.Supplies)*len(file.Book.Shapes) > 1<<12 || len(file.Book.Entries) > 1<<10 {
			return // large ones are TestHostileBooks': a fuzzer wants many small ones
		}
		m, err := NewModel(file.Book)
		if err != nil {
			return
		}
		_ = Check(m, file.Allocation) // any answer, no panic
		a, err := Optimal{}.Solve(m, Budget{Steps: 200_000})
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(m, a); err != nil {
			t.Fatal(err)
		}
	})
}
