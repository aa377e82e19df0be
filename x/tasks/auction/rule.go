package auction

// Rule is a named condition of eligibility. Numbers order the evaluation and are never reused.
type Rule uint8

// The rules in the order in which they are asked: facts about the NexCore, then about the machine and the
// shape, then about this moment, then about this entry.
const (
	RuleOfferActive   Rule = iota + 1 // has a standing offer that has not expired
	RuleNotPaused                     // does not back off after a decline or silence
	RuleNotDraining                   // takes new leases
	RuleNotJailed                     // is in the market
	RuleRuntime                       // accepts the runtime
	RuleArch                          // has the architecture
	RuleRegion                        // is in an accepted region
	RuleGPUModel                      // has the GPU model
	RuleNetwork                       // allows network if it is needed
	RuleRunSeconds                    // allows the declared run time
	RuleCapacityTotal                 // a shard fits the whole machine
	RuleFreeCapacity                  // a shard fits what is free now
	RuleFreeBond                      // free bond covers the lock of a lease of one shard
	RuleLeaseSlots                    // may hold one more lease
	RuleScore                         // has the score asked for
	RuleAskVisible                    // its ask was committed before the job came
	RuleExcludedPair                  // has not failed these shards before
	RulePrice                         // price and penalties are within the usable limit
	// NumRules is one more than the last rule.
	NumRules
)

// scope says what a rule depends on: a supply alone, a shape and a supply, or also the entry.
type scope uint8

const (
	ofSupply scope = iota + 1
	ofPair
	ofEntry
)

type ruleRow struct {
	name  string
	scope scope
	holds func(*pair) bool
}

// rules is the one table of eligibility: building edges, Check and Explain all ask it.
var rules = [NumRules]ruleRow{
	RuleOfferActive:   {"offer_active", ofSupply, func(p *pair) bool { return p.supply.Active && !p.supply.Expired }},
	RuleNotPaused:     {"not_paused", ofSupply, func(p *pair) bool { return !p.supply.Paused }},
	RuleNotDraining:   {"not_draining", ofSupply, func(p *pair) bool { return !p.supply.Draining }},
	RuleNotJailed:     {"not_jailed", ofSupply, func(p *pair) bool { return !p.supply.Jailed }},
	RuleRuntime:       {"runtime", ofPair, func(p *pair) bool { return contains(p.supply.runtimes, p.shape.runtime) }},
	RuleArch:          {"arch", ofPair, func(p *pair) bool { return p.shape.arch == 0 || p.shape.arch == p.supply.arch }},
	RuleRegion:        {"region", ofPair, func(p *pair) bool { return len(p.shape.regions) == 0 || contains(p.shape.regions, p.supply.region) }},
	RuleGPUModel:      {"gpu_model", ofPair, func(p *pair) bool { return p.shape.gpuModel == 0 || p.shape.gpuModel == p.supply.gpuModel }},
	RuleNetwork:       {"network", ofPair, func(p *pair) bool { return !p.shape.Network || p.supply.Network }},
	RuleRunSeconds:    {"run_seconds", ofPair, func(p *pair) bool { return p.shape.RunSeconds <= p.supply.MaxRunSeconds }},
	RuleCapacityTotal: {"capacity_total", ofPair, func(p *pair) bool { return p.shape.Need.Fits(&p.supply.Capacity) }},
	RuleFreeCapacity:  {"free_capacity", ofPair, func(p *pair) bool { return p.shape.Need.Fits(&p.supply.Free) }},
	RuleFreeBond:      {"free_bond", ofPair, func(p *pair) bool { return Lock(p.price(), 1, p.params.LockPPM) <= p.supply.FreeBond }},
	RuleLeaseSlots:    {"lease_slots", ofSupply, func(p *pair) bool { return p.supply.LeaseSlots > 0 }},
	RuleScore:         {"score", ofPair, func(p *pair) bool { return p.supply.ScorePPM >= p.shape.MinScorePPM }},
	RuleAskVisible:    {"ask_visible", ofEntry, func(p *pair) bool { return p.supply.AskHeight < p.entry.VisibleBefore }},
	RuleExcludedPair:  {"excluded_pair", ofEntry, func(p *pair) bool { return !p.entry.excludes(p.supply.ID) }},
	RulePrice:         {"price", ofEntry, func(p *pair) bool { return p.cost() <= p.entry.usable }},
}

// String is the rule's name in queries and events.
func (r Rule) String() string {
	if r == 0 || r >= NumRules {
		return "unknown"
	}
	return rules[r].name
}

// pair is what the rules are asked about. It computes price and cost once, when a rule first wants them.
type pair struct {
	params *Params
	shape  *shapeRow
	supply *supplyRow
	entry  *entryRow

	quoted      bool
	quotedPrice int64
	quotedCost  int64
}

func (p *pair) quote() {
	if !p.quoted {
		p.quotedPrice = price(&p.supply.Ask, &p.shape.Need, p.shape.RunSeconds)
		p.quotedCost = cost(p.quotedPrice, p.supply.penalty)
		p.quoted = true
	}
}

func (p *pair) price() int64 { p.quote(); return p.quotedPrice }
func (p *pair) cost() int64  { p.quote(); return p.quotedCost }

// inScope lists the conditions of one scope, in order.
func inScope(of scope) []func(*pair) bool {
	var out []func(*pair) bool
	for _, row := range rules {
		if row.scope == of {
			out = append(out, row.holds)
		}
	}
	return out
}

func (p *pair) all(conditions []func(*pair) bool) bool {
	for _, holds := range conditions {
		if !holds(p) {
			return false
		}
	}
	return true
}

// failed is the set of rules that do not hold, bit r for rule r.
func (p *pair) failed() uint32 {
	set := uint32(0)
	for r := Rule(1); r < NumRules; r++ {
		if !rules[r].holds(p) {
			set |= 1 << r
		}
	}
	return set
}

// lowestRule is the first rule, in order, of a set; 0 of the empty set.
func lowestRule(failed uint32) Rule {
	for r := Rule(1); r < NumRules; r++ {
		if failed&(1<<r) != 0 {
			return r
		}
	}
	return 0
}
