package flow

import "fmt"

// verifyFlow checks from scratch that flow is feasible and costs what r says.
func verifyFlow(g *Graph, r *Result) error {
	if len(r.Flow) != len(g.Arcs) || len(r.Potential) != g.Nodes || len(r.TiePotential) != g.Nodes {
		return fmt.Errorf("lengths %d %d %d", len(r.Flow), len(r.Potential), len(r.TiePotential))
	}
	balance := make([]int64, g.Nodes)
	var cost, tie int64
	for i, a := range g.Arcs {
		f := r.Flow[i]
		if f < 0 || f > a.Cap {
			return fmt.Errorf("arc %d carries %d of %d", i, f, a.Cap)
		}
		balance[a.From] += f
		balance[a.To] -= f
		cost += f * a.Cost
		tie += f * a.Tie
	}
	for v := range balance {
		if balance[v] != g.Supply[v] {
			return fmt.Errorf("node %d sends %d of %d", v, balance[v], g.Supply[v])
		}
	}
	if cost != r.Cost || tie != r.TieCost {
		return fmt.Errorf("costs (%d, %d), says (%d, %d)", cost, tie, r.Cost, r.TieCost)
	}
	return nil
}

// verifyOptimal checks the proof: complementary slackness with pairs compared first by cost, then by tie.
func verifyOptimal(g *Graph, r *Result) error {
	if err := verifyFlow(g, r); err != nil {
		return err
	}
	if !r.Optimal || !r.CostOptimal {
		return fmt.Errorf("not optimal: %v %v", r.CostOptimal, r.Optimal)
	}
	for i, a := range g.Arcs {
		rc := a.Cost + r.Potential[a.From] - r.Potential[a.To]
		rt := a.Tie + r.TiePotential[a.From] - r.TiePotential[a.To]
		if r.Flow[i] < a.Cap && (rc < 0 || (rc == 0 && rt < 0)) || r.Flow[i] > 0 && (rc > 0 || (rc == 0 && rt > 0)) {
			return fmt.Errorf("arc %d carries %d of %d at reduced (%d, %d)", i, r.Flow[i], a.Cap, rc, rt)
		}
	}
	return nil
}

// verifyTree checks the engine's invariants: preorder, sizes, strong feasibility, reduced costs of the tree.
func verifyTree(e *engine) error {
	root := e.root()
	seen := 0
	for v := e.next[root]; ; v = e.next[v] {
		seen++
		if seen > len(e.nodes) {
			return fmt.Errorf("preorder is no circle")
		}
		n := e.nodes[v]
		if e.prev[e.next[v]] != v {
			return fmt.Errorf("node %d: next and prev differ", v)
		}
		size, last := int32(1), v
		for x := e.next[v]; size < n.size; x = e.next[x] {
			size, last = size+1, x
			up := x
			for up != v && up != root {
				up = e.nodes[up].parent
			}
			if up != v {
				return fmt.Errorf("node %d in the run of %d, not below it", x, v)
			}
		}
		if last != n.last {
			return fmt.Errorf("node %d: last %d, is %d", v, n.last, last)
		}
		if v == root {
			break
		}
		if n.up <= 0 || n.down < 0 {
			return fmt.Errorf("node %d: up %d down %d", v, n.up, n.down)
		}
		if n.pred >= 0 {
			a := e.arcs[n.pred]
			if a.cost+e.pi[a.from]-e.pi[a.to] != 0 || a.from+a.to != v+n.parent {
				return fmt.Errorf("node %d: tree arc", v)
			}
		}
	}
	if seen != len(e.nodes) {
		return fmt.Errorf("preorder holds %d of %d", seen, len(e.nodes))
	}
	return nil
}
