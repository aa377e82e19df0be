package main

import (
	"encoding/binary"
	"fmt"

	"github.com/nexara/nexara/x/tasks/auction"
)

// draws is a seeded source of small numbers, the finaliser of SplitMix64 over a counter: the sections of
// x/tasks/auction's own benchmarks draw the same books from it, so that figures of both can be compared.
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

// sixBook is the scarce vectorBook in which all six dimensions bind somewhere: each fifth of the NexCores is
// short of another of memory, disk, GPUs, bond and leases, CPU is short everywhere.
func sixBook() auction.Book {
	b := vectorBook(true)
	for i := range b.Shapes {
		b.Shapes[i].Need[auction.DiskMiB] += 128
		b.Shapes[i].Need[auction.GPUs] = int64(1 + i%3)
	}
	for i := range b.Supplies {
		s := &b.Supplies[i]
		s.Capacity[auction.GPUs], s.Ask[auction.GPUs] = 64, 1_000_000_000
		switch i % 5 {
		case 0:
			s.Capacity[auction.MemoryMiB] = 8_192
		case 1:
			s.Capacity[auction.DiskMiB] = 4_096
		case 2:
			s.Capacity[auction.GPUs] = 8
		case 3:
			s.FreeBond = 10_000
		case 4:
			s.LeaseSlots = 4
		}
		s.Free = s.Capacity
	}
	return b
}
