package types_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	_ "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1" // the light bindings, compared by wire.Check
	"github.com/nexara/nexara/testutil/wire"
	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/nexcore/types"
)

// judge asks the rules about a message that was decoded; what they refuse is a typed error. True when it was accepted.
func judge(t testing.TB, m wire.Message) bool {
	t.Helper()
	p := types.DefaultParams()
	var err error
	switch m := m.(type) {
	case *types.MsgRegister:
		_ = m.VerifyProof("nexara-1")
		err = m.Validate(p)
	case *types.MsgBond:
		err = types.CheckAmount(m.Amount)
	case *types.MsgUnbond:
		err = types.CheckAmount(m.Amount)
	case *types.MsgUpdate:
		err = m.Spec.Validate(p)
	case *types.Spec:
		err = m.Validate(p)
	case *types.MsgUpdateParams:
		err = m.Params.Validate()
	case *types.Params:
		err = m.Validate()
	case *types.GenesisState:
		if err = m.Validate(); err == nil {
			for _, n := range m.Nexcores {
				require.LessOrEqual(t, n.Locked, n.Bond)
				require.LessOrEqual(t, n.Bond, denom.MaxUnex)
			}
		}
	default:
		return false
	}
	if err != nil {
		wire.Typed(t, err, types.ErrUnauthorized, types.ErrProof, types.ErrBond, types.ErrInvalidSpec, types.ErrParams, types.ErrGenesis)
	}
	return err == nil
}

// valid are messages that the rules accept, by name.
func valid() map[string]wire.Message {
	operator, p, s := address(key("operator")), types.DefaultParams(), spec()
	return map[string]wire.Message{
		"MsgRegister":     register("nexara-1", operator, key("node")),
		"MsgBond":         &types.MsgBond{Operator: operator, NexcoreId: 7, Amount: 5},
		"MsgUnbond":       &types.MsgUnbond{Operator: operator, NexcoreId: 7, Amount: 5},
		"MsgUpdate":       &types.MsgUpdate{Operator: operator, NexcoreId: 7, Spec: s},
		"MsgUpdateParams": &types.MsgUpdateParams{Authority: operator, Params: p},
		"Spec":            &s, "Params": &p, "GenesisState": genesis(),
	}
}

func suite() wire.Suite {
	return wire.Suite{Package: "nexara.nexcore.v1", Seed: 2, Valid: valid, Judge: judge}
}

func TestArbitraryBytes(t *testing.T)       { suite().Bytes(t) }
func TestArbitraryFields(t *testing.T)      { suite().Fields(t) }
func TestArbitraryGenesisJSON(t *testing.T) { suite().GenesisJSON(t) }

// The targets run their seeds in every test; bytes beyond those come from the tests above.

func FuzzMessages(f *testing.F)    { suite().FuzzMessages(f) }
func FuzzGenesisJSON(f *testing.F) { suite().FuzzGenesisJSON(f) }
