package app_test

import (
	"bytes"
	"math"
	"slices"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	txtypes "github.com/cosmos/cosmos-sdk/types/tx"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/nexara/nexara/app"
	"github.com/nexara/nexara/testutil/network"
)

// send is a signed transfer with a gas limit and a memo that make it different from others.
func send(c *network.Chain, gas uint64, memo string) []byte {
	a, b := c.Account("alice"), c.Account("bob")
	return c.SignWith(a, network.TxOptions{Gas: gas, Memo: memo, Fee: sdk.NewCoins(app.NEX(1))},
		banktypes.NewMsgSend(a.Address, b.Address, sdk.NewCoins(app.NEX(1))))
}

// anyBomb is a transaction whose message nests proposals in proposals, deeper than decoding may follow.
func anyBomb(t *testing.T, depth int) []byte {
	t.Helper()
	inner := &codectypes.Any{TypeUrl: sdk.MsgTypeURL(&banktypes.MsgSend{})}
	for range depth {
		raw, err := proto.Marshal(&govv1.MsgSubmitProposal{Messages: []*codectypes.Any{inner}})
		require.NoError(t, err)
		inner = &codectypes.Any{TypeUrl: sdk.MsgTypeURL(&govv1.MsgSubmitProposal{}), Value: raw}
	}
	body, err := proto.Marshal(&txtypes.TxBody{Messages: []*codectypes.Any{inner}})
	require.NoError(t, err)
	auth, err := proto.Marshal(&txtypes.AuthInfo{Fee: &txtypes.Fee{GasLimit: 1}})
	require.NoError(t, err)
	raw, err := proto.Marshal(&txtypes.TxRaw{BodyBytes: body, AuthInfoBytes: auth, Signatures: [][]byte{{1}}})
	require.NoError(t, err)
	return raw
}

// TestProposalRules puts hostile blocks before ProcessProposal and the same transactions before
// PrepareProposal: the first refuses the block, the second makes one that the first accepts.
func TestProposalRules(t *testing.T) {
	c := network.New(t, network.Options{NoShadows: true})
	good := send(c, 200_000, "good")
	big := send(c, 200_000, string(bytes.Repeat([]byte{'x'}, app.MaxTxBytes)))
	var full [][]byte // each within its own limit, together above a block's bytes
	for i := range app.MaxBlockBytes/(app.MaxTxBytes-1<<10) + 1 {
		memo := append(bytes.Repeat([]byte{'m'}, app.MaxTxBytes-2<<10), byte('a'+i))
		full = append(full, send(c, 1, string(memo)))
	}
	unknown, err := proto.Marshal(&txtypes.TxRaw{BodyBytes: []byte{0xfa, 0xff, 0x07, 0x01, 0x01}})
	require.NoError(t, err)

	for _, tc := range []struct {
		name string
		txs  [][]byte
		ok   bool
		kept int // transactions that PrepareProposal keeps
	}{
		{"empty block", nil, true, 0},
		{"one good transaction", [][]byte{good}, true, 1},
		{"gas up to the limit", [][]byte{send(c, app.MaxBlockGas-200_000, "fill"), good}, true, 2},
		{"gas one above the limit", [][]byte{send(c, app.MaxBlockGas-199_999, "over"), good}, false, 1},
		{"gas of one above the limit", [][]byte{good, send(c, app.MaxBlockGas+1, "alone")}, false, 1},
		{"gas that wraps round", [][]byte{good, send(c, math.MaxUint64-100_000, "wrap"), send(c, math.MaxUint64, "max")}, false, 1},
		{"garbage", [][]byte{good, []byte("no transaction")}, false, 1},
		{"empty transaction", [][]byte{{}, good}, false, 1},
		{"unknown field", [][]byte{unknown}, false, 0},
		{"same transaction twice", [][]byte{good, good}, false, 1},
		{"too large a transaction", [][]byte{big, good}, false, 1},
		{"too many bytes", full, false, len(full) - 1},
		{"nested messages", [][]byte{anyBomb(t, 200), good}, false, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status := processProposal(t, c, tc.txs)
			require.Equal(t, tc.ok, status == abci.ResponseProcessProposal_ACCEPT, "status %s", status)

			prepared, err := c.App.PrepareProposal(&abci.RequestPrepareProposal{
				Txs: tc.txs, MaxTxBytes: app.MaxBlockBytes, Height: c.Height() + 1, Time: c.Time(),
			})
			require.NoError(t, err)
			require.Len(t, prepared.Txs, tc.kept)
			require.Equal(t, abci.ResponseProcessProposal_ACCEPT, processProposal(t, c, prepared.Txs))
		})
	}
}

