// Command wordcount is the map step of a word count: each shard counts the words
// of its part of the text files in /in/texts and writes /out/counts.json.
//
// It is an ordinary Go program for the target wasip1, with no knowledge of Nexara
// beyond two environment variables:
//
//	GOOS=wasip1 GOARCH=wasm go build -o wordcount.wasm .
//
// The files, in order of their names, are one text. It is cut into equal parts
// by bytes, and a line belongs to the part in which it begins, so every line is
// counted by exactly one shard whatever their number.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// counts is the content of counts.json.
type counts struct {
	// Shard of Shards counted Lines lines, beginning in bytes First up to Last of the text.
	Shard  int   `json:"shard"`
	Shards int   `json:"shards"`
	First  int64 `json:"first_byte"`
	Last   int64 `json:"last_byte"`
	Lines  int64 `json:"lines"`
	// Total is the sum of Words, by word in lower case.
	Total int64            `json:"total"`
	Words map[string]int64 `json:"words"`
}

func main() {
	if err := run("/in/texts", "/out", os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "wordcount:", err)
		os.Exit(1)
	}
}

func run(in, out string, getenv func(string) string, stdout io.Writer) error {
	shard, err := number(getenv, "NEXARA_SHARD", 0)
	if err != nil {
		return err
	}
	shards, err := number(getenv, "NEXARA_SHARDS", 1)
	if err != nil {
		return err
	}
	c, err := count(os.DirFS(in), shard, shards, stdout)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "counts.json"), append(b, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "shard %d of %d: %d words, %d different, in %d lines\n", shard, shards, c.Total, len(c.Words), c.Lines)
	return nil
}

func number(getenv func(string) string, name string, otherwise int) (int, error) {
	text := getenv(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return n, nil
}

// count counts the part of shard.
func count(texts fs.FS, shard, shards int, progress io.Writer) (*counts, error) {
	if shard < 0 || shard >= shards {
		return nil, fmt.Errorf("there is no shard %d of %d", shard, shards)
	}
	// Names are sorted, so all shards see the same text.
	names, err := fs.Glob(texts, "*.txt")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("there are no .txt files")
	}
	sizes := make([]int64, len(names))
	var total int64
	for i, name := range names {
		info, err := fs.Stat(texts, name)
		if err != nil {
			return nil, err
		}
		sizes[i] = info.Size()
		total += info.Size()
	}
	c := &counts{
		Shard: shard, Shards: shards, Words: map[string]int64{},
		First: total * int64(shard) / int64(shards), Last: total * int64(shard+1) / int64(shards),
	}
	var begin int64
	for i, name := range names {
		end := begin + sizes[i]
		if begin < c.Last && end > c.First {
			if err := c.file(texts, name, begin); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			fmt.Fprintf(progress, "%s: %d words so far\n", name, c.Total)
		}
		begin = end
	}
	return c, nil
}

// file counts the lines of one file that begin inside the part; at is where the
// file begins in the text.
func (c *counts) file(texts fs.FS, name string, at int64) error {
	f, err := texts.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for at < c.Last {
		line, err := r.ReadString('\n')
		if line != "" && at >= c.First {
			c.line(line)
		}
		at += int64(len(line))
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *counts) line(line string) {
	c.Lines++
	for _, word := range strings.FieldsFunc(strings.ToLower(line), func(r rune) bool { return !unicode.IsLetter(r) }) {
		c.Words[word]++
		c.Total++
	}
}
