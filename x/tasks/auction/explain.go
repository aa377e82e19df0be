package auction

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ErrNotCovered says that the model covers no entry that starts with the shard asked about.
var ErrNotCovered = errors.New("not in the model")

// FieldWait is the Field of a Relaxation that asks for time and not for a change of the job.
const FieldWait = "wait"

// FieldView is the Field of a Relaxation that asks for a newer view of the asks: whoever tops a job up, or
// submits it anew, accepts those of that block. Its values are blocks.
const FieldView = "view_height"

// RuleCount says how many of the covered NexCores a rule excludes.
type RuleCount struct {
	Rule  Rule
	First int64 // NexCores for which it is the first rule, in order, that does not hold
	Total int64 // NexCores for which it does not hold
}

// Relaxation is one change of one field of the job after which at least one NexCore could take a shard now,
// all other things being equal.
type Relaxation struct {
	Rule      Rule   // the first rule that it mends
	Field     string // of the job: limit, regions, arch, gpu_model, network, run_seconds, min_score_ppm, a resource name; FieldView or FieldWait
	From, To  string // values as text; an empty list or name is "any"; both empty for FieldWait
	NexCoreID uint64 // who would take it
	Price     int64  // per shard to the operator, unex
	AllIn     int64  // Price and burn: what the requester would pay per shard, unex
}

// Reasons answer why an entry has no match.
type Reasons struct {
	JobID    uint64
	First    int64
	Supplies int64               // NexCores looked at
	Eligible int64               // NexCores that could take a shard of it now
	Rules    [NumRules]RuleCount // indexed by Rule; the zero rule is empty
	Changes  []Relaxation        // the mildest change of each field, cheapest AllIn first; empty when Eligible > 0
	Wait     *Relaxation         // cheapest NexCore that only time keeps away; nil if there is none
	Outbid   *Relaxation         // least limit that would have won room in the clearing of the book's hints; nil without scarcity
}

// Cheapest is the single relaxation to show: the change of least AllIn, else the wait, else nil.
func (r *Reasons) Cheapest() *Relaxation {
	if len(r.Changes) > 0 {
		return &r.Changes[0]
	}
	if r.Eligible == 0 {
		return r.Wait
	}
	return nil
}

// Explain says for the entry that starts with a shard which rule keeps how many NexCores away and which single
// change would match now. It looks at the book as it is: make the model from the state after a clearing.
// Work is O(supplies * fields * rules). The limits it gives are, as Entry.Limit is, after book charges.
func Explain(m *Model, job uint64, first int64) (Reasons, error) {
	at := m.find(job, first)
	if at < 0 {
		return Reasons{}, fmt.Errorf("%w: job %d shard %d", ErrNotCovered, job, first)
	}
	entry := &m.entries[at]
	out := Reasons{JobID: job, First: first, Supplies: int64(len(m.supplies))}
	for r := range out.Rules {
		out.Rules[r].Rule = Rule(r)
	}
	var best [numFields]found
	for i := range m.supplies {
		p := pair{params: &m.params, shape: &m.shapes[entry.ShapeIndex], supply: &m.supplies[i], entry: entry}
		failed := p.failed()
		if failed == 0 {
			out.Eligible++
			continue
		}
		counted := false
		for r := Rule(1); r < NumRules; r++ {
			if failed&(1<<r) == 0 {
				continue
			}
			out.Rules[r].Total++
			if !counted {
				out.Rules[r].First++
				counted = true
			}
		}
		if failed&^timely == 0 {
			out.offerWait(&p, failed)
		}
		if failed&(1<<RuleFreeCapacity) != 0 && failed&^(timely|1<<RulePrice) == 0 {
			m.offerOutbid(&out, &p)
		}
		for f := range best {
			if c, ok := relax(&p, field(f), failed); ok && (!best[f].ok || c.before(&best[f])) {
				best[f] = c
			}
		}
	}
	if out.Eligible > 0 {
		return out, nil
	}
	for f := range best {
		if best[f].ok {
			out.Changes = append(out.Changes, best[f].Relaxation)
		}
	}
	slices.SortStableFunc(out.Changes, func(a, b Relaxation) int {
		return cmp.Or(cmp.Compare(a.AllIn, b.AllIn), cmp.Compare(a.Rule, b.Rule))
	})
	return out, nil
}

