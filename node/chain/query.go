package chain

import (
	"context"
	"encoding/hex"
	"fmt"

	authv1beta1 "cosmossdk.io/api/cosmos/auth/v1beta1"
	"google.golang.org/protobuf/proto"

	nexcorev1 "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

type abciResult struct {
	Code      uint32 `json:"code"`
	Codespace string `json:"codespace"`
	Log       string `json:"log"`
	Value     []byte `json:"value"`
	Height    number `json:"height"`
}

// Codes of the SDK with which a query says that there is no such record. 6 stands for
// an error of a module that has no gRPC class; the queries below fail with no other
// once the request is well-formed.
var notFoundCodes = map[uint32]bool{6: true, 22: true, 38: true}

// Query calls a gRPC method of the node, such as /nexara.tasks.v1.Query/Lease,
// and returns the height of the answer. ErrNotFound when the record is not there,
// ErrQuery when the node refuses otherwise.
func (c *Client) Query(ctx context.Context, path string, in, out proto.Message) (int64, error) {
	raw, err := proto.Marshal(in)
	if err != nil {
		return 0, fmt.Errorf("%w: %s: %w", ErrQuery, path, err)
	}
	value, height, err := c.abciQuery(ctx, path, raw)
	if err != nil {
		return 0, err
	}
	if err := proto.Unmarshal(value, out); err != nil {
		return 0, fmt.Errorf("%w: %s: %w", ErrResponse, path, err)
	}
	return height, nil
}

func (c *Client) abciQuery(ctx context.Context, path string, data []byte) ([]byte, int64, error) {
	var r struct {
		Response abciResult `json:"response"`
	}
	params := map[string]any{"path": path, "data": hex.EncodeToString(data), "height": "0", "prove": false}
	if err := c.call(ctx, "abci_query", params, &r); err != nil {
		return nil, 0, err
	}
	if res := r.Response; res.Code != 0 {
		kind := ErrQuery
		if res.Codespace == "sdk" && notFoundCodes[res.Code] {
			kind = ErrNotFound
		}
		return nil, 0, fmt.Errorf("%w: %s: %s code %d: %s", kind, path, res.Codespace, res.Code, clip(res.Log, 300))
	}
	return r.Response.Value, int64(r.Response.Height), nil
}

// Assignments reads a NexCore's desired state: its leases that are assigned or acknowledged.
func (c *Client) Assignments(ctx context.Context, nexcoreID uint64) (*tasksv1.QueryAssignmentsResponse, error) {
	out := &tasksv1.QueryAssignmentsResponse{}
	_, err := c.Query(ctx, "/nexara.tasks.v1.Query/Assignments", &tasksv1.QueryAssignmentsRequest{NexcoreId: nexcoreID}, out)
	return out, err
}

// Lease reads one lease, or ErrNotFound.
func (c *Client) Lease(ctx context.Context, id uint64) (*tasksv1.Lease, error) {
	out := &tasksv1.QueryLeaseResponse{}
	_, err := c.Query(ctx, "/nexara.tasks.v1.Query/Lease", &tasksv1.QueryLeaseRequest{Id: id}, out)
	return out.GetLease(), err
}

// Offer reads a NexCore's standing offer, or ErrNotFound.
func (c *Client) Offer(ctx context.Context, nexcoreID uint64) (*tasksv1.Offer, *tasksv1.Standing, error) {
	out := &tasksv1.QueryOfferResponse{}
	_, err := c.Query(ctx, "/nexara.tasks.v1.Query/Offer", &tasksv1.QueryOfferRequest{NexcoreId: nexcoreID}, out)
	return out.GetOffer(), out.GetStanding(), err
}

// TaskParams reads the market's parameters.
func (c *Client) TaskParams(ctx context.Context) (*tasksv1.Params, error) {
	out := &tasksv1.QueryParamsResponse{}
	_, err := c.Query(ctx, "/nexara.tasks.v1.Query/Params", &tasksv1.QueryParamsRequest{}, out)
	return out.GetParams(), err
}

// NexCoreByNode reads the registration of a hot node key, or ErrNotFound.
func (c *Client) NexCoreByNode(ctx context.Context, address string) (*nexcorev1.NexCore, error) {
	out := &nexcorev1.QueryByNodeAddressResponse{}
	_, err := c.Query(ctx, "/nexara.nexcore.v1.Query/ByNodeAddress",
		&nexcorev1.QueryByNodeAddressRequest{NodeAddress: address}, out)
	return out.GetNexcore(), err
}

// AccountNumber reads an account's number, or ErrNotFound when nothing was ever
// sent or granted to the address.
func (c *Client) AccountNumber(ctx context.Context, address string) (uint64, error) {
	out := &authv1beta1.QueryAccountInfoResponse{}
	_, err := c.Query(ctx, "/cosmos.auth.v1beta1.Query/AccountInfo",
		&authv1beta1.QueryAccountInfoRequest{Address: address}, out)
	return out.GetInfo().GetAccountNumber(), err
}
