package signing

import (
	"testing"

	"github.com/stretchr/testify/require"
	gproto "google.golang.org/protobuf/proto"

	"github.com/nexara/nexara/node/key"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	taskstypes "github.com/nexara/nexara/x/tasks/types"
)

// The light bindings of the off-chain half and the chain's own types are two
// generators' views of one proto file; what one writes the other must read.
func TestChainReadsTheLightBindings(t *testing.T) {
	k, err := key.Generate()
	require.NoError(t, err)
	c := newChain(t, k)
	root := make([]byte, 32)
	root[0] = 7
	tx, err := key.BuildTx(params(c,
		&tasksv1.MsgSubmit{
			Requester: k.Address(), Name: "digits-sweep", Shards: 8, Limit: 50_000, SpecCid: "bafk", ImageCid: "bafy",
			Shape: &tasksv1.Shape{
				Need:    &tasksv1.Resources{CpuMilli: 500, MemoryMib: 256},
				Runtime: "container", Regions: []string{"eu-west"}, RunSeconds: 120,
			},
		},
		&tasksv1.MsgAcknowledge{Node: k.Address(), LeaseIds: []uint64{1, 2, 300}},
		&tasksv1.MsgDeliver{Node: k.Address(), Deliveries: []*tasksv1.Delivery{{
			LeaseId: 9,
			Result:  &tasksv1.Result{Root: root, Outcomes: []byte{0x0f}, Cid: "bafy", Bytes: 1 << 40, Custody: &tasksv1.Custody{NexcoreId: 3}},
		}}},
	), k)
	require.NoError(t, err)
	decoded, err := c.deliver(tx)
	require.NoError(t, err)

	submit := decoded.GetMsgs()[0].(*taskstypes.MsgSubmit)
	require.Equal(t, int64(500), submit.Shape.Need.CpuMilli)
	require.Equal(t, []string{"eu-west"}, submit.Shape.Regions)
	require.Equal(t, []uint64{1, 2, 300}, decoded.GetMsgs()[1].(*taskstypes.MsgAcknowledge).LeaseIds)
	delivery := decoded.GetMsgs()[2].(*taskstypes.MsgDeliver).Deliveries[0]
	require.Equal(t, root, delivery.Result.Root)
	require.Equal(t, uint64(3), delivery.Result.Custody.NexcoreId)

	back, err := delivery.Marshal()
	require.NoError(t, err)
	var light tasksv1.Delivery
	require.NoError(t, gproto.Unmarshal(back, &light))
	require.Equal(t, int64(1<<40), light.GetResult().GetBytes())
}
