package main

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/nexara/nexara/x/tasks/auction"
)

// draws is a seeded source of small numbers, the finaliser of SplitMix64 over a counter. The benchmarks
// of x/tasks/auction draw the same books from the same numbers, so figures of both can be compared.
type draws struct{ state uint64 }

func (d *draws) below(n int) int {
	d.state++
	x := d.state + 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return int((x ^ (x >> 31)) % uint64(n))
}

func oneOf[T any](d *draws, from ...T) T { return from[d.below(len(from))] }

// The size of the books: shapes, offers, open shards with a limit of their own each.
const bookShapes, bookSupplies, bookEntries = 200, 1_000, 10_000

// vectorBook is a seeded book in which most pairs are eligible and needs differ. With scarce there is less
// room than the shards ask for.
func vectorBook(scarce bool) auction.Book {
	d := &draws{state: 42}
	b := auction.Book{Params: auction.DefaultParams()}
	binary.BigEndian.PutUint64(b.Seed[24:], 1)
	b.Params.MaxMatches = bookEntries
	for i := range bookShapes {
		b.Shapes = append(b.Shapes, auction.Shape{
			Need:       auction.Resources{int64(100 * (1 + d.below(40))), int64(64 * (1 + d.below(64))), int64(d.below(10)) * 128, 0},
			Runtime:    oneOf(d, "container", "wasm"),
			Regions:    oneOf(d, nil, nil, []string{"eu-west"}, []string{"eu-west", "us-east"}),
			Network:    d.below(8) == 0,
			RunSeconds: int64(10 + i),
		})
	}
	for i := range bookSupplies {
		room := auction.Resources{int64(4_000 * (1 + d.below(16))), int64(8_192 * (1 + d.below(16))), 200_000, 0}
		if !scarce {
			room[auction.CPUMilli], room[auction.MemoryMiB] = 1_000_000, 1_000_000
		}
		b.Supplies = append(b.Supplies, auction.Supply{
			ID: uint64(i + 1), Operator: fmt.Sprint("op", i/4), Active: true, Capacity: room, Free: room,
			Ask:       auction.Ask{uint64(1_000_000_000 + d.below(2_000_000_000)), uint64(100_000_000 + d.below(100_000_000)), 1_000_000, 0},
			AskHeight: int64(d.below(100)), Runtimes: []string{"container", "wasm"}, Arch: "amd64",
			Region: oneOf(d, "eu-west", "us-east", "ap-south"), Network: d.below(2) == 0, MaxRunSeconds: 3_600,
			FreeBond: 1_000_000_000, LeaseSlots: 64, ScorePPM: int64(d.below(auction.PPM)),
		})
	}
	for i := range bookEntries {
		b.Entries = append(b.Entries, auction.Entry{
			JobID: uint64(i + 1), Count: 1, ShapeIndex: d.below(bookShapes), Limit: int64(1_000 + 7*i + d.below(7)),
			VisibleBefore: int64(90 + d.below(20)),
		})
	}
	return b
}

// networkBook is vectorBook with one need for all, and fewer slots than shards: a network.
func networkBook() auction.Book {
	b := vectorBook(true)
	for i := range b.Shapes {
		b.Shapes[i].Need = auction.Resources{1_000, 512}
	}
	for i := range b.Supplies {
		room := auction.Resources{1_000 * int64(1+i%9), 1 << 20}
		b.Supplies[i].Capacity, b.Supplies[i].Free = room, room
	}
	return b
}

// priceAll replaces a certificate by one that prices every NexCore in all six dimensions, seeded: the dearest input
// that the checker's pass has. It computes the bound and the rents that follow, by the formula D = sum max(0, usable -
// v) + sum capacity * price; Check then confirms both. For vectorBook, whose shards are entries of their own.
func priceAll(m *auction.Model, a auction.Allocation) auction.Allocation {
	const shift = 19 // prices are in 2^-19 unex
	d := &draws{state: 7}
	a.Matches, a.Certificate = slices.Clone(a.Matches), auction.Certificate{}
	lock := m.Params().LockPPM
	prices, supplies := make([]auction.Dims, m.NumSupplies()), make([]auction.Supply, m.NumSupplies())
	at := map[uint64]int{}
	sum := int64(0)
	for i := range prices {
		s := m.Supply(i)
		supplies[i], at[s.ID] = s, i
		capacity := auction.Dims{auction.BondDim: s.FreeBond, auction.LeaseDim: s.LeaseSlots << shift}
		copy(capacity[:], s.Free[:])
		for k := range prices[i] {
			prices[i][k] = int64(1 + d.below(50))
			sum += capacity[k] * prices[i][k]
		}
		a.Certificate.Prices = append(a.Certificate.Prices, auction.Priced{NexCoreID: s.ID, Prices: auction.Prices{Dims: prices[i]}})
	}
	rent := func(e *auction.Edge, need auction.Resources) int64 { // of one shard, in 2^-19 unex
		p := &prices[e.Supply]
		out := p[auction.BondDim]*(e.Price*lock/auction.PPM) + p[auction.LeaseDim]<<shift
		for r, v := range need {
			out += p[r] * v
		}
		return out
	}
	match := 0
	for i := range m.NumEntries() {
		e, usable := m.Entry(i)
		shape, _ := m.Shape(e.ShapeIndex)
		edges, best := m.Edges(e.ShapeIndex), usable<<shift
		for j := range edges {
			x := &edges[j]
			if supplies[x.Supply].AskHeight >= e.VisibleBefore {
				continue
			}
			r := rent(x, shape.Need)
			best = min(best, x.Cost<<shift+r)
			if match < len(a.Matches) && a.Matches[match].JobID == e.JobID && at[a.Matches[match].NexCoreID] == int(x.Supply) {
				a.Matches[match].Rent = min(r>>shift, usable-x.Cost)
			}
		}
		if match < len(a.Matches) && a.Matches[match].JobID == e.JobID {
			match++
		}
		sum += usable<<shift - best
	}
	a.Bound = sum >> shift
	return a
}
