package market

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/types"
)

// parts answers ClearingModel from a script, one part after the other.
type parts struct {
	types.QueryClient
	answers []types.QueryClearingModelResponse
	asked   []int64 // offsets
}

var errNode = errors.New("the node is gone")

func (p *parts) ClearingModel(_ context.Context, q *types.QueryClearingModelRequest, _ ...grpc.CallOption) (*types.QueryClearingModelResponse, error) {
	p.asked = append(p.asked, q.Offset)
	if len(p.asked) > len(p.answers) {
		return nil, errNode
	}
	return &p.answers[len(p.asked)-1], nil
}

func TestDownloadModel(t *testing.T) {
	part := func(size int64, data string) types.QueryClearingModelResponse {
		return types.QueryClearingModelResponse{Size_: size, Data: []byte(data)}
	}
	whole := bytes.Repeat([]byte("x"), auction.MaxFileBytes)
	for name, c := range map[string]struct {
		answers []types.QueryClearingModelResponse
		want    string
		asked   []int64
		err     error
	}{
		"one part":               {answers: []types.QueryClearingModelResponse{part(3, "abc")}, want: "abc", asked: []int64{0}},
		"three parts":            {answers: []types.QueryClearingModelResponse{part(5, "ab"), part(5, "cd"), part(5, "e")}, want: "abcde", asked: []int64{0, 2, 4}},
		"nothing":                {answers: []types.QueryClearingModelResponse{part(0, "")}, want: "", asked: []int64{0}},
		"as large as can be":     {answers: []types.QueryClearingModelResponse{part(auction.MaxFileBytes, string(whole))}, want: string(whole), asked: []int64{0}},
		"announced too large":    {answers: []types.QueryClearingModelResponse{part(auction.MaxFileBytes+1, "a")}, asked: []int64{0}, err: errModelSize},
		"more than announced":    {answers: []types.QueryClearingModelResponse{part(auction.MaxFileBytes, string(whole[1:])), part(auction.MaxFileBytes, "xy")}, asked: []int64{0, auction.MaxFileBytes - 1}, err: errModelSize},
		"less than announced":    {answers: []types.QueryClearingModelResponse{part(5, "ab"), part(5, "")}, asked: []int64{0, 2}, err: errModelSize},
		"grows while it is sent": {answers: []types.QueryClearingModelResponse{part(3, "ab"), part(auction.MaxFileBytes+2, "c")}, asked: []int64{0, 2}, err: errModelSize},
		"the node goes":          {answers: []types.QueryClearingModelResponse{part(5, "ab")}, asked: []int64{0, 2}, err: errNode},
	} {
		t.Run(name, func(t *testing.T) {
			p := &parts{answers: c.answers}
			got, err := downloadModel(context.Background(), p, 7)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.asked, p.asked)
			require.Equal(t, c.want, string(got))
		})
	}
}

// Every field of a record is a claim: one that is added to the record and forgotten here shows.
func TestClaimHoldsTheWholeRecord(t *testing.T) {
	record := types.Clearing{
		Height: 1, Shapes: 2, Offers: 3, Entries: 4, Shards: 5, Matched: 6, Leases: 7, Welfare: 8, Work: 9, Solver: "greedy", Truncated: true,
		Bound: 10, GapPpm: 11, Exact: true, Prices: []types.ClearingPrice{{NexcoreId: 12, Slot: 13, Tie: 14, Width: 15, Dims: []int64{1, 2, 3, 4, 5, 6}}},
		Width: 16, Digest: bytes.Repeat([]byte{17}, 32), Fallback: "solver_failed",
	}
	v := reflect.ValueOf(record)
	// Where the keeper began to read, and what waited and stood in all: no file of a part can tell.
	beyond := map[string]bool{"BookJob": true, "BookFirst": true, "OfferFrom": true, "OpenShards": true, "StandingOffers": true}
	claimed := 0
	for i := range v.NumField() {
		if beyond[v.Type().Field(i).Name] {
			continue
		}
		claimed++
		require.False(t, v.Field(i).IsZero(), "the test sets no %s", v.Type().Field(i).Name)
	}
	claim := claimOf(record)
	c := reflect.ValueOf(claim)
	require.Equal(t, claimed, c.NumField())
	for i := range c.NumField() {
		require.False(t, c.Field(i).IsZero(), "the claim has no %s", c.Type().Field(i).Name)
	}
	require.Equal(t, []auction.Priced{{NexCoreID: 12, Prices: auction.Prices{Slot: 13, Tie: 14, Dims: auction.Dims{1, 2, 3, 4, 5, 6}}, Width: 15}}, claim.Prices)
}
