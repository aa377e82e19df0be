package types

// Fact is one objective outcome as the market reports it; the keeper turns it into an Outcome record.
type Fact struct {
	// NexCoreID, Operator and Requester are the parties of the lease.
	NexCoreID uint64
	Operator  string
	Requester string
	// Dimension says which score moves and Good which way.
	Dimension Dimension
	Good      bool
	// AboutRequester says that the requester's score moves, not the NexCore's.
	AboutRequester bool
	// Burn is the burn of the shards concerned, in micro-NEX: it sets the weight.
	Burn int64
	// LeaseID and Reason say what happened.
	LeaseID uint64
	Reason  string
}
