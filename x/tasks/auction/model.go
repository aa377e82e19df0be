// Package auction is the market's clearing: it takes the book of one block (shapes, supplies, entries, a
// seed) and says which shards go to which NexCore at which price. It is pure: values in, values out, integers
// only. It never reads a clock, a store or a network, never moves money, never ranges over a map, starts no
// goroutine and panics on no input. The keeper of x/tasks loads a Book, calls NewModel, Solver.Solve and Check,
// and writes leases from the matches; the why-not query calls Explain on a model made the same way.
//
// Units: money is in micro-NEX (unex, int64), asks are in anex (10^-12 unex) per unit and second.
package auction

// Indices of a Resources vector.
const (
	CPUMilli  = 0 // thousandths of a core
	MemoryMiB = 1 // MiB
	DiskMiB   = 2 // MiB
	GPUs      = 3 // count
	// NumResources is the length of a Resources vector.
	NumResources = 4
)

// Resources is a vector of needs or of capacity, indexed by CPUMilli, MemoryMiB, DiskMiB and GPUs.
type Resources [NumResources]int64

// Fits says whether one unit of r fits into free.
func (r *Resources) Fits(free *Resources) bool {
	return r[0] <= free[0] && r[1] <= free[1] && r[2] <= free[2] && r[3] <= free[3]
}

// ResourceName is the name that jobs use for resource i, empty for an index that is none.
func ResourceName(i int) string {
	switch i {
	case CPUMilli:
		return "cpu_milli"
	case MemoryMiB:
		return "memory_mib"
	case DiskMiB:
		return "disk_mib"
	case GPUs:
		return "gpus"
	}
	return ""
}

// Ask is a price per unit of each resource and second, in anex.
type Ask [NumResources]uint64

// Shape is what one shard needs: a demand class, without its limit. Two shapes with the same Encode are one.
type Shape struct {
	Need        Resources // of one shard
	Runtime     string    // exactly one, not empty
	Arch        string    // empty: any
	Regions     []string  // accepted region cells, strictly ascending; empty: any
	GPUModel    string    // empty: any; only with Need[GPUs] > 0
	Network     bool      // whether the shard needs outgoing network
	RunSeconds  int64     // declared run time of one shard, paid in full
	MinScorePPM int64     // least score accepted, in millionths
}

// Supply is what one NexCore offers now. It is a node of its own: machine boundaries are never merged.
// Free, FreeBond and LeaseSlots may be negative (an operator lowered what is in use): then nothing fits.
type Supply struct {
	ID       uint64 // the NexCore's number
	Operator string // who owns it; carried for the records, no rule reads it

	Active   bool // has a standing offer
	Expired  bool // the offer's expiry has passed
	Paused   bool // backs off after a decline or silence
	Draining bool // takes no new leases
	Jailed   bool // out of the market

	Capacity  Resources // the whole vector offered, used or not
	Free      Resources // Capacity less what live leases hold
	Ask       Ask       // in force now
	AskHeight int64     // the block in which Ask was committed

	Runtimes      []string // accepted, any order
	Arch          string   // empty: unknown, serves shapes of any arch only
	Region        string   // empty: unknown, serves shapes of any region only
	GPUModel      string   // of the Capacity[GPUs] accelerators offered
	Network       bool     // whether runs may have outgoing network
	MaxRunSeconds int64    // bounds one shard

	FreeBond   int64 // bond under no lock, unex
	LeaseSlots int64 // cap of concurrent leases less the live ones
	ScorePPM   int64 // L, the lower confidence bound of its score, in millionths
}

// Entry is a run of neighbouring open shards of one job that are alike.
type Entry struct {
	JobID         uint64
	First         int64    // index of the first shard
	Count         int64    // how many shards
	ShapeIndex    int      // into Book.Shapes; into Model.Shapes for an entry read from a Model
	Limit         int64    // all-in limit per shard, after book charges, unex
	VisibleBefore int64    // asks with AskHeight < VisibleBefore are visible
	Excluded      []uint64 // NexCores that failed these shards, strictly ascending
}

// Params are the governed numbers of a clearing. Validate gives their bounds.
type Params struct {
	BurnPPM     int64 // burn on top of each price, in millionths of it
	PenaltyKPPM int64 // k of the score penalty price*k*(10^6-L)/10^12, in millionths
	LockPPM     int64 // bond locked per lease, in millionths of its whole payment
	LeaseMax    int64 // most shards of one lease
	MaxShapes   int64 // shapes one clearing covers
	MaxSupplies int64 // NexCores one clearing covers
	MaxEntries  int64 // entries one clearing covers
	MaxShards   int64 // shards one clearing covers
	MaxMatches  int64 // leases one clearing makes
}

