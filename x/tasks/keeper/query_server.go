package keeper

import (
	"context"
	"encoding/binary"
	"errors"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/nexara/nexara/x/tasks/types"
)

type queryServer struct{ k *Keeper }

// NewQueryServer returns the market's query server.
func NewQueryServer(k *Keeper) types.QueryServer { return queryServer{k} }

// maxPage bounds a page.
const maxPage = 1_000

func bounded(page *query.PageRequest) *query.PageRequest {
	if page == nil {
		return &query.PageRequest{Limit: 100}
	}
	if page.Limit > maxPage || page.Limit == 0 {
		page.Limit = min(max(page.Limit, 100), maxPage)
	}
	return page
}

func (q queryServer) Params(ctx context.Context, _ *types.QueryParamsRequest) (*types.QueryParamsResponse, error) {
	p, err := q.k.params.Get(ctx)
	return &types.QueryParamsResponse{Params: p}, err
}

func (q queryServer) Offer(ctx context.Context, r *types.QueryOfferRequest) (*types.QueryOfferResponse, error) {
	offer, err := q.k.offers.Get(ctx, r.NexcoreId)
	if err != nil {
		return nil, found(err, "offer of NexCore", r.NexcoreId)
	}
	standing, err := q.k.standing(ctx, r.NexcoreId)
	return &types.QueryOfferResponse{Offer: offer, Standing: standing}, err
}

func (q queryServer) Offers(ctx context.Context, r *types.QueryOffersRequest) (*types.QueryOffersResponse, error) {
	offers, page, err := query.CollectionPaginate(ctx, q.k.offers, bounded(r.Pagination),
		func(_ uint64, o types.Offer) (types.Offer, error) { return o, nil })
	return &types.QueryOffersResponse{Offers: offers, Pagination: page}, err
}

func (q queryServer) Job(ctx context.Context, r *types.QueryJobRequest) (*types.QueryJobResponse, error) {
	job, err := q.k.jobs.Get(ctx, r.Id)
	if err != nil {
		return nil, found(err, "job", r.Id)
	}
	return &types.QueryJobResponse{Job: job, State: JobState(job)}, nil
}

func (q queryServer) Jobs(ctx context.Context, r *types.QueryJobsRequest) (*types.QueryJobsResponse, error) {
	if r.Requester == "" {
		jobs, page, err := query.CollectionPaginate(ctx, q.k.jobs, bounded(r.Pagination),
			func(_ uint64, j types.Job) (types.Job, error) { return j, nil })
		return &types.QueryJobsResponse{Jobs: jobs, Pagination: page}, err
	}
	jobs, page, err := query.CollectionPaginate(ctx, q.k.jobsByOwner, bounded(r.Pagination),
		func(key collections.Pair[string, uint64], _ collections.NoValue) (types.Job, error) {
			return q.k.jobs.Get(ctx, key.K2())
		}, query.WithCollectionPaginationPairPrefix[string, uint64](r.Requester))
	return &types.QueryJobsResponse{Jobs: jobs, Pagination: page}, err
}

// Shards pages over the open ranges and then over all others, each by first shard. A page key is one byte for the
// table and the shard to start from; offsets, totals and the reverse order are refused.
func (q queryServer) Shards(ctx context.Context, r *types.QueryShardsRequest) (*types.QueryShardsResponse, error) {
	if has, err := q.k.jobs.Has(ctx, r.JobId); err != nil || !has {
		return nil, found(errors.Join(err, collections.ErrNotFound), "job", r.JobId)
	}
	page := bounded(r.Pagination)
	table, first := 0, uint64(0)
	switch {
	case page.Offset > 0 || page.Reverse || page.CountTotal:
		return nil, types.ErrPage.Wrap("shards have no offset, reverse order or total: go on from next_key")
	case len(page.Key) == shardKeyBytes && page.Key[0] <= 1:
		table, first = int(page.Key[0]), binary.BigEndian.Uint64(page.Key[1:])
	case len(page.Key) > 0:
		return nil, types.ErrPage.Wrap("this key is of no page of shards")
	}
	out := &types.QueryShardsResponse{Pagination: &query.PageResponse{}}
	for _, m := range []collections.Map[pair, types.ShardRange]{q.k.book, q.k.ranges}[table:] {
		rng := new(collections.Range[pair]).StartInclusive(collections.Join(r.JobId, first)).
			EndExclusive(collections.Join(r.JobId+1, uint64(0)))
		err := m.Walk(ctx, rng, func(key pair, v types.ShardRange) (bool, error) {
			if uint64(len(out.Ranges)) == page.Limit {
				out.Pagination.NextKey = binary.BigEndian.AppendUint64([]byte{byte(table)}, key.K2())
				return true, nil
			}
			out.Ranges = append(out.Ranges, v)
			return false, nil
		})
		if err != nil || len(out.Pagination.NextKey) > 0 {
			return out, err
		}
		table, first = table+1, 0
	}
	return out, nil
}

