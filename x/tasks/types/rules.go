package types

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/escrow"
)

// A message is valid when each of its named rules holds. Rules look at the message and the parameters
// alone; what depends on state is checked in the keeper.

type rule[M any] struct {
	name  string
	check func(M, Params) error
}

func apply[M any](rules []rule[M], msg M, p Params) error {
	for _, r := range rules {
		if err := r.check(msg, p); err != nil {
			return err
		}
	}
	return nil
}

// Bounds of a resource vector and of an ask; together with denom.MaxUnex they rule out overflow in the auction.
const (
	MaxCPUMilli  = int64(1_000_000)
	MaxMemoryMiB = int64(1) << 26
	MaxDiskMiB   = int64(1) << 30
	MaxGPUs      = int64(1_024)
	// MaxAsk is one NEX per unit and second, in anex.
	MaxAsk = uint64(1_000_000_000_000_000_000)
)

var submitRules = []rule[*MsgSubmit]{
	{"name", func(m *MsgSubmit, _ Params) error {
		if len(m.Name) > MaxNameBytes {
			return ErrInvalidJob.Wrapf("name has %d bytes, at most %d", len(m.Name), MaxNameBytes)
		}
		// It is printed on operators' terminals, which obey control characters.
		if !utf8.ValidString(m.Name) || strings.ContainsFunc(m.Name, unicode.IsControl) {
			return ErrInvalidJob.Wrap("name has characters that cannot be printed")
		}
		return nil
	}},
	{"shape", func(m *MsgSubmit, p Params) error { return m.Shape.Validate(p) }},
	{"shards", func(m *MsgSubmit, p Params) error {
		if m.Shards < 1 || m.Shards > p.MaxShardsPerJob {
			return ErrInvalidJob.Wrapf("%d shards, allowed are 1 to %d", m.Shards, p.MaxShardsPerJob)
		}
		return nil
	}},
	{"limit", func(m *MsgSubmit, _ Params) error {
		if err := auction.ValidateLimit(m.Limit); err != nil {
			return ErrLimit.Wrap(err.Error())
		}
		if _, err := escrow.Total(m.Shards, m.Limit); err != nil {
			return ErrLimit.Wrapf("limit %d for each of %d shards: the sum must be between 1 and %d unex", m.Limit, m.Shards, denom.MaxUnex)
		}
		return nil
	}},
	{"attempts", func(m *MsgSubmit, p Params) error {
		if m.MaxAttempts < 1 || m.MaxAttempts > p.MaxAttempts {
			return ErrInvalidJob.Wrapf("max_attempts is %d, allowed are 1 to %d", m.MaxAttempts, p.MaxAttempts)
		}
		return nil
	}},
	{"wait", func(m *MsgSubmit, p Params) error {
		if m.WaitBlocks < 1 || m.WaitBlocks > p.MaxWaitBlocks {
			return ErrInvalidJob.Wrapf("wait_blocks is %d, allowed are 1 to %d", m.WaitBlocks, p.MaxWaitBlocks)
		}
		return nil
	}},
	{"spec_cid", func(m *MsgSubmit, _ Params) error { return checkCID("spec_cid", m.SpecCid) }},
	{"image_cid", func(m *MsgSubmit, _ Params) error { return checkCID("image_cid", m.ImageCid) }},
	{"fetch_bytes", func(m *MsgSubmit, _ Params) error {
		if m.FetchBytes < 0 || m.FetchBytes > MaxFetchBytes {
			return ErrInvalidJob.Wrapf("fetch_bytes is %d, allowed are 0 to %d", m.FetchBytes, MaxFetchBytes)
		}
		return nil
	}},
}

// Validate checks the named rules of a submission.
func (m *MsgSubmit) Validate(p Params) error { return apply(submitRules, m, p) }

var topUpRules = []rule[*MsgTopUp]{
	{"limit", func(m *MsgTopUp, _ Params) error {
		// The auction leaves out what is above its own bound: such shards would wait and pay for ever.
		if err := auction.ValidateLimit(m.Limit); err != nil {
			return ErrLimit.Wrap(err.Error())
		}
		return nil
	}},
}

// Validate checks the named rules of a top-up; whether the job's sum fits is checked in the keeper.
func (m *MsgTopUp) Validate(p Params) error { return apply(topUpRules, m, p) }

var offerRules = []rule[*MsgPostOffer]{
	{"ask", func(m *MsgPostOffer, _ Params) error {
		for _, ask := range []uint64{m.Ask.CpuMilli, m.Ask.MemoryMib, m.Ask.DiskMib, m.Ask.Gpu} {
			if ask > MaxAsk {
				return ErrInvalidOffer.Wrapf("an ask of %d anex is above %d", ask, MaxAsk)
			}
		}
		return nil
	}},
	{"capacity", func(m *MsgPostOffer, _ Params) error {
		if err := m.Capacity.check(); err != nil {
			return ErrInvalidOffer.Wrap(err.Error())
		}
		return nil
	}},
	{"runtimes", func(m *MsgPostOffer, _ Params) error {
		if len(m.Runtimes) < 1 || len(m.Runtimes) > MaxRuntimes {
			return ErrInvalidOffer.Wrapf("%d runtimes, allowed are 1 to %d", len(m.Runtimes), MaxRuntimes)
		}
		return checkWords(ErrInvalidOffer, "runtimes", m.Runtimes)
	}},
	{"max_run_seconds", func(m *MsgPostOffer, _ Params) error {
		if m.MaxRunSeconds < 1 || m.MaxRunSeconds > MaxRunSecondsCap {
			return ErrInvalidOffer.Wrapf("max_run_seconds is %d, allowed are 1 to %d", m.MaxRunSeconds, MaxRunSecondsCap)
		}
		return nil
	}},
}

