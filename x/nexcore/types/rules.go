package types

import (
	"bytes"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/nexcore/bond"
)

// A message is valid when each of its named rules holds. Rules look at the message and the parameters
// alone; what depends on state is checked in the keeper.

type rule[M any] struct {
	name  string
	check func(M, Params) error
}

func apply[M any](rules []rule[M], m M, p Params) error {
	for _, r := range rules {
		if err := r.check(m, p); err != nil {
			return err
		}
	}
	return nil
}

var registerRules = []rule[*MsgRegister]{
	{"operator", func(m *MsgRegister, _ Params) error { return checkAddress("operator", m.Operator) }},
	{"node_pubkey", func(m *MsgRegister, _ Params) error { return checkPubkey(m.NodePubkey) }},
	{"node_proof", func(m *MsgRegister, _ Params) error {
		if len(m.NodeProof) != SignatureBytes {
			return ErrProof.Wrapf("node_proof has %d bytes, not %d", len(m.NodeProof), SignatureBytes)
		}
		return nil
	}},
	{"spec", func(m *MsgRegister, p Params) error { return m.Spec.Validate(p) }},
	{"bond", func(m *MsgRegister, p Params) error {
		if m.Bond < p.MinBond || m.Bond > bond.Max {
			return ErrBond.Wrapf("bond is %d, allowed are %d to %d unex", m.Bond, p.MinBond, bond.Max)
		}
		return nil
	}},
	{"own_node_key", func(m *MsgRegister, _ Params) error {
		// A hot key that could also move the operator's money would not be one.
		if NodeAddress(m.NodePubkey) == m.Operator {
			return ErrProof.Wrap("the node key must not be the operator's")
		}
		return nil
	}},
}

// Validate checks the named rules of a registration, its proof not included.
func (m *MsgRegister) Validate(p Params) error { return apply(registerRules, m, p) }

// VerifyProof checks that the node key signed this registration on this chain; ErrProof when not.
func (m *MsgRegister) VerifyProof(chainID string) error {
	if err := checkPubkey(m.NodePubkey); err != nil {
		return err
	}
	message, err := bond.Registration{ChainID: chainID, Operator: m.Operator, NodePubkey: m.NodePubkey}.Message()
	if err != nil {
		return ErrProof.Wrap(err.Error())
	}
	key := secp256k1.PubKey{Key: m.NodePubkey}
	if len(m.NodeProof) != SignatureBytes || !key.VerifySignature(message, m.NodeProof) {
		return ErrProof.Wrapf("node_proof does not sign this registration on chain %q", chainID)
	}
	return nil
}

// NodeAddress returns the account of a hot node key of PubkeyBytes.
func NodeAddress(pubkey []byte) string {
	key := secp256k1.PubKey{Key: pubkey}
	return sdk.AccAddress(key.Address()).String()
}

// CheckAmount accepts 1 to the maximum, in micro-NEX.
func CheckAmount(amount int64) error {
	if amount < 1 || amount > denom.MaxUnex {
		return ErrBond.Wrapf("amount is %d, allowed are 1 to %d unex", amount, denom.MaxUnex)
	}
	return nil
}

