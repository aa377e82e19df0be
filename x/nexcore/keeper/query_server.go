package keeper

import (
	"context"

	"cosmossdk.io/collections"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/nexara/nexara/x/nexcore/types"
)

// A page is capped, whatever is asked for: queries share the node with consensus.
const (
	defaultPage = 100
	maxPage     = 500
)

type queryServer struct{ k *Keeper }

// NewQueryServer returns the registry's query server.
func NewQueryServer(k *Keeper) types.QueryServer { return queryServer{k} }

func (s queryServer) Params(ctx context.Context, _ *types.QueryParamsRequest) (*types.QueryParamsResponse, error) {
	p, err := s.k.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	return &types.QueryParamsResponse{Params: p}, nil
}

func (s queryServer) NexCore(ctx context.Context, req *types.QueryNexCoreRequest) (*types.QueryNexCoreResponse, error) {
	if req == nil {
		return nil, types.ErrQuery.Wrap("empty request")
	}
	n, err := s.k.GetNexCore(ctx, req.Id)
	if err != nil {
		return nil, err
	}
	return &types.QueryNexCoreResponse{Nexcore: n}, nil
}

func (s queryServer) ByNodeAddress(ctx context.Context, req *types.QueryByNodeAddressRequest) (*types.QueryByNodeAddressResponse, error) {
	if req == nil {
		return nil, types.ErrQuery.Wrap("empty request")
	}
	n, err := s.k.NexCoreByNode(ctx, req.NodeAddress)
	if err != nil {
		return nil, err
	}
	return &types.QueryByNodeAddressResponse{Nexcore: n}, nil
}

// NexCores walks the index of the first filter that is set, from the most to the least selective, and applies
// the others to what it finds. The node's query gas limit bounds the walk.
func (s queryServer) NexCores(ctx context.Context, req *types.QueryNexCoresRequest) (*types.QueryNexCoresResponse, error) {
	if req == nil {
		return nil, types.ErrQuery.Wrap("empty request")
	}
	page, err := pageOf(req.Pagination)
	if err != nil {
		return nil, err
	}
	var list []types.NexCore
	var next *query.PageResponse
	switch {
	case req.Operator != "":
		list, next, err = s.tagged(ctx, s.k.byOperator, req.Operator, req, page)
	case req.Region != "":
		list, next, err = s.tagged(ctx, s.k.byRegion, req.Region, req, page)
	case req.Runtime != "":
		list, next, err = s.tagged(ctx, s.k.byRuntime, req.Runtime, req, page)
	case req.Arch != "":
		list, next, err = s.tagged(ctx, s.k.byArch, req.Arch, req, page)
	default:
		list, next, err = query.CollectionPaginate(ctx, s.k.nexcores, page,
			func(_ uint64, n types.NexCore) (types.NexCore, error) { return n, nil })
	}
	if err != nil {
		return nil, err
	}
	return &types.QueryNexCoresResponse{Nexcores: list, Pagination: next}, nil
}

func (s queryServer) tagged(ctx context.Context, set collections.KeySet[tag], word string, req *types.QueryNexCoresRequest,
	page *query.PageRequest,
) ([]types.NexCore, *query.PageResponse, error) {
	return query.CollectionFilteredPaginate(ctx, set, page,
		func(key tag, _ collections.NoValue) (bool, error) {
			n, err := s.k.GetNexCore(ctx, key.K2())
			return err == nil && matches(n, req), err
		},
		func(key tag, _ collections.NoValue) (types.NexCore, error) { return s.k.GetNexCore(ctx, key.K2()) },
		query.WithCollectionPaginationPairPrefix[string, uint64](word))
}

// matches says whether every filter that is set holds.
func matches(n types.NexCore, req *types.QueryNexCoresRequest) bool {
	runtime := req.Runtime == ""
	for _, r := range n.Spec.Runtimes {
		runtime = runtime || r == req.Runtime
	}
	return runtime && (req.Operator == "" || n.Operator == req.Operator) &&
		(req.Region == "" || n.Spec.Region == req.Region) && (req.Arch == "" || n.Spec.Arch == req.Arch)
}

func (s queryServer) Unbondings(ctx context.Context, req *types.QueryUnbondingsRequest) (*types.QueryUnbondingsResponse, error) {
	if req == nil {
		return nil, types.ErrQuery.Wrap("empty request")
	}
	page, err := pageOf(req.Pagination)
	if err != nil {
		return nil, err
	}
	list, next, err := query.CollectionPaginate(ctx, s.k.unbondingsByNode, page,
		func(key pair, _ collections.NoValue) (types.Unbonding, error) {
			return s.k.unbondings.Get(ctx, key.K2())
		},
		query.WithCollectionPaginationPairPrefix[uint64, uint64](req.NexcoreId))
	if err != nil {
		return nil, err
	}
	return &types.QueryUnbondingsResponse{Unbondings: list, Pagination: next}, nil
}

// pageOf fills in and caps a page request.
func pageOf(p *query.PageRequest) (*query.PageRequest, error) {
	if p == nil {
		return &query.PageRequest{Limit: defaultPage}, nil
	}
	if p.Offset > 0 && len(p.Key) > 0 {
		return nil, types.ErrQuery.Wrap("either offset or key, not both")
	}
	page := *p
	if page.Limit == 0 {
		page.Limit = defaultPage
	}
	page.Limit = min(page.Limit, maxPage)
	return &page, nil
}
