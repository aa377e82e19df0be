package types

import (
	"fmt"

	"github.com/nexara/nexara/x/denom"
)

// DefaultParams are the starting values; x/tasks/README.md gives bounds and reasons.
func DefaultParams() Params {
	return Params{
		BurnPpm:              50_000,
		PoolSharePpm:         200_000,
		BookCharge:           1,
		AckBaseBlocks:        15,
		AckBytesPerBlock:     4 << 20,
		BlockMs:              1_000,
		DeliverSlackPpm:      250_000,
		GraceBlocks:          30,
		DisputeWindow:        600,
		AskDelay:             2,
		BookRefreshBlocks:    30,
		OfferTtlBlocks:       600,
		MaxAttempts:          5,
		MaxShardsPerJob:      100_000,
		MaxRunSeconds:        24 * 3600,
		MaxWaitBlocks:        7 * 24 * 3600,
		LeaseMax:             256,
		LeaseCapBase:         16,
		LeaseCapStep:         4,
		LeaseCapMax:          512,
		BackoffBaseBlocks:    10,
		BackoffMaxBlocks:     3_600,
		MissesToJail:         3,
		UnavailableOperators: 2,
		ReservationPpm:       10_000,
		PenaltyPpm:           500_000,
		MaxShapes:            256,
		MaxEntries:           12_000,
		MaxOffers:            1_024,
		MaxMatches:           1_000,
		MaxExpire:            1_000,
		MaxSettle:            500,
		MaxPrune:             500,
		RetentionBlocks:      100_000,
		RentPoolPpm:          500_000,
		ClearingsKept:        1_000,
	}
}

// Validate checks each parameter against its bounds.
func (p Params) Validate() error {
	type bound struct {
		name     string
		value    int64
		min, max int64
	}
	for _, b := range []bound{
		{"burn_ppm", p.BurnPpm, 0, denom.PPM},
		{"pool_share_ppm", p.PoolSharePpm, 0, denom.PPM},
		{"book_charge", p.BookCharge, 0, denom.UnexPerNEX},
		{"ack_base_blocks", p.AckBaseBlocks, 2, 10_000},
		{"ack_bytes_per_block", p.AckBytesPerBlock, 1 << 10, 1 << 40},
		{"block_ms", p.BlockMs, 100, 60_000},
		{"deliver_slack_ppm", p.DeliverSlackPpm, 0, 10 * denom.PPM},
		{"grace_blocks", p.GraceBlocks, 1, 100_000},
		{"dispute_window", p.DisputeWindow, 1, 1_000_000},
		{"ask_delay", p.AskDelay, 1, 10_000},
		{"book_refresh_blocks", p.BookRefreshBlocks, 1, 1_000_000},
		{"offer_ttl_blocks", p.OfferTtlBlocks, 5, 10_000_000},
		{"max_attempts", int64(p.MaxAttempts), 1, MaxAttemptsBound},
		{"max_shards_per_job", p.MaxShardsPerJob, 1, MaxShardsPerJob},
		{"max_run_seconds", p.MaxRunSeconds, 1, MaxRunSecondsCap},
		{"max_wait_blocks", p.MaxWaitBlocks, 1, MaxBlocksBound},
		{"lease_max", p.LeaseMax, 1, MaxLeaseShards},
		{"lease_cap_base", p.LeaseCapBase, 1, 100_000},
		{"lease_cap_step", p.LeaseCapStep, 1, 1_000_000},
		{"lease_cap_max", p.LeaseCapMax, p.LeaseCapBase, MaxAssignments},
		{"backoff_base_blocks", p.BackoffBaseBlocks, 1, 100_000},
		{"backoff_max_blocks", p.BackoffMaxBlocks, p.BackoffBaseBlocks, 10_000_000},
		{"misses_to_jail", int64(p.MissesToJail), 1, 1_000},
		{"unavailable_operators", int64(p.UnavailableOperators), 1, MaxUnavailable},
		{"reservation_ppm", p.ReservationPpm, 0, denom.PPM},
		{"penalty_ppm", p.PenaltyPpm, 0, 10 * denom.PPM},
		{"max_shapes", p.MaxShapes, 1, 4_096},
		{"max_entries", p.MaxEntries, 1, 100_000},
		{"max_offers", p.MaxOffers, 1, 10_000},
		{"max_matches", p.MaxMatches, 1, MaxLeasesPerBlock},
		{"max_expire", p.MaxExpire, 1, MaxPerBlockBound},
		{"max_settle", p.MaxSettle, 1, MaxPerBlockBound},
		{"max_prune", p.MaxPrune, 1, MaxPerBlockBound},
		{"retention_blocks", p.RetentionBlocks, 1, MaxBlocksBound},
		{"rent_pool_ppm", p.RentPoolPpm, 0, denom.PPM},
		{"clearings_kept", p.ClearingsKept, 1, 100_000},
	} {
		if b.value < b.min || b.value > b.max {
			return ErrParams.Wrapf("%s is %d, allowed are %d to %d", b.name, b.value, b.min, b.max)
		}
	}
	if len(p.Gateways) > MaxGateways {
		return ErrParams.Wrapf("%d gateways, at most %d", len(p.Gateways), MaxGateways)
	}
	for i, key := range p.Gateways {
		if err := checkPubkey(key); err != nil {
			return ErrParams.Wrapf("gateways[%d]: %s", i, err)
		}
	}
	return nil
}

func checkPubkey(key []byte) error {
	if len(key) != PubkeyBytes || (key[0] != 2 && key[0] != 3) {
		return fmt.Errorf("a compressed secp256k1 key has %d bytes and starts with 02 or 03", PubkeyBytes)
	}
	return nil
}
