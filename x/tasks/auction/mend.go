package auction

import "slices"

// Prices of the clearing before are wrong where an ask changed since: everybody wants a NexCore that became cheap, nobody
// one that became dear, and either hides what the others are worth. mend finds both and gives each the price at which as
// many shards want it as it has slots, all other prices being right. It changes where a solver starts and nothing else.

// crowd is how many times its slots a NexCore is wanted before its price is not believed.
const crowd = 16

// mendRounds bounds how often what was hidden is looked at, mendLooks what new prices may take, in looks at everything.
const (
	mendRounds = 4
	mendLooks  = 12
)

// mend corrects prices, by supply, and returns the links and entries looked at.
func (m *Model) mend(prices, slots []int64) (looked int64) {
	out := make([]bool, len(m.supplies)) // not believed
	var list []int32
	var value [][]int64
	var wanted []int64
	for range mendRounds {
		value = m.leastValues(prices, out)
		wanted = m.wanted(prices, out, value)
		looked += 3 * m.looks
		before := len(list)
		for s, w := range wanted {
			if w>>wantedShift > crowd*slots[s] {
				out[s] = true
				list = append(list, int32(s))
			}
		}
		if len(list) == before {
			break
		}
	}
	for s, w := range wanted {
		if w == 0 && prices[s] > 0 && !out[s] {
			out[s] = true
			list = append(list, int32(s))
		}
	}
	more := int64(len(list)) * int64(len(m.entries)+len(m.classes))
	if len(list) > len(m.supplies)/8 || more > mendLooks*m.looks {
		return looked
	}
	for _, s := range list {
		prices[s] = m.clearingPrice(s, slots[s], value)
	}
	return looked + more
}

// wantedShift is the scale of wanted: 2^-16 shards.
const wantedShift = 16

// wanted is by how many shards each NexCore is wanted at the least values, those of a class divided evenly among the
// NexCores that give it a least value.
func (m *Model) wanted(prices []int64, out []bool, value [][]int64) []int64 {
	wanted := make([]int64, len(m.supplies))
	var tight []int32
	for i := range m.classes {
		c := &m.classes[i]
		want := int64(0)
		for j := range c.entries {
			if e := &c.entries[j]; e.usable > value[i][e.level] {
				want += e.count
			}
		}
		tight = tight[:0]
		for l := range c.levels {
			for _, e := range c.levelLinks(l) {
				if e.cost+prices[e.supply] == value[i][l] && !out[e.supply] {
					tight = append(tight, e.supply)
				}
			}
		}
		for _, s := range tight {
			wanted[s] += want<<wantedShift/int64(len(tight)) + 1
		}
	}
	return wanted
}

// leastValues is the least cost plus price that each level of each class sees, but for the NexCores left out.
func (m *Model) leastValues(prices []int64, out []bool) [][]int64 {
	total := slices.Clone(prices)
	for s := range out {
		if out[s] {
			total[s] = unpayable
		}
	}
	values := make([][]int64, len(m.classes))
	for i := range m.classes {
		c := &m.classes[i]
		values[i] = make([]int64, c.levels)
		best := int64(unpayable)
		for l := range c.levels {
			for _, e := range c.levelLinks(l) {
				best = min(best, e.cost+total[e.supply])
			}
			values[i][l] = best
		}
	}
	return values
}

// clearingPrice is the price at which no more shards want a NexCore than it has slots, if each pays at most value
// elsewhere; the values of those that get it fall to what they pay here.
func (m *Model) clearingPrice(supply int32, slots int64, values [][]int64) int64 {
	var best groupHeap // the greatest gains (money) of so many shards (tie), as few as are more than the slots
	total := int64(0)  // shards in it
	for i := range m.classes {
		c := &m.classes[i]
		at := c.place(supply)
		if int(at) == len(c.edges) || c.edges[at].Supply != supply {
			continue
		}
		edge := &c.edges[at]
		for j := range c.entries {
			e := &c.entries[j]
			if e.level < edge.Level {
				continue
			}
			gain := min(e.usable, values[i][e.level]) - edge.Cost
			if gain <= 0 || total > slots && gain <= best[0].slack.money {
				continue
			}
			best.push(groupKey{slack: pairOf{gain, e.count}})
			for total += e.count; total-best[0].slack.tie > slots; {
				total -= best.pop().slack.tie
			}
		}
	}
	price := int64(0)
	if total > slots {
		price = best[0].slack.money
	}
	for i := range m.classes {
		c := &m.classes[i]
		at := c.place(supply)
		if int(at) == len(c.edges) || c.edges[at].Supply != supply {
			continue
		}
		for l := int(c.edges[at].Level); l < c.levels; l++ {
			values[i][l] = min(values[i][l], c.edges[at].Cost+price)
		}
	}
	return price
}
