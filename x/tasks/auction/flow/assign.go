package flow

import "fmt"

// MaxAssign is the largest n of Assign.
const MaxAssign = 1 << 14

// Assign finds the n x n assignment of least total cost: row i takes column rowToCol[i]. cost is row-major, each
// |cost| <= MaxCost. The proof: u[i] + v[j] <= cost[i*n+j] everywhere, equal where row i takes column j, so
// the total is the sum of u and v. Equal inputs give equal answers. Error: ErrBounds.
//
// The method is Jonker and Volgenant's: column reduction with reduction transfer and augmenting row reduction
// assign most rows cheaply, shortest augmenting paths do the rest in at most n passes over n x n costs.
func Assign[C int32 | int64](n int, cost []C) (rowToCol []int32, u, v []int64, err error) {
	if n < 0 || n > MaxAssign || len(cost) != n*n {
		return nil, nil, nil, fmt.Errorf("%w: size of the assignment", ErrBounds)
	}
	for i, c := range cost {
		if int64(c) > MaxCost || int64(c) < -MaxCost {
			return nil, nil, nil, fmt.Errorf("%w: cost %d of the assignment", ErrBounds, i)
		}
	}
	a := assignment[C]{n: n, cost: cost, col: make([]int32, n), row: make([]int32, n), v: make([]int64, n)}
	if n > 0 {
		free := a.reduceColumns()
		// Twice pays on random costs; more does not.
		for range 2 {
			free = a.reduceRows(free)
		}
		a.augment(free)
	}
	u = make([]int64, n)
	for i, j := range a.col {
		u[i] = int64(cost[i*n+int(j)]) - a.v[j]
	}
	return a.col, u, a.v, nil
}

// assignment is a partial assignment with column prices v such that every assigned row takes a column of
// least cost - v in its row. Prices start in the range of the costs and only fall, by at most a largest difference
// of costs per augmentation or per step of reduceRows: with n <= MaxAssign they stay far inside int64.
type assignment[C int32 | int64] struct {
	n    int
	cost []C
	col  []int32 // of a row, -1: free
	row  []int32 // of a column, -1: free
	v    []int64
}

func (a *assignment[C]) line(i int32) []C { return a.cost[int(i)*a.n : (int(i)+1)*a.n] }

// reduceColumns prices each column at its least cost, assigns it to that row if the row is free yet, lowers the
// price of each column whose row wants no other by what keeps the row content, and returns the free rows.
func (a *assignment[C]) reduceColumns() []int32 {
	n := a.n
	least := make([]int32, n) // row of the least cost of each column
	for j, c := range a.line(0) {
		a.v[j] = int64(c)
	}
	for i := int32(1); i < int32(n); i++ {
		for j, c := range a.line(i) {
			if int64(c) < a.v[j] {
				a.v[j], least[j] = int64(c), i
			}
		}
	}
	times := make([]int32, n) // how many columns a row is least of
	for i := range a.col {
		a.col[i], a.row[i] = -1, -1
	}
	for j := int32(n) - 1; j >= 0; j-- {
		i := least[j]
		if times[i]++; times[i] == 1 {
			a.col[i], a.row[j] = j, i
		}
	}
	var free []int32
	for i := range int32(n) {
		switch {
		case times[i] == 0:
			free = append(free, i)
		case times[i] == 1 && n > 1:
			own := a.col[i]
			second, found := int64(0), false
			for j, c := range a.line(i) {
				if d := int64(c) - a.v[j]; int32(j) != own && (!found || d < second) {
					second, found = d, true
				}
			}
			a.v[own] -= second - (int64(a.line(i)[own]) - a.v[own])
		}
	}
	return free
}

// reduceRows gives each free row its best column, at a price lowered until the row's second best is as
// good, and takes the column from its row, which tries next if that price fell. On integers such a duel can go
// on for as long as the costs are large, so the steps are counted; who is left over stays free.
func (a *assignment[C]) reduceRows(free []int32) []int32 {
	if a.n < 2 {
		return free
	}
	var left []int32
	steps := 4 * a.n
	for k := 0; k < len(free); {
		i := free[k]
		k++
		j1, best, j2, second := a.twoBest(i)
		fell := best < second
		if fell {
			a.v[j1] -= second - best
		} else if a.row[j1] >= 0 {
			j1 = j2
		}
		loser := a.row[j1]
		a.row[j1], a.col[i] = i, j1
		if loser < 0 {
			continue
		}
		a.col[loser] = -1
		if steps--; fell && steps > 0 {
			k--
			free[k] = loser
		} else {
			left = append(left, loser)
		}
	}
	return left
}

// twoBest returns the columns of least and second least cost - v of row i, n >= 2.
func (a *assignment[C]) twoBest(i int32) (j1 int32, best int64, j2 int32, second int64) {
	line := a.line(i)
	v := a.v[:len(line)]
	best, second = int64(line[0])-v[0], int64(line[1])-v[1]
	j1, j2 = 0, 1
	if second < best {
		best, second, j1, j2 = second, best, 1, 0
	}
	for j := 2; j < len(line); j++ {
		if d := int64(line[j]) - v[j]; d < second {
			if d < best {
				best, second, j1, j2 = d, best, int32(j), j1
			} else {
				second, j2 = d, int32(j)
			}
		}
	}
	return j1, best, j2, second
}

// augment assigns each free row along a shortest augmenting path: Dijkstra over columns, arc lengths the
// reduced costs. queue holds the columns: first those finished, then those at the least distance, then the rest.
func (a *assignment[C]) augment(free []int32) {
	n := a.n
	dist, from, queue := make([]int64, n), make([]int32, n), make([]int32, n)
	for _, start := range free {
		line := a.line(start)
		for j := range n {
			dist[j], from[j], queue[j] = int64(line[j])-a.v[j], start, int32(j)
		}
		end := int32(-1)
		done, near, low := 0, 0, int64(0)
		settled := 0 // columns before it are nearer than low
		for end < 0 {
			if done == near {
				settled = done
				low = dist[queue[near]]
				for k := near; k < n; k++ {
					j := queue[k]
					d := dist[j]
					if d > low {
						continue
					}
					if d < low {
						low, near = d, done
					}
					queue[k], queue[near] = queue[near], j
					near++
				}
				for _, j := range queue[done:near] {
					if a.row[j] < 0 {
						end = j
						break
					}
				}
				if end >= 0 {
					break
				}
			}
			// Look on from the row of the next column at the least distance.
			j1 := queue[done]
			done++
			i := a.row[j1]
			line := a.line(i)
			base := low - (int64(line[j1]) - a.v[j1])
			for k := near; k < n; k++ {
				j := queue[k]
				d := base + int64(line[j]) - a.v[j]
				if d >= dist[j] {
					continue
				}
				dist[j], from[j] = d, i
				if d > low {
					continue
				}
				if a.row[j] < 0 {
					end = j
					break
				}
				queue[k], queue[near] = queue[near], j
				near++
			}
		}
		for _, j := range queue[:settled] {
			a.v[j] += dist[j] - low
		}
		for j := end; ; {
			i := from[j]
			a.row[j] = i
			a.col[i], j = j, a.col[i]
			if i == start {
				break
			}
		}
	}
}
