package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/auction/flow"
)

// clearingWarm is re-clearing the network book after one entry in a hundred drew another limit, against clearing it
// from nothing: the whole solver, which is given the prices before, and the flow engine alone on the same
// network, which is given a flow that follows these prices (what the solver does) or the flow before itself.
func (b *bench) clearingWarm(ctx context.Context) (any, error) {
	before, err := clearOnce(networkBook())
	if err != nil {
		return nil, err
	}
	changed := networkBook()
	limits := &draws{state: 1}
	for i := 0; i < len(changed.Entries); i += 100 {
		changed.Entries[i].Limit = int64(1_000 + 7*limits.below(bookEntries))
	}
	cold, err := auction.NewModel(changed)
	if err != nil {
		return nil, err
	}
	for _, p := range before.allocation.Certificate.Prices {
		changed.Hints = append(changed.Hints, auction.Hint(p))
	}
	warm, err := auction.NewModel(changed)
	if err != nil {
		return nil, err
	}
	var fromNothing, fromPrices auction.Allocation
	took, err := alternate(ctx, clearingRounds,
		timed(func() (err error) { fromNothing, err = solve(cold); return err }),
		timed(func() (err error) { fromPrices, err = solve(warm); return err }),
	)
	if err == nil && (fromNothing.Welfare != fromPrices.Welfare || !fromNothing.Certificate.Exact || !fromPrices.Certificate.Exact) {
		err = fmt.Errorf("cold welfare %d, warm %d, or not exact", fromNothing.Welfare, fromPrices.Welfare)
	}
	if err != nil {
		return nil, err
	}
	engine, err := warmFlow(ctx, before, cold, fromNothing.Welfare)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"entries": len(changed.Entries), "changed": (len(changed.Entries) + 99) / 100,
		"solve": map[string]any{
			"cold_ms": median(took[0]), "warm_ms": median(took[1]), "ratio": median(took[1]) / median(took[0]),
			"cold_steps": fromNothing.Work, "warm_steps": fromPrices.Work,
		},
		"flow": engine,
		"note": "solve: Optimal.Solve without making the model; flow: flow.Solve alone on the book's network, starts made before the clock",
	}, nil
}

// cleared is a book's model with its solution.
type cleared struct {
	model      *auction.Model
	allocation auction.Allocation
}

func clearOnce(book auction.Book) (c cleared, err error) {
	if c.model, err = auction.NewModel(book); err == nil {
		c.allocation, err = solve(c.model)
	}
	return c, err
}

// warmFlow times the engine from nothing, from prices and from the flow before. Least cost must be the welfare, with
// the sign turned: so the network is the solver's.
func warmFlow(ctx context.Context, before cleared, changed *auction.Model, welfare int64) (map[string]any, error) {
	old, now := networkOf(before.model), networkOf(changed)
	if len(old.graph.Arcs) != len(now.graph.Arcs) {
		return nil, fmt.Errorf("the change moved arcs: %d before, %d after", len(old.graph.Arcs), len(now.graph.Arcs))
	}
	first, err := flow.Solve(&old.graph, flow.Options{})
	if err != nil {
		return nil, err
	}
	prices := make([]int64, changed.NumSupplies())
	for _, p := range before.allocation.Certificate.Prices {
		prices[now.supplyOf[p.NexCoreID]] = p.Slot
	}
	starts := []flow.Options{
		{},
		{Start: now.follow(make([]int64, len(prices)))},
		{Start: now.follow(prices)},
		{Start: first.Flow},
		{Start: first.Flow, Prefer: first.Tree, Potential: first.Potential},
	}
	results := make([]flow.Result, len(starts))
	var trials []trial
	for i, opt := range starts {
		trials = append(trials, timed(func() (err error) { results[i], err = flow.Solve(&now.graph, opt); return err }))
	}
	took, err := alternate(ctx, clearingRounds, trials...)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"nodes": now.graph.Nodes, "arcs": len(now.graph.Arcs)}
	cold := median(took[0])
	for i, name := range []string{"cold", "from_prices_0", "from_prices", "from_flow", "from_flow_and_tree"} {
		if r := &results[i]; !r.Optimal || r.Cost != -welfare || r.TieCost != results[0].TieCost {
			return nil, fmt.Errorf("%s: cost %d, welfare %d", name, r.Cost, welfare)
		}
		out[name] = map[string]any{"ms": median(took[i]), "ratio": median(took[i]) / cold, "pivots": results[i].Pivots, "scanned": results[i].Scanned}
	}
	return out, nil
}

// network is a book of one need as a circulation, in the form that x/tasks/auction describes: from node 0 over the
// entries to the levels of their shape, down the levels, over edges to NexCores and over their slots back.
type network struct {
	graph    flow.Graph
	shapes   []shapeNet
	slots    []int64
	slot     []int32 // arc of each NexCore
	supplyOf map[uint64]int
}