// shardKeyBytes is the length of a page key of shards.
const shardKeyBytes = 9

func (q queryServer) Lease(ctx context.Context, r *types.QueryLeaseRequest) (*types.QueryLeaseResponse, error) {
	lease, err := q.k.leases.Get(ctx, r.Id)
	if err != nil {
		return nil, found(err, "lease", r.Id)
	}
	return &types.QueryLeaseResponse{Lease: lease}, nil
}

func (q queryServer) Leases(ctx context.Context, r *types.QueryLeasesRequest) (*types.QueryLeasesResponse, error) {
	leases, page, err := query.CollectionPaginate(ctx, q.k.leasesByJob, bounded(r.Pagination),
		func(key pair, _ collections.NoValue) (types.Lease, error) { return q.k.leases.Get(ctx, key.K2()) },
		query.WithCollectionPaginationPairPrefix[uint64, uint64](r.JobId))
	return &types.QueryLeasesResponse{Leases: leases, Pagination: page}, err
}

func (q queryServer) Assignments(ctx context.Context, r *types.QueryAssignmentsRequest) (*types.QueryAssignmentsResponse, error) {
	live, err := q.k.liveLeases(ctx, q.k.liveByNode, r.NexcoreId, types.MaxAssignments)
	if err != nil {
		return nil, err
	}
	header := sdk.UnwrapSDKContext(ctx).BlockHeader()
	out := &types.QueryAssignmentsResponse{Height: header.Height, TimeUnixMs: header.Time.UnixMilli()}
	for _, lease := range live {
		job, err := q.k.jobs.Get(ctx, lease.JobId)
		if err != nil {
			return nil, err
		}
		out.Assignments = append(out.Assignments, types.Assignment{Lease: lease, Job: job})
	}
	offer, err := q.k.offers.Get(ctx, r.NexcoreId)
	if err == nil {
		out.OfferExpiresHeight = offer.ExpiresHeight
	}
	return out, ignoreMissing(err)
}

func (q queryServer) Payouts(ctx context.Context, r *types.QueryPayoutsRequest) (*types.QueryPayoutsResponse, error) {
	payouts, page, err := query.CollectionFilteredPaginate(ctx, q.k.leasesByJob, bounded(r.Pagination),
		func(key pair, _ collections.NoValue) (bool, error) { return q.k.payouts.Has(ctx, key.K2()) },
		func(key pair, _ collections.NoValue) (types.Payout, error) { return q.k.payouts.Get(ctx, key.K2()) },
		query.WithCollectionPaginationPairPrefix[uint64, uint64](r.JobId))
	return &types.QueryPayoutsResponse{Payouts: payouts, Pagination: page}, err
}

func (q queryServer) WhyNot(ctx context.Context, r *types.QueryWhyNotRequest) (*types.QueryWhyNotResponse, error) {
	return q.k.WhyNot(ctx, r.JobId)
}

func (q queryServer) Market(ctx context.Context, _ *types.QueryMarketRequest) (*types.QueryMarketResponse, error) {
	totals, err := q.k.totals.Get(ctx)
	if err != nil {
		return nil, err
	}
	last, err := q.k.LastClearing(ctx)
	return &types.QueryMarketResponse{Totals: totals, LastClearing: last}, ignoreMissing(err)
}

func (q queryServer) Clearing(ctx context.Context, r *types.QueryClearingRequest) (*types.QueryClearingResponse, error) {
	record, err := q.k.clearing(ctx, r.Height)
	if err != nil {
		return nil, err
	}
	return &types.QueryClearingResponse{Clearing: record}, nil
}

func (q queryServer) ClearingModel(_ context.Context, r *types.QueryClearingModelRequest) (*types.QueryClearingModelResponse, error) {
	if q.k.files == nil || r.Height < 1 || r.Offset < 0 {
		return nil, types.ErrNotFound.Wrapf("model file of block %d", r.Height)
	}
	data, size, err := q.k.files.Read(r.Height, r.Offset, modelChunk)
	if err != nil {
		return nil, err
	}
	return &types.QueryClearingModelResponse{Data: data, Size_: size}, nil
}

func (q queryServer) Money(ctx context.Context, _ *types.QueryMoneyRequest) (*types.QueryMoneyResponse, error) {
	return q.k.Money(ctx)
}

func (q queryServer) Tombstone(ctx context.Context, r *types.QueryTombstoneRequest) (*types.QueryTombstoneResponse, error) {
	t, err := q.k.tombstones.Get(ctx, r.JobId)
	if err != nil {
		return nil, found(err, "tombstone of job", r.JobId)
	}
	return &types.QueryTombstoneResponse{Tombstone: t}, nil
}