var specRules = []rule[*Spec]{
	{"peer_ids", func(s *Spec, _ Params) error {
		return checkList("peer_ids", s.PeerIds, 0, MaxPeerIDs, MaxPeerIDBytes, isAlphanumeric)
	}},
	{"multiaddrs", func(s *Spec, _ Params) error {
		return checkList("multiaddrs", s.Multiaddrs, 0, MaxMultiaddrs, MaxMultiaddrBytes, isMultiaddr)
	}},
	{"arch", func(s *Spec, _ Params) error {
		return checkList("arch", []string{s.Arch}, 1, 1, MaxWordBytes, isWord)
	}},
	{"resources", func(s *Spec, _ Params) error {
		for _, b := range []struct {
			name            string
			value, min, max uint64
		}{
			{"cpu_milli", s.CpuMilli, 1, MaxCPUMilli},
			{"memory_mib", s.MemoryMib, 1, MaxMemoryMiB},
			{"disk_mib", s.DiskMib, 0, MaxDiskMiB},
		} {
			if b.value < b.min || b.value > b.max {
				return ErrInvalidSpec.Wrapf("%s is %d, allowed are %d to %d", b.name, b.value, b.min, b.max)
			}
		}
		return nil
	}},
	{"gpus", func(s *Spec, _ Params) error {
		models, sum := make([]string, 0, len(s.Gpus)), uint64(0)
		for _, g := range s.Gpus {
			if g.Count < 1 {
				return ErrInvalidSpec.Wrapf("gpus: none of model %q", clip(g.Model))
			}
			models, sum = append(models, g.Model), sum+uint64(g.Count)
		}
		if sum > MaxGPUs {
			return ErrInvalidSpec.Wrapf("gpus: %d, at most %d", sum, MaxGPUs)
		}
		return checkList("gpus", models, 0, MaxGPUModels, MaxWordBytes, isWord)
	}},
	{"runtimes", func(s *Spec, _ Params) error {
		return checkList("runtimes", s.Runtimes, 1, MaxRuntimes, MaxWordBytes, isWord)
	}},
	{"region", func(s *Spec, _ Params) error {
		return checkList("region", []string{s.Region}, 1, 1, MaxWordBytes, isWord)
	}},
	{"benchmark", func(s *Spec, _ Params) error {
		for _, n := range []uint64{s.Benchmark.SingleCore, s.Benchmark.MultiCore, s.Benchmark.DiskMibS, s.Benchmark.NetMibS} {
			if n > MaxBenchmark {
				return ErrInvalidSpec.Wrapf("benchmark: %d, at most %d", n, MaxBenchmark)
			}
		}
		return nil
	}},
}

// Validate checks the named rules of what a NexCore says about itself.
func (s *Spec) Validate(p Params) error { return apply(specRules, s, p) }

// CheckReason accepts a reason code of other modules.
func CheckReason(reason string) error {
	if len(reason) < 1 || len(reason) > MaxReasonBytes || !isWord(reason) {
		return ErrLimit.Wrapf("reason %q is not a word of 1 to %d bytes", clip(reason), MaxReasonBytes)
	}
	return nil
}

// checkList checks count, length and form of words that must differ. Lists are short: comparing all pairs is cheap.
func checkList(field string, words []string, least, most, maxBytes int, form func(string) bool) error {
	if len(words) < least || len(words) > most {
		return ErrInvalidSpec.Wrapf("%s: %d entries, allowed are %d to %d", field, len(words), least, most)
	}
	for i, w := range words {
		if len(w) < 1 || len(w) > maxBytes {
			return ErrInvalidSpec.Wrapf("%s: an entry has %d bytes, allowed are 1 to %d", field, len(w), maxBytes)
		}
		if !form(w) {
			return ErrInvalidSpec.Wrapf("%s: %q has characters that are not allowed there", field, w)
		}
		for _, other := range words[:i] {
			if w == other {
				return ErrInvalidSpec.Wrapf("%s: %q twice", field, w)
			}
		}
	}
	return nil
}

// isWord accepts lower-case letters, digits, '-', '_' and '.', as the market does.
func isWord(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// isAlphanumeric accepts what base58 and base32 are made of. Whether it is a peer id is for those who dial it.
func isAlphanumeric(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// isMultiaddr accepts visible ASCII that starts with a slash. Whether it can be dialled is for those who dial it.
func isMultiaddr(s string) bool {
	if s[0] != '/' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// checkPubkey accepts the form of a compressed key; that it is on the curve shows when it verifies.
func checkPubkey(key []byte) error {
	if len(key) != PubkeyBytes || !bytes.ContainsAny(key[:1], "\x02\x03") {
		return ErrProof.Wrapf("a compressed secp256k1 key has %d bytes and starts with 02 or 03", PubkeyBytes)
	}
	return nil
}

// checkAddress accepts the one canonical text of an account: a second spelling of it would be a second owner.
func checkAddress(field, address string) error {
	if len(address) > bond.MaxAddressBytes {
		return ErrUnauthorized.Wrapf("%s has %d bytes, at most %d", field, len(address), bond.MaxAddressBytes)
	}
	account, err := sdk.AccAddressFromBech32(address)
	if err != nil || account.String() != address {
		return ErrUnauthorized.Wrapf("%s is not an address", field)
	}
	return nil
}

func clip(s string) string { return s[:min(len(s), MaxReasonBytes)] }
