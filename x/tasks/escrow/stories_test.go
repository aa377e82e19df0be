package escrow_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/escrow"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/*.txt")

// A story moves the money of one job: commands in, the ledger out. What a command answers follows a line of dashes up
// to an empty line; remarks start with #. Amounts are micro-NEX, each shard's unless it says sum.
//
//	params burn_ppm=50000 pool_ppm=200000 rent_ppm=500000 charge=1 reservation_ppm=10000    what is named changes
//	submit shards=8 limit=1000     locks the all-in limit of every shard
//	wait blocks=30                 open shards pay the book charge
//	lease L shards=5 price=400     takes open shards that can pay price and burn; rent=10 for scarce capacity
//	deliver L ok=4                 the other shards are lost and open again
//	settle L                       pays what L delivered
//	cancel L                       pays the acknowledged lease in full
//	end why=expired                open shards end: refunded, less the reservation for why=input_unavailable
//
// The money law is checked after every command: what was paid in is what escrow, operator, burn, pool and refunds have.
func TestStories(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no stories", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s := &story{t: t, burnPPM: 50_000, poolPPM: 200_000, rentPPM: 500_000, charge: 1, reservePPM: 10_000, leases: map[string]lot{}}
			got := s.play(string(want))
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

// lot is a number of like shards: what escrow still holds for each, and the price and rent they are leased at.
type lot struct{ shards, remaining, limit, price, rent int64 }

type story struct {
	t                                             *testing.T
	burnPPM, poolPPM, rentPPM, charge, reservePPM int64

	open   []lot
	leases map[string]lot

	in                                       int64
	operator, burned, pooled, refunded, held int64
}

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
		if answer := s.do(words); answer != "" {
			out.WriteString("----\n" + answer + "\n")
			answered = true
		}
		s.checkLaw(line)
	}
	return out.String()
}

// checkLaw adds up both sides, and escrow by its lots.
func (s *story) checkLaw(line string) {
	s.t.Helper()
	if sum := s.held + s.operator + s.burned + s.pooled + s.refunded; sum != s.in {
		s.t.Errorf("after %q: %d came in, %d is accounted for", line, s.in, sum)
	}
	lots := int64(0)
	for _, l := range s.open {
		lots += l.shards * l.remaining
	}
	for _, l := range s.leases {
		lots += l.shards * l.remaining
	}
	if lots != s.held {
		s.t.Errorf("after %q: the shards hold %d, escrow %d", line, lots, s.held)
	}
	if min(s.held, s.operator, s.burned, s.pooled, s.refunded) < 0 {
		s.t.Errorf("after %q: somebody has less than nothing", line)
	}
}

func (s *story) do(words []string) string {
	named := map[string]string{}
	plain := ""
	for _, w := range words[1:] {
		if key, value, found := strings.Cut(w, "="); found {
			named[key] = value
		} else {
			plain = w
		}
	}
	number := func(key string) int64 {
		if key == "rent" && named[key] == "" {
			return 0
		}
		n, err := strconv.ParseInt(named[key], 10, 64)
		if err != nil {
			s.t.Fatalf("%v: %v", words, err)
		}
		return n
	}
	switch words[0] {
	case "params":
		for key, to := range map[string]*int64{
			"burn_ppm": &s.burnPPM, "pool_ppm": &s.poolPPM, "rent_ppm": &s.rentPPM, "charge": &s.charge, "reservation_ppm": &s.reservePPM,
		} {
			if named[key] != "" {
				*to = number(key)
			}
		}
		return ""
	case "submit":
		return s.submit(number("shards"), number("limit"))
	case "wait":
		return s.wait(number("blocks"))
	case "lease":
		return s.lease(plain, number("shards"), number("price"), number("rent"))
	case "deliver":
		return s.deliver(plain, number("ok"))
	case "settle", "cancel":
		return s.pay(plain)
	case "end":
		return s.end(named["why"])
	}
	s.t.Fatalf("unknown command %q", words[0])
	return ""
}

