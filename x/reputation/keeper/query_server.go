package keeper

import (
	"context"
	"errors"

	"cosmossdk.io/collections"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/nexara/nexara/x/reputation/types"
)

// A page is capped, whatever is asked for: queries share the node with consensus.
const (
	defaultPage = 100
	maxPage     = 500
)

type queryServer struct{ k *Keeper }

// NewQueryServer returns the scores' query server.
func NewQueryServer(k *Keeper) types.QueryServer { return queryServer{k} }

func (s queryServer) Params(ctx context.Context, _ *types.QueryParamsRequest) (*types.QueryParamsResponse, error) {
	p, err := s.k.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	return &types.QueryParamsResponse{Params: p}, nil
}

// Scores answers for any subject: one without history has a newcomer's scores.
func (s queryServer) Scores(ctx context.Context, req *types.QueryScoresRequest) (*types.QueryScoresResponse, error) {
	if req == nil {
		return nil, types.ErrQuery.Wrap("empty request")
	}
	requester, err := types.ParseSubject(req.Subject)
	if err != nil {
		return nil, err
	}
	p, err := s.k.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	out := &types.QueryScoresResponse{}
	for _, d := range types.Dimensions(requester) {
		t, err := s.k.tally(ctx, p, req.Subject, d)
		if err != nil {
			return nil, err
		}
		out.Scores = append(out.Scores, types.Score{
			Dimension: d, ScorePpm: evidence(t).Score(), LowerPpm: evidence(t).Lower(), Tally: t,
		})
	}
	return out, nil
}

func (s queryServer) OutcomesHash(ctx context.Context, req *types.QueryOutcomesHashRequest) (*types.QueryOutcomesHashResponse, error) {
	if req == nil {
		return nil, types.ErrQuery.Wrap("empty request")
	}
	h, err := s.k.hashes.Get(ctx, req.Height)
	if errors.Is(err, collections.ErrNotFound) {
		return nil, types.ErrNotFound.Wrapf("block %d had no outcomes, or its hash is not kept any more", req.Height)
	}
	if err != nil {
		return nil, err
	}
	return &types.QueryOutcomesHashResponse{OutcomesHash: h}, nil
}

// Tallies lists tallies as stored, each as of its own epoch.
func (s queryServer) Tallies(ctx context.Context, req *types.QueryTalliesRequest) (*types.QueryTalliesResponse, error) {
	if req == nil {
		return nil, types.ErrQuery.Wrap("empty request")
	}
	page := query.PageRequest{}
	if req.Pagination != nil {
		page = *req.Pagination
	}
	if page.Offset > 0 && len(page.Key) > 0 {
		return nil, types.ErrQuery.Wrap("either offset or key, not both")
	}
	if page.Limit == 0 {
		page.Limit = defaultPage
	}
	page.Limit = min(page.Limit, maxPage)
	list, next, err := query.CollectionPaginate(ctx, s.k.tallies, &page,
		func(_ tallyKey, t types.Tally) (types.Tally, error) { return t, nil })
	if err != nil {
		return nil, err
	}
	return &types.QueryTalliesResponse{Tallies: list, Pagination: next}, nil
}
