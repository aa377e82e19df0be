package types

import (
	"github.com/nexara/nexara/x/nexcore/bond"
)

// DefaultGenesis is a registry without NexCores.
func DefaultGenesis() *GenesisState {
	return &GenesisState{
		Params: DefaultParams(), NextNexcoreId: FirstID, NextLockId: FirstID, NextUnbondingId: FirstID,
	}
}

// genesisSums collects what the records of one NexCore add up to.
type genesisSums struct {
	index             int
	locked, unbonding int64
}

// Validate checks that the records are well formed and agree with each other: the money law at height 0.
func (g *GenesisState) Validate() error {
	if err := g.Params.Validate(); err != nil {
		return err
	}
	if g.NextNexcoreId < FirstID || g.NextLockId < FirstID || g.NextUnbondingId < FirstID {
		return ErrGenesis.Wrapf("numbers start at %d", FirstID)
	}
	sums := make(map[uint64]*genesisSums, len(g.Nexcores))
	nodes := make(map[string]bool, len(g.Nexcores))
	total := int64(0)
	for i := range g.Nexcores {
		n := &g.Nexcores[i]
		if err := n.validate(g.Params, g.NextNexcoreId); err != nil {
			return err
		}
		if sums[n.Id] != nil || nodes[n.NodeAddress] {
			return ErrGenesis.Wrapf("NexCore %d or its node key stands twice", n.Id)
		}
		sums[n.Id], nodes[n.NodeAddress] = &genesisSums{index: i}, true
		var err error
		if total, err = bond.Sum(total, n.Bond+n.Unbonding); err != nil {
			return ErrGenesis.Wrap(err.Error())
		}
	}
	if err := g.sumLocks(sums); err != nil {
		return err
	}
	if err := g.sumUnbondings(sums); err != nil {
		return err
	}
	for i := range g.Nexcores {
		n := g.Nexcores[i]
		if s := sums[n.Id]; s.locked != n.Locked || s.unbonding != n.Unbonding {
			return ErrGenesis.Wrapf("NexCore %d: locks are %d of %d, unbondings %d of %d",
				n.Id, s.locked, n.Locked, s.unbonding, n.Unbonding)
		}
	}
	return nil
}

func (g *GenesisState) sumLocks(sums map[uint64]*genesisSums) error {
	seen := make(map[uint64]bool, len(g.Locks))
	for _, l := range g.Locks {
		s := sums[l.NexcoreId]
		if s == nil || seen[l.Id] || l.Id < FirstID || l.Id >= g.NextLockId || l.Amount < 0 {
			return ErrGenesis.Wrapf("lock %d of NexCore %d", l.Id, l.NexcoreId)
		}
		if g.Nexcores[s.index].Status == STATUS_DEREGISTERED {
			return ErrGenesis.Wrapf("lock %d of NexCore %d, which left", l.Id, l.NexcoreId)
		}
		seen[l.Id] = true
		var err error
		if s.locked, err = bond.Sum(s.locked, l.Amount); err != nil {
			return ErrGenesis.Wrap(err.Error())
		}
	}
	return nil
}

func (g *GenesisState) sumUnbondings(sums map[uint64]*genesisSums) error {
	seen := make(map[uint64]bool, len(g.Unbondings))
	for _, u := range g.Unbondings {
		s := sums[u.NexcoreId]
		if s == nil || seen[u.Id] || u.Id < FirstID || u.Id >= g.NextUnbondingId || u.Amount < 1 ||
			u.CompleteTime < 0 || u.Operator != g.Nexcores[s.index].Operator {
			return ErrGenesis.Wrapf("unbonding %d of NexCore %d", u.Id, u.NexcoreId)
		}
		seen[u.Id] = true
		var err error
		if s.unbonding, err = bond.Sum(s.unbonding, u.Amount); err != nil {
			return ErrGenesis.Wrap(err.Error())
		}
	}
	return nil
}

// validate checks one record alone.
func (n *NexCore) validate(p Params, next uint64) error {
	if n.Id < FirstID || n.Id >= next {
		return ErrGenesis.Wrapf("NexCore number %d, allowed are %d to %d", n.Id, FirstID, next-1)
	}
	if err := checkAddress("operator", n.Operator); err != nil {
		return ErrGenesis.Wrapf("NexCore %d: %s", n.Id, err)
	}
	if err := checkPubkey(n.NodePubkey); err != nil {
		return ErrGenesis.Wrapf("NexCore %d: %s", n.Id, err)
	}
	if n.NodeAddress != NodeAddress(n.NodePubkey) || n.NodeAddress == n.Operator {
		return ErrGenesis.Wrapf("NexCore %d: node address is not of its node key, or is the operator's", n.Id)
	}
	if err := n.Spec.Validate(p); err != nil {
		return ErrGenesis.Wrapf("NexCore %d: %s", n.Id, err)
	}
	if err := n.Account().Check(); err != nil {
		return ErrGenesis.Wrapf("NexCore %d: %s", n.Id, err)
	}
	switch n.Status {
	case STATUS_ACTIVE, STATUS_DRAINING, STATUS_JAILED:
	case STATUS_DEREGISTERED:
		if n.Bond != 0 || n.Unbonding == 0 {
			return ErrGenesis.Wrapf("NexCore %d left but has a bond, or no unbonding", n.Id)
		}
	default:
		return ErrGenesis.Wrapf("NexCore %d: status %d", n.Id, n.Status)
	}
	if n.RegisteredHeight < 0 || n.JailedUntil < 0 || len(n.JailReason) > MaxReasonBytes {
		return ErrGenesis.Wrapf("NexCore %d: heights or reason of jail", n.Id)
	}
	return nil
}

// Account is the money of the record, for the pure room.
func (n *NexCore) Account() bond.Account {
	return bond.Account{Bond: n.Bond, Locked: n.Locked, Unbonding: n.Unbonding}
}

// SetAccount writes the money back.
func (n *NexCore) SetAccount(a bond.Account) {
	n.Bond, n.Locked, n.Unbonding = a.Bond, a.Locked, a.Unbonding
}