// Validate checks the named rules of an offer.
func (m *MsgPostOffer) Validate(p Params) error { return apply(offerRules, m, p) }

var shapeRules = []rule[*Shape]{
	{"need", func(s *Shape, _ Params) error {
		if err := s.Need.check(); err != nil {
			return ErrInvalidShape.Wrap(err.Error())
		}
		if s.Need.CpuMilli < 1 || s.Need.MemoryMib < 1 {
			return ErrInvalidShape.Wrap("a shard needs at least 1 thousandth of a core and 1 MiB of memory")
		}
		return nil
	}},
	{"runtime", func(s *Shape, _ Params) error { return checkWord(ErrInvalidShape, "runtime", s.Runtime, false) }},
	{"arch", func(s *Shape, _ Params) error { return checkWord(ErrInvalidShape, "arch", s.Arch, true) }},
	{"gpu_model", func(s *Shape, _ Params) error {
		if s.GpuModel != "" && s.Need.Gpus == 0 {
			return ErrInvalidShape.Wrap("gpu_model without gpus")
		}
		return checkWord(ErrInvalidShape, "gpu_model", s.GpuModel, true)
	}},
	{"regions", func(s *Shape, _ Params) error {
		if len(s.Regions) > MaxRegions {
			return ErrInvalidShape.Wrapf("%d regions, at most %d", len(s.Regions), MaxRegions)
		}
		if !sort.StringsAreSorted(s.Regions) {
			return ErrInvalidShape.Wrap("regions are not sorted")
		}
		for i := 1; i < len(s.Regions); i++ {
			if s.Regions[i] == s.Regions[i-1] {
				return ErrInvalidShape.Wrapf("region %q twice", s.Regions[i])
			}
		}
		return checkWords(ErrInvalidShape, "regions", s.Regions)
	}},
	{"run_seconds", func(s *Shape, p Params) error {
		if s.RunSeconds < 1 || s.RunSeconds > p.MaxRunSeconds {
			return ErrInvalidShape.Wrapf("run_seconds is %d, allowed are 1 to %d", s.RunSeconds, p.MaxRunSeconds)
		}
		return nil
	}},
	{"min_score", func(s *Shape, _ Params) error {
		if s.MinScorePpm < 0 || s.MinScorePpm > denom.PPM {
			return ErrInvalidShape.Wrapf("min_score_ppm is %d, allowed are 0 to %d", s.MinScorePpm, denom.PPM)
		}
		return nil
	}},
}

// Validate checks the named rules of a shape.
func (s *Shape) Validate(p Params) error { return apply(shapeRules, s, p) }

// Validate checks the form of a result; bits and custody are checked against the lease by the keeper.
func (r *Result) Validate() error {
	if len(r.Root) != RootBytes {
		return ErrResult.Wrapf("root has %d bytes, not %d", len(r.Root), RootBytes)
	}
	if len(r.Outcomes) == 0 || len(r.Outcomes) > MaxLeaseShards/8 {
		return ErrResult.Wrapf("outcomes has %d bytes, allowed are 1 to %d", len(r.Outcomes), MaxLeaseShards/8)
	}
	if r.Bytes < 0 || r.Bytes > MaxResultBytes {
		return ErrResult.Wrapf("bytes is %d, allowed are 0 to %d", r.Bytes, MaxResultBytes)
	}
	if err := checkCID("cid", r.Cid); err != nil {
		return ErrResult.Wrap(err.Error())
	}
	if len(r.Custody.Signature) != SignatureBytes {
		return ErrCustody.Wrapf("signature has %d bytes, not %d", len(r.Custody.Signature), SignatureBytes)
	}
	if r.Custody.NexcoreId == 0 {
		if err := checkPubkey(r.Custody.GatewayPubkey); err != nil {
			return ErrCustody.Wrap(err.Error())
		}
	}
	return nil
}

func (r Resources) check() error {
	for _, b := range []struct {
		name       string
		value, max int64
	}{
		{"cpu_milli", r.CpuMilli, MaxCPUMilli},
		{"memory_mib", r.MemoryMib, MaxMemoryMiB},
		{"disk_mib", r.DiskMib, MaxDiskMiB},
		{"gpus", r.Gpus, MaxGPUs},
	} {
		if b.value < 0 || b.value > b.max {
			return ErrInvalidShape.Wrapf("%s is %d, allowed are 0 to %d", b.name, b.value, b.max)
		}
	}
	return nil
}

// checkCID accepts the lower-case base32 form of a CIDv1. Whether it can be fetched is for those who fetch it.
func checkCID(field, cid string) error {
	if len(cid) < 8 || len(cid) > MaxCIDBytes || cid[0] != 'b' {
		return ErrInvalidJob.Wrapf("%s is not a CIDv1 in base32", field)
	}
	for i := 1; i < len(cid); i++ {
		if c := cid[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return ErrInvalidJob.Wrapf("%s is not a CIDv1 in base32", field)
		}
	}
	return nil
}

type wrapper interface {
	error
	Wrapf(format string, args ...any) error
}

func checkWords(e wrapper, field string, words []string) error {
	for _, w := range words {
		if err := checkWord(e, field, w, false); err != nil {
			return err
		}
	}
	return nil
}

// checkWord accepts lower-case letters, digits, '-', '_' and '.'.
func checkWord(e wrapper, field, word string, empty bool) error {
	if word == "" && empty {
		return nil
	}
	if len(word) == 0 || len(word) > MaxWordBytes {
		return e.Wrapf("%s: a word has 1 to %d bytes, not %d", field, MaxWordBytes, len(word))
	}
	for i := 0; i < len(word); i++ {
		c := word[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return e.Wrapf("%s: %q has other characters than a-z, 0-9, '-', '_' and '.'", field, word)
		}
	}
	return nil
}
