package types_test

import (
	"testing"

	_ "github.com/nexara/nexara/proto/gen/nexara/reputation/v1" // the light bindings, compared by wire.Check
	"github.com/nexara/nexara/testutil/wire"
	"github.com/nexara/nexara/x/reputation/types"
)

func genesis() *types.GenesisState {
	g := types.DefaultGenesis()
	g.Tallies = []types.Tally{
		{Subject: "nexcore/1", Dimension: types.DIMENSION_COMPLETION, Good: 5},
		{Subject: "requester/nexa1x", Dimension: types.DIMENSION_REQUESTER, Bad: 5},
	}
	g.Pairs = []types.Pair{{Requester: "nexa1x", Operator: "nexa1y", Count: 334}}
	g.Hashes = []types.OutcomesHash{{Height: 4, Hash: make([]byte, types.HashBytes), Count: 1}}
	return g
}

// judge asks the rules about a message that was decoded; what they refuse is a typed error. True when it was accepted.
func judge(t testing.TB, m wire.Message) bool {
	t.Helper()
	var err error
	switch m := m.(type) {
	case *types.MsgUpdateParams:
		err = types.DefaultParams().ValidateChange(m.Params)
	case *types.Params:
		err = m.Validate()
	case *types.GenesisState:
		err = m.Validate()
	case *types.QueryScoresRequest:
		_, err = types.ParseSubject(m.Subject)
	default:
		return false
	}
	if err != nil {
		wire.Typed(t, err, types.ErrParams, types.ErrGenesis, types.ErrSubject)
	}
	return err == nil
}

// valid are messages that the rules accept, by name.
func valid() map[string]wire.Message {
	p := types.DefaultParams()
	return map[string]wire.Message{
		"MsgUpdateParams": &types.MsgUpdateParams{Authority: "nexa1gov", Params: p}, "Params": &p,
		"GenesisState": genesis(), "QueryScoresRequest": &types.QueryScoresRequest{Subject: "nexcore/1"},
	}
}

func suite() wire.Suite {
	return wire.Suite{Package: "nexara.reputation.v1", Seed: 3, Valid: valid, Judge: judge}
}

func TestArbitraryBytes(t *testing.T)       { suite().Bytes(t) }
func TestArbitraryFields(t *testing.T)      { suite().Fields(t) }
func TestArbitraryGenesisJSON(t *testing.T) { suite().GenesisJSON(t) }

// The targets run their seeds in every test; bytes beyond those come from the tests above.

func FuzzMessages(f *testing.F)    { suite().FuzzMessages(f) }
func FuzzGenesisJSON(f *testing.F) { suite().FuzzGenesisJSON(f) }