// timely are the rules that time alone mends. Free bond is none: the whole bond may be too small. A raised ask is
// none either: it never reaches a job that waited when it was raised.
const timely = uint32(1<<RuleNotPaused | 1<<RuleFreeCapacity | 1<<RuleLeaseSlots)

func (r *Reasons) offerWait(p *pair, failed uint32) {
	all := p.price() + Burn(p.price(), p.params.BurnPPM)
	if r.Wait == nil || all < r.Wait.AllIn {
		r.Wait = &Relaxation{Rule: lowestRule(failed), Field: FieldWait, NexCoreID: p.supply.ID, Price: p.price(), AllIn: all}
	}
}

// offerOutbid prices what others won: room that was scarce in the clearing before had a price, and a limit above
// cost and the greatest such price, what the last winner would have paid, would have had it.
func (m *Model) offerOutbid(out *Reasons, p *pair) {
	at, found := slices.BinarySearchFunc(m.hints, p.supply.ID, func(h Hint, id uint64) int { return cmp.Compare(h.NexCoreID, id) })
	if !found {
		return
	}
	need := m.needOf(&m.classes[p.entry.class], p.price())
	rent := rentOf(&m.hints[at].Prices, &need)
	beats := p.cost() + int64(rent>>priceShift) + m.hints[at].Width + 1
	limit := LeastLimit(beats, p.params.BurnPPM)
	if rent == 0 || beats > MaxLimit || limit > MaxLimit || limit <= p.entry.Limit || out.Outbid != nil && limit >= out.Outbid.AllIn {
		return
	}
	out.Outbid = &Relaxation{
		Rule: RuleFreeCapacity, Field: "limit", From: strconv.FormatInt(p.entry.Limit, 10), To: strconv.FormatInt(limit, 10),
		NexCoreID: p.supply.ID, Price: p.price(), AllIn: limit,
	}
}

// field is a part of a job that a requester can relax. The runtime is none: another runtime is another program.
type field int

const (
	fieldLimit field = iota
	fieldArch
	fieldRegions
	fieldGPUModel
	fieldNetwork
	fieldRunSeconds
	fieldMinScore
	fieldView
	fieldNeed // and one more for each resource
	numFields = fieldNeed + NumResources
)

// found is a relaxation with how much of the old value is given up; 0 where that has no measure.
type found struct {
	Relaxation
	ok   bool
	lost int64
}

// before prefers to give up little, then to pay little; the NexCore of lower number was seen first.
func (f *found) before(g *found) bool {
	if f.lost != g.lost {
		return f.lost < g.lost
	}
	return f.AllIn < g.AllIn
}