// DefaultParams are the starting values.
func DefaultParams() Params {
	return Params{
		BurnPPM:     50_000,
		PenaltyKPPM: 500_000,
		LockPPM:     PPM,
		LeaseMax:    256,
		MaxShapes:   256,
		MaxSupplies: 1_024,
		MaxEntries:  12_000,
		MaxShards:   BoundShards,
		MaxMatches:  1_000,
	}
}

// Book is the input of one clearing, in any order. NewModel copies what it keeps.
type Book struct {
	Params   Params
	Seed     [32]byte // a state value mixed each block; decides ties and subsets
	Hints    []Hint   // prices of the clearing before: where a solver starts; they change no rule
	Shapes   []Shape
	Supplies []Supply
	Entries  []Entry
}

// Coverage says which part of the book a clearing looked at; the rule is in cover.go and the README.
// Totals count valid items; a shape no valid entry uses is not counted.
type Coverage struct {
	Shapes, ShapesTotal     int64
	Supplies, SuppliesTotal int64
	Entries, EntriesTotal   int64
	Shards, ShardsTotal     int64
}

// Truncated says that the book was larger than a clearing may be.
func (c Coverage) Truncated() bool {
	return c.Shapes < c.ShapesTotal || c.Supplies < c.SuppliesTotal || c.Entries < c.EntriesTotal || c.Shards < c.ShardsTotal
}

// ItemKind says what a Rejection is about.
type ItemKind uint8

// Kinds of items of a book.
const (
	ShapeItem ItemKind = iota + 1
	SupplyItem
	EntryItem
)

// Rejection is an item of the book that was left out because it breaks a bound. One bad item never
// stops a clearing.
type Rejection struct {
	Kind  ItemKind
	ID    uint64 // index in Book.Shapes, NexCore number, or job number
	First int64  // of an entry
	Err   error  // wraps a sentinel of this package
}

// Edge says that a NexCore can take a shard of a shape: every rule that does not depend on the entry
// holds, and the dearest entry of the shape can pay it.
type Edge struct {
	Price  int64  // per shard, paid to the operator, unex
	Cost   int64  // Price plus money-valued penalties, unex: what ranks
	Tie    uint64 // orders edges of equal cost; distinct inside a shape
	Supply int32  // index into Model.Supplies
	Level  int32  // the least visibility level of an entry that sees this ask
}

// Model is a validated book in canonical order with its edges. It is immutable and may be read by
// several solvers; slices it returns must not be changed.
type Model struct {
	params   Params
	coverage Coverage
	rejected []Rejection
	shapes   []shapeRow  // ascending by digest
	supplies []supplyRow // ascending by ID
	ids      []uint64    // of supplies
	asked    []int64     // of supplies, the height of the ask
	entries  []entryRow  // ascending by (JobID, First)
	edges    []Edge      // of all shapes, each shape's a run
	classes  []classRow  // ascending by shape, then by excluded NexCores
	hints    []Hint      // ascending by NexCore
	slots    []int64     // of each supply, how many shards it can hold at most, whatever their mix
	uniform  bool        // every NexCore sees needs of one kind only
	looks    int64       // steps of one look at every edge of every class, every entry and every supply
}

// Params returns the parameters the model was made with.
func (m *Model) Params() Params { return m.params }

// Coverage says which part of the book the model covers.
func (m *Model) Coverage() Coverage { return m.coverage }

// Rejected lists the items of the book that were left out.
func (m *Model) Rejected() []Rejection { return m.rejected }

// NumShapes is how many shapes are covered; they are in ascending order of digest.
func (m *Model) NumShapes() int { return len(m.shapes) }

// Shape returns covered shape i and its digest.
func (m *Model) Shape(i int) (Shape, [32]byte) { return m.shapes[i].Shape, m.shapes[i].digest }

// Edges returns the edges of shape i, ascending by supply.
func (m *Model) Edges(i int) []Edge { return m.edges[m.shapes[i].edgeFrom:m.shapes[i].edgeTo] }

// NumEdges is how many edges the model has.
func (m *Model) NumEdges() int { return len(m.edges) }

// NumSupplies is how many NexCores are covered; they are in ascending order of ID.
func (m *Model) NumSupplies() int { return len(m.supplies) }

// Supply returns covered supply i.
func (m *Model) Supply(i int) Supply { return m.supplies[i].Supply }

// NumEntries is how many entries are covered; they are in ascending order of (JobID, First).
func (m *Model) NumEntries() int { return len(m.entries) }

// Entry returns covered entry i and its usable limit per shard (the limit less the burn it must leave room for).
func (m *Model) Entry(i int) (e Entry, usable int64) { return m.entries[i].Entry, m.entries[i].usable }

// Admits says whether the rules that depend on the entry hold between entry i and an edge of its shape.
func (m *Model) Admits(i int, e *Edge) bool {
	entry := &m.entries[i]
	return e.Cost <= entry.usable && e.Level <= entry.level && !entry.excludes(m.supplies[e.Supply].ID)
}
