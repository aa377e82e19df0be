package types

// Events are for watchers; they only wake and explain. State is the truth.
const (
	EventRegistered = "nexara_nexcore_registered"
	EventUpdated    = "nexara_nexcore_updated"
	EventStatus     = "nexara_nexcore_status"
	EventRemoved    = "nexara_nexcore_removed"
	EventBonded     = "nexara_bond_added"
	EventSlashed    = "nexara_bond_slashed"
	EventUnbonding  = "nexara_unbonding_started"
	EventUnbonded   = "nexara_unbonding_paid"
	EventPostponed  = "nexara_unbonding_postponed"
	EventParams     = "nexara_nexcore_params"
)