// relax changes one field just far enough for the pair's NexCore and asks all rules again. A need or a run
// time is cut for what a machine or its bond cannot hold, not to get under a limit: there the limit is the field.
func relax(p *pair, f field, failed uint32) (found, bool) {
	shape, entry, supply := *p.shape, *p.entry, p.supply
	changed := func() pair { return pair{params: p.params, shape: &shape, supply: supply, entry: &entry} }
	matches := func() bool { c := changed(); return c.failed() == 0 }
	broken := func(r Rule) bool { return failed&(1<<r) != 0 }
	out := found{Relaxation: Relaxation{NexCoreID: supply.ID}, ok: true}
	number := func(rule Rule, name string, from, to int64) {
		out.Rule, out.Field, out.From, out.To = rule, name, strconv.FormatInt(from, 10), strconv.FormatInt(to, 10)
		out.lost = max(from-to, to-from)
	}
	switch {
	case f == fieldLimit && broken(RulePrice):
		entry.Limit = LeastLimit(p.cost(), p.params.BurnPPM)
		entry.usable = Usable(entry.Limit, p.params.BurnPPM)
		if entry.Limit > MaxLimit {
			return found{}, false
		}
		number(RulePrice, "limit", p.entry.Limit, entry.Limit)
	case f == fieldArch && broken(RuleArch) && supply.Arch != "":
		out.Rule, out.Field, out.From, out.To = RuleArch, "arch", shape.Arch, supply.Arch
		shape.arch = supply.arch
	case f == fieldRegions && broken(RuleRegion) && supply.Region != "" && len(shape.Regions) < MaxRegions:
		to := append(slices.Clone(shape.Regions), supply.Region)
		slices.Sort(to)
		out.Rule, out.Field, out.From, out.To = RuleRegion, "regions", strings.Join(shape.Regions, ","), strings.Join(to, ",")
		shape.regions = append(slices.Clone(shape.regions), supply.region)
	case f == fieldGPUModel && broken(RuleGPUModel):
		out.Rule, out.Field, out.From, out.To = RuleGPUModel, "gpu_model", shape.GPUModel, cmp.Or(supply.GPUModel, "any")
		shape.gpuModel = supply.gpuModel
	case f == fieldNetwork && broken(RuleNetwork):
		out.Rule, out.Field, out.From, out.To = RuleNetwork, "network", "true", "false"
		shape.Network = false
	case f == fieldMinScore && broken(RuleScore):
		number(RuleScore, "min_score_ppm", shape.MinScorePPM, supply.ScorePPM)
		shape.MinScorePPM = supply.ScorePPM
	case f == fieldView && broken(RuleAskVisible):
		out.Rule, out.Field = RuleAskVisible, FieldView
		out.From, out.To = strconv.FormatInt(entry.VisibleBefore, 10), strconv.FormatInt(supply.AskHeight+1, 10)
		entry.VisibleBefore = supply.AskHeight + 1
	case f == fieldRunSeconds && (broken(RuleRunSeconds) || broken(RuleFreeBond)):
		shape.RunSeconds = largest(min(shape.RunSeconds, supply.MaxRunSeconds), func(v int64) bool {
			shape.RunSeconds = v
			return matches()
		})
		if shape.RunSeconds == 0 {
			return found{}, false
		}
		number(lowestRule(failed&(1<<RuleRunSeconds|1<<RuleFreeBond)), "run_seconds", p.shape.RunSeconds, shape.RunSeconds)
	case f >= fieldNeed && (broken(RuleCapacityTotal) || broken(RuleFreeCapacity) || broken(RuleFreeBond)):
		r := int(f - fieldNeed)
		shape.Need[r] = largest(min(shape.Need[r], supply.Free[r]), func(v int64) bool {
			shape.Need[r] = v
			return matches()
		})
		if shape.Need[r] == 0 {
			return found{}, false
		}
		rule := lowestRule(failed & (1<<RuleCapacityTotal | 1<<RuleFreeCapacity | 1<<RuleFreeBond))
		number(rule, ResourceName(r), p.shape.Need[r], shape.Need[r])
	default:
		return found{}, false
	}
	c := changed()
	if c.failed() != 0 {
		return found{}, false
	}
	out.Price = c.price()
	out.AllIn = out.Price + Burn(out.Price, p.params.BurnPPM)
	return out, true
}

// largest is the greatest v in 1..top that holds, 0 if none does. What holds for v holds for all below: a
// smaller need or run time never breaks a rule.
func largest(top int64, holds func(int64) bool) int64 {
	if top < 1 || !holds(1) {
		return 0
	}
	low, high := int64(1), top+1 // low holds, high is out of range or does not
	for high-low > 1 {
		if half := low + (high-low)/2; holds(half) {
			low = half
		} else {
			high = half
		}
	}
	return low
}

// Text says it in a sentence, for people.
func (r *Reasons) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "of %d NexCores %d can take a shard now", r.Supplies, r.Eligible)
	if r.Eligible > 0 {
		return b.String() + "; it waits for its turn in a clearing"
	}
	sep := "; kept away by "
	for _, c := range r.Rules {
		if c.First > 0 {
			fmt.Fprintf(&b, "%s%s (%d)", sep, c.Rule, c.First)
			sep = ", "
		}
	}
	switch c := r.Cheapest(); {
	case c == nil:
		b.WriteString("; no single change of the job would match")
	case c.Field == FieldWait:
		fmt.Fprintf(&b, "; NexCore %d could take it later for %d unex a shard, burn included (%s)", c.NexCoreID, c.AllIn, c.Rule)
	default:
		fmt.Fprintf(&b, "; %s from %s to %s would match for %d unex a shard, burn included", c.Field, c.From, c.To, c.AllIn)
	}
	if o := r.Outbid; o != nil {
		fmt.Fprintf(&b, "; room was scarce in the last clearing: a limit of %s would have won it on NexCore %d", o.To, o.NexCoreID)
	}
	return b.String()
}
