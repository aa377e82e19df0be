package packing

// Options steer one Solve.
type Options struct {
	// MaxSteps bounds the search: edges looked at and moves tried, never time. What is fixed (one look at every
	// item of the problem, one Bound) is not counted. 0 or less is no search at all.
	MaxSteps int64
	// Warm are prices to begin with, one Vector per bin, from the last clearing; nil begins cold.
	Warm []Vector
	// Start is a feasible count per edge, or nil. The result is never worse than it.
	Start []int64
}

// DefaultSteps is about 100 ms on one slow core, of a book of 200 classes and 1,000 bins.
const DefaultSteps = int64(4_000_000)

// Result is what a Solve found.
type Result struct {
	Count   []int64  // shards per edge; feasible
	Welfare int64    // sum over shards of value - cost
	Price   []Vector // per bin and resource, in 1/PriceScale money per unit, 0 to MaxPrice
	Bound   int64    // Bound(p, Price); no allocation has more welfare
	Steps   int64    // taken
	Cut     bool     // MaxSteps ended the search; false when nothing was left to try
}

// Solve looks for an allocation of great welfare and for prices that prove how good it is. It is a function of
// its arguments alone. An error wraps ErrProblem, ErrPrices or ErrStart and comes with no result.
func Solve(p *Problem, opt Options) (Result, error) {
	if err := p.Validate(); err != nil {
		return Result{}, err
	}
	best := Result{Count: make([]int64, len(p.Edges)), Price: make([]Vector, len(p.Bins))}
	if opt.Start != nil {
		welfare, err := Evaluate(p, opt.Start)
		if err != nil {
			return Result{}, err
		}
		copy(best.Count, opt.Start)
		best.Welfare = welfare
	}
	var err error
	if best.Bound, err = Bound(p, best.Price); err != nil {
		return Result{}, err
	}
	if opt.Warm != nil {
		bound, err := Bound(p, opt.Warm)
		if err != nil {
			return Result{}, err
		}
		best.offerPrices(opt.Warm, bound)
	}
	r := run{market: newMarket(p), opt: &opt, best: &best}
	r.offer(make([]int64, len(p.Edges)))
	if opt.MaxSteps > 0 && best.Welfare < best.Bound {
		r.search()
	}
	return best, nil
}

func (r *Result) offerPrices(prices []Vector, bound int64) {
	if bound < r.Bound {
		r.Bound = bound
		copy(r.Price, prices)
	}
}

// run is one Solve under way.
type run struct {
	*market
	opt  *Options
	best *Result
}

// offer takes counts over arcs, completes them with outside options and keeps them when they are best. It
// returns their welfare.
func (r *run) offer(count []int64) int64 {
	full := append([]int64(nil), count...)
	r.settle(full)
	welfare, err := Evaluate(r.p, full)
	if err == nil && welfare > r.best.Welfare {
		r.best.Count, r.best.Welfare = full, welfare
	}
	return welfare
}

// dualPart is the part of the budget that the search for prices may take, in hundredths.
const dualPart = 60

func (r *run) search() {
	total := r.opt.MaxSteps
	w := &meter{left: total * dualPart / 100}
	d := newClassDual(r.market)
	r.dual(d, w)
	w.left += total - total*dualPart/100
	if w.left > 0 && len(d.order) > 0 {
		r.primal(d, w)
	}
	r.best.Steps = w.used
	r.best.Cut = w.left <= 0
}

// fewBins says that prices per bin are fewer unknowns than prices per class.
func (r *run) fewBins() bool { return len(r.p.Bins)*r.nres <= r.classes }

func (r *run) dual(d *classDual, w *meter) {
	if r.fewBins() {
		b := newBinDual(r.market)
		if r.opt.Warm != nil {
			b.start(r.best.Price, r.best.Bound)
		}
		const rounds = 600
		limit := min(int64(rounds), w.left/int64(len(r.p.Edges)+len(r.p.Bins)+1))
		b.run(int(limit), int(limit/16)+1, w)
		r.best.offerPrices(b.best, b.bound)
		return
	}
	first := int64(rateOne)
	if r.opt.Warm != nil {
		d.startWarm(r.opt.Warm)
		first = rateOne / 8
	} else {
		d.startCold()
	}
	// What one pass costs: the lists, about three times, and a part of all arcs.
	perPass := int64(len(d.order))*3*listSize/4 + int64(len(r.arcs)/refreshPeriod) + 1
	passes := max(4, min(200, (w.left-4*int64(len(r.arcs)))/perPass))
	d.run(int(passes), first, first/16, w)
	prices := d.prices(w)
	if bound, err := Bound(r.p, prices); err == nil {
		r.best.offerPrices(prices, bound)
	}
}

func (r *run) primal(d *classDual, w *meter) {
	s := newImprover(d, r.best.Price, w)
	s.construct(d, rateOne, 1, w)
	s.sweeps(d.order, w)
	r.offer(s.count)
	if r.opt.Start != nil {
		if own := s.welfare; own < r.best.Welfare {
			z := newImprover(d, r.best.Price, w)
			z.load(r.opt.Start)
			z.sweeps(d.order, w)
			if z.welfare > own {
				s = z
			}
		}
	}
	goOn := fitsTabu(r.market, w.left)
	if goOn && !r.fewBins() {
		half := meter{left: w.left / 2}
		w.left -= half.left
		s.mixes(d.order, r.best.Bound, &half)
		w.left += half.left
		w.used += half.used
	}
	if r.offer(s.count); goOn {
		r.walks(w)
		return
	}
	s.mixes(d.order, r.best.Bound, w)
	r.offer(s.count)
}

// walks runs tabu searches from the best allocation, with all places that may matter and with a part of them in
// turn: a narrow search is deeper, a wide one sees more. Where bins are few, each is followed by a longer search
// over subsets of bins, which finds most of what can still be found.
func (r *run) walks(w *meter) {
	const (
		leastWalk = 1_000 // rounds of one tabu search, a quarter of it where subsets follow
		slices    = 16    // tabu searches in a large budget, four times as many where subsets follow
		deepTimes = 7     // what a search over subsets may take, in tabu searches
	)
	narrow := [...]int64{1, 8, 12, 6, 16, 10, 4, 20}
	slice := max(scanSteps(int64(len(r.value)))*leastWalk, w.left/slices)
	deep := len(r.p.Bins) <= deepenBins
	if deep {
		slice = min(slice, w.left)/4 + 1
	}
	for k := 0; w.left > 0 && r.best.Welfare < r.best.Bound; k++ {
		before := w.used
		r.walk(narrow[k%len(narrow)], slice, w, (*tabu).run)
		if deep && w.left > 0 {
			r.walk(1, slice*deepTimes, w, (*tabu).deepen)
		}
		if w.used == before {
			w.spend(1)
			if k >= len(narrow) {
				return
			}
		}
	}
}

// walk runs one search of at most so many steps from the best allocation, over the places that lose up to a part
// of the gap.
func (r *run) walk(part, steps int64, w *meter, search func(t *tabu, floor int64, w *meter)) {
	gap := min(r.best.Bound-r.best.Welfare, MaxMoney)
	t := newTabu(r.market, r.best.Price, r.best.Count, gap<<PriceBits/part)
	one := meter{left: min(steps, w.left)}
	search(t, t.cost-gap<<tabuShift, &one)
	w.spend(one.used)
	r.offer(t.count())
}