type shapeNet struct {
	entries []entryArc // highest limit first
	chain   []int32    // arc from level l to l-1; the first is unused
	edges   []edgeArc
}

type entryArc struct {
	arc, level    int32
	usable, count int64
}

type edgeArc struct {
	arc, level, supply int32
	cost               int64
}

func (n *network) add(a flow.Arc) int32 {
	n.graph.Arcs = append(n.graph.Arcs, a)
	return int32(len(n.graph.Arcs)) - 1
}

func networkOf(m *auction.Model) *network {
	n := &network{supplyOf: map[uint64]int{}, slots: make([]int64, m.NumSupplies()), shapes: make([]shapeNet, m.NumShapes())}
	committed := make([]int64, m.NumSupplies())
	shape, _ := m.Shape(0)
	for i := range n.slots {
		s := m.Supply(i)
		n.supplyOf[s.ID], committed[i], n.slots[i] = i, s.AskHeight, m.Coverage().Shards
		for r, v := range shape.Need {
			if v > 0 {
				n.slots[i] = min(n.slots[i], s.Free[r]/v)
			}
		}
	}
	byShape := make([][]int, m.NumShapes())
	for i := range m.NumEntries() {
		e, _ := m.Entry(i)
		byShape[e.ShapeIndex] = append(byShape[e.ShapeIndex], i)
	}
	n.graph.Nodes = 1 + m.NumSupplies()
	for i := range n.shapes {
		n.addShape(m, i, byShape[i], committed)
	}
	for i, c := range n.slots {
		n.slot = append(n.slot, n.add(flow.Arc{From: int32(1 + i), To: 0, Cap: c}))
	}
	n.graph.Supply = make([]int64, n.graph.Nodes)
	return n
}

// addShape adds a shape's arcs. An entry's level is that of the newest ask that it sees.
func (n *network) addShape(m *auction.Model, shape int, entries []int, committed []int64) {
	s, edges := &n.shapes[shape], m.Edges(shape)
	first, levels, shards := int32(n.graph.Nodes), int32(1), int64(0)
	for _, i := range entries {
		e, usable := m.Entry(i)
		level := int32(0)
		for j := range edges {
			if committed[edges[j].Supply] < e.VisibleBefore {
				level = max(level, edges[j].Level)
			}
		}
		levels, shards = max(levels, level+1), shards+e.Count
		s.entries = append(s.entries, entryArc{level: level, usable: usable, count: e.Count})
	}
	n.graph.Nodes += int(levels)
	for i := range s.entries { // in the model's order, so that a change of limits moves no arc
		e := &s.entries[i]
		e.arc = n.add(flow.Arc{From: 0, To: first + e.level, Cap: e.count, Cost: -e.usable})
	}
	slices.SortStableFunc(s.entries, func(a, b entryArc) int { return cmp.Compare(b.usable, a.usable) })
	s.chain = make([]int32, levels)
	for l := int32(1); l < levels; l++ {
		s.chain[l] = n.add(flow.Arc{From: first + l, To: first + l - 1, Cap: shards + 1})
	}
	for i := range edges {
		if e := &edges[i]; e.Level < levels {
			// Ties are 1 to 2^20, as the market's: more shards first, then the seed's order.
			tie := int64(e.Tie>>44) - 1<<20
			arc := n.add(flow.Arc{From: first + e.Level, To: 1 + e.Supply, Cap: shards + 1, Cost: e.Cost, Tie: tie})
			s.edges = append(s.edges, edgeArc{arc: arc, level: e.Level, supply: e.Supply, cost: e.Cost})
		}
	}
}

// follow is a feasible flow in which each entry, highest limit first, takes the least cost plus price with room.
func (n *network) follow(prices []int64) []int64 {
	out, room := make([]int64, len(n.graph.Arcs)), slices.Clone(n.slots)
	for i := range n.shapes {
		s := &n.shapes[i]
		order := slices.Clone(s.edges)
		slices.SortStableFunc(order, func(a, b edgeArc) int { return cmp.Compare(a.cost+prices[a.supply], b.cost+prices[b.supply]) })
		for _, e := range s.entries {
			left := e.count
			for _, x := range order {
				if left == 0 || x.cost+prices[x.supply] > e.usable {
					break
				}
				take := min(left, room[x.supply])
				if x.level > e.level || take == 0 {
					continue
				}
				room[x.supply] -= take
				left -= take
				out[x.arc] += take
				out[e.arc] += take
				out[n.slot[x.supply]] += take
				for l := x.level + 1; l <= e.level; l++ {
					out[s.chain[l]] += take
				}
			}
		}
	}
	return out
}