func processProposal(t *testing.T, c *network.Chain, txs [][]byte) abci.ResponseProcessProposal_ProposalStatus {
	t.Helper()
	res, err := c.App.ProcessProposal(&abci.RequestProcessProposal{Txs: txs, Height: c.Height() + 1, Time: c.Time()})
	require.NoError(t, err)
	return res.Status
}

// TestProposalKeepsToRequestedBytes says that a proposal leaves the room that CometBFT asks for.
func TestProposalKeepsToRequestedBytes(t *testing.T) {
	c := network.New(t, network.Options{NoShadows: true})
	one, two := send(c, 100_000, "one"), send(c, 100_000, "two")
	res, err := c.App.PrepareProposal(&abci.RequestPrepareProposal{
		Txs: [][]byte{one, two}, MaxTxBytes: int64(len(one)) + 8, Height: c.Height() + 1, Time: c.Time(),
	})
	require.NoError(t, err)
	require.Equal(t, [][]byte{one}, res.Txs)
}

// TestHostileDecidedBlock says that even a block that a hostile majority decided stops no node.
func TestHostileDecidedBlock(t *testing.T) {
	c := network.New(t, network.Options{})
	good := send(c, 200_000, "good")
	blk := c.DecidedBlock([]byte("garbage"), []byte{}, anyBomb(t, 200), good, good, send(c, math.MaxUint64, "wrap"))
	for i, res := range blk.Txs {
		require.Equal(t, i == 3, res.IsOK(), "transaction %d: %s", i, res.Log)
	}
	c.MustDeliver(c.Account("carol"), banktypes.NewMsgSend(c.Account("carol").Address, c.Account("dave").Address, sdk.NewCoins(app.NEX(1))))
}

// TestProposalOfAnyBytes bends a good transaction every way at both proposal calls: they answer, and alike. It is a
// random test and no fuzz target because fuzzing would compile the whole SDK with coverage counters.
func TestProposalOfAnyBytes(t *testing.T) {
	c := network.New(t, network.Options{NoShadows: true})
	good := send(c, 200_000, "seed")
	rapid.Check(t, func(t *rapid.T) {
		raw := slices.Clone(good)
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			at := rapid.IntRange(0, len(raw)).Draw(t, "at")
			switch rapid.SampledFrom([]string{"set", "insert", "cut", "repeat"}).Draw(t, "change") {
			case "set":
				if at < len(raw) {
					raw[at] = rapid.Byte().Draw(t, "byte")
				}
			case "insert":
				raw = slices.Insert(raw, at, rapid.SliceOfN(rapid.Byte(), 1, 16).Draw(t, "bytes")...)
			case "cut":
				raw = raw[:at]
			case "repeat":
				raw = append(raw, raw[at:]...)
			}
		}
		process, err := c.App.ProcessProposal(&abci.RequestProcessProposal{Txs: [][]byte{raw}, Height: c.Height() + 1, Time: c.Time()})
		require.NoError(t, err)
		prepare, err := c.App.PrepareProposal(&abci.RequestPrepareProposal{
			Txs: [][]byte{raw}, MaxTxBytes: app.MaxBlockBytes, Height: c.Height() + 1, Time: c.Time(),
		})
		require.NoError(t, err)
		require.Equal(t, process.IsAccepted(), len(prepare.Txs) == 1)
	})
}

// TestUnlimitedBlockGas says that a gas limit of -1, which governance may set, is none.
func TestUnlimitedBlockGas(t *testing.T) {
	params := app.ConsensusParams().ToProto()
	params.Block.MaxGas = -1
	c := network.New(t, network.Options{NoShadows: true, ConsensusParams: &params})
	require.Equal(t, int64(-1), c.App.GetConsensusParams(c.App.NewContextLegacy(true, cmtproto.Header{})).Block.MaxGas)
	require.Equal(t, abci.ResponseProcessProposal_ACCEPT, processProposal(t, c, [][]byte{send(c, 10*app.MaxBlockGas, "huge")}))
}
