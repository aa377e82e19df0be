package types

// Events are for watchers. EventOutcome repeats every outcome record whole, with what its weight was
// computed from, so that anyone can recompute all scores and check the block's hash.
const (
	EventOutcome = "nexara_outcome"
	EventHash    = "nexara_outcomes_hash"
	EventParams  = "nexara_reputation_params"
)