func (s *story) submit(shards, limit int64) string {
	total, err := escrow.Total(shards, limit)
	if err != nil {
		return s.refused(err)
	}
	s.in += total
	s.held += total
	s.open = append(s.open, lot{shards: shards, remaining: limit, limit: limit})
	return fmt.Sprintf("locked sum %d\n", total)
}

func (s *story) wait(blocks int64) string {
	text := ""
	for i := range s.open {
		l := &s.open[i]
		charge := escrow.BookCharge(s.charge, blocks, l.remaining)
		l.remaining -= charge
		s.held -= charge * l.shards
		s.pooled += charge * l.shards
		text += fmt.Sprintf("%d open shards: charged %d, left %d; pool + sum %d\n", l.shards, charge, l.remaining, charge*l.shards)
	}
	return text
}

func (s *story) lease(name string, shards, price, rent int64) string {
	burn := auction.Burn(price+rent, s.burnPPM)
	for i := range s.open {
		l := &s.open[i]
		if l.shards < shards || auction.Usable(l.remaining, s.burnPPM) < price+rent {
			continue
		}
		taken := *l
		taken.shards, taken.price, taken.rent = shards, price, rent
		if l.shards -= shards; l.shards == 0 {
			s.open = append(s.open[:i], s.open[i+1:]...)
		}
		s.leases[name] = taken
		return fmt.Sprintf("%d shards at price %d, rent %d, burn %d, left %d\n", shards, price, rent, burn, taken.remaining)
	}
	return fmt.Sprintf("no match: price %d, rent %d and burn %d are above what is left\n", price, rent, burn)
}

func (s *story) deliver(name string, ok int64) string {
	l := s.leases[name]
	lost := l
	l.shards, lost.shards, lost.price, lost.rent = ok, l.shards-ok, 0, 0
	s.leases[name] = l
	if lost.shards > 0 {
		s.open = append(s.open, lost)
	}
	return fmt.Sprintf("delivered %d, open again %d\n", ok, lost.shards)
}

func (s *story) pay(name string) string {
	l := s.leases[name]
	burn := auction.Burn(l.price+l.rent, s.burnPPM)
	split, err := escrow.Settle(l.shards, l.remaining-l.rent, l.price, burn, s.poolPPM)
	if err == nil {
		split, err = split.WithRent(l.shards, l.rent, s.rentPPM)
	}
	if err != nil {
		return s.refused(err)
	}
	if split.Total() != l.shards*l.remaining {
		s.t.Errorf("%s holds %d, %+v was split", name, l.shards*l.remaining, split)
	}
	delete(s.leases, name)
	s.held -= split.Total()
	s.operator += split.Paid
	s.burned += split.Burned
	s.pooled += split.Pooled
	s.refunded += split.Refunded
	return fmt.Sprintf("of sum %d: operator %d, burned %d, pool %d, requester %d\n%s",
		split.Total(), split.Paid, split.Burned, split.Pooled, split.Refunded, s.ledger())
}

func (s *story) end(why string) string {
	text := ""
	for _, l := range s.open {
		reserve := int64(0)
		if why == "input_unavailable" {
			reserve = min(escrow.Share(l.limit, s.reservePPM), l.remaining)
		}
		s.held -= l.shards * l.remaining
		s.pooled += l.shards * reserve
		s.refunded += l.shards * (l.remaining - reserve)
		text += fmt.Sprintf("%d open shards: reserved %d, refunded %d\n", l.shards, reserve, l.remaining-reserve)
	}
	s.open = nil
	return text + s.ledger()
}

func (s *story) ledger() string {
	return fmt.Sprintf("in %d = escrow %d + operator %d + burned %d + pool %d + refunded %d\n",
		s.in, s.held, s.operator, s.burned, s.pooled, s.refunded)
}

func (s *story) refused(err error) string {
	s.t.Helper()
	if !errors.Is(err, escrow.ErrRange) {
		s.t.Errorf("no typed refusal: %v", err)
	}
	return fmt.Sprintf("refused: %v (at most %d)\n", err, denom.MaxUnex)
}
