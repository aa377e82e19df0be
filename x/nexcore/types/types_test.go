package types_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/codec"
	cdctypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/nexcore/bond"
	"github.com/nexara/nexara/x/nexcore/types"
)

var update = flag.Bool("update", false, "rewrite the vectors in docs/spec")

func TestMain(m *testing.M) {
	flag.Parse()
	sdk.GetConfig().SetBech32PrefixForAccount(denom.Bech32Prefix, denom.Bech32Prefix+"pub")
	os.Exit(m.Run())
}

// The pure room repeats two bounds because it imports nothing.
func TestBoundsAgree(t *testing.T) {
	require.Equal(t, denom.MaxUnex, bond.Max)
	require.Equal(t, bond.PubkeyBytes, types.PubkeyBytes)
	for status, wire := range map[bond.Status]types.Status{
		bond.Active: types.STATUS_ACTIVE, bond.Draining: types.STATUS_DRAINING,
		bond.Jailed: types.STATUS_JAILED, bond.Deregistered: types.STATUS_DEREGISTERED,
	} {
		require.EqualValues(t, wire, status)
		require.Equal(t, "STATUS_"+strings.ToUpper(status.String()), wire.String())
	}
}

func key(seed string) *secp256k1.PrivKey { return secp256k1.GenPrivKeyFromSecret([]byte(seed)) }

func address(k *secp256k1.PrivKey) string { return sdk.AccAddress(k.PubKey().Address()).String() }

func spec() types.Spec {
	return types.Spec{
		PeerIds:    []string{"12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"},
		Multiaddrs: []string{"/ip4/203.0.113.7/tcp/4001", "/dns4/example.org/udp/4001/quic-v1"},
		Arch:       "amd64", CpuMilli: 4_000, MemoryMib: 8_192, DiskMib: 1 << 15,
		Gpus: []types.GPU{{Model: "a100", Count: 2}}, Runtimes: []string{"container", "wasm"}, Region: "eu-west",
		Benchmark: types.Benchmark{SingleCore: 1_000, MultiCore: 3_500, DiskMibS: 900, NetMibS: 110},
	}
}

func register(chain string, operator string, node *secp256k1.PrivKey) *types.MsgRegister {
	msg := &types.MsgRegister{
		Operator: operator, NodePubkey: node.PubKey().Bytes(), Spec: spec(), Bond: types.DefaultParams().MinBond,
	}
	message, err := bond.Registration{ChainID: chain, Operator: operator, NodePubkey: msg.NodePubkey}.Message()
	if err != nil {
		panic(err)
	}
	if msg.NodeProof, err = node.Sign(message); err != nil {
		panic(err)
	}
	return msg
}

func TestProof(t *testing.T) {
	operator, node := address(key("operator")), key("node")
	msg := register("nexara-1", operator, node)
	require.NoError(t, msg.Validate(types.DefaultParams()))
	require.NoError(t, msg.VerifyProof("nexara-1"))
	require.ErrorIs(t, msg.VerifyProof("nexara-2"), types.ErrProof, "another chain")

	stolen := *msg
	stolen.Operator = address(key("thief"))
	require.ErrorIs(t, stolen.VerifyProof("nexara-1"), types.ErrProof, "another operator")
	other := *msg
	other.NodePubkey = key("other").PubKey().Bytes()
	require.ErrorIs(t, other.VerifyProof("nexara-1"), types.ErrProof, "another key")

	// The same signature with the other of the two valid S values is not accepted: one proof has one text.
	high := *msg
	high.NodeProof = append([]byte(nil), msg.NodeProof...)
	flipS(high.NodeProof[32:])
	require.ErrorIs(t, high.VerifyProof("nexara-1"), types.ErrProof)

	own := register("nexara-1", address(node), node)
	require.ErrorIs(t, own.Validate(types.DefaultParams()), types.ErrProof, "operator as its own node")
}

// flipS replaces S by the order of the curve less S.
func flipS(s []byte) {
	order, _ := hex.DecodeString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	borrow := 0
	for i := 31; i >= 0; i-- {
		d := int(order[i]) - int(s[i]) - borrow
		borrow = 0
		if d < 0 {
			d, borrow = d+256, 1
		}
		s[i] = byte(d)
	}
}

// vector is one case of docs/spec/vectors/register.json. Bytes are in hex.
type vector struct {
	ChainID    string `json:"chain_id"`
	Operator   string `json:"operator"`
	PrivateKey string `json:"node_private_key"`
	NodePubkey string `json:"node_pubkey"`
	Message    string `json:"message"`
	Digest     string `json:"digest"`
	Signature  string `json:"signature"` // R||S, RFC 6979, low S
}

func TestRegistrationVectors(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "spec", "vectors", "register.json")
	fill := func(v vector) vector {
		raw, err := hex.DecodeString(v.PrivateKey)
		require.NoError(t, err)
		msg := register(v.ChainID, v.Operator, &secp256k1.PrivKey{Key: raw})
		require.NoError(t, msg.VerifyProof(v.ChainID))
		message, err := bond.Registration{ChainID: v.ChainID, Operator: v.Operator, NodePubkey: msg.NodePubkey}.Message()
		require.NoError(t, err)
		digest := sha256.Sum256(message)
		v.NodePubkey, v.Message = hex.EncodeToString(msg.NodePubkey), hex.EncodeToString(message)
		v.Digest, v.Signature = hex.EncodeToString(digest[:]), hex.EncodeToString(msg.NodeProof)
		return v
	}
	if *update {
		var made []vector
		for _, v := range []vector{
			{ChainID: "nexara-1", Operator: address(key("operator one"))},
			{ChainID: "nexara-demo", Operator: address(key("operator two"))},
			{ChainID: "n", Operator: address(key("operator three"))},
		} {
			v.PrivateKey = hex.EncodeToString(key("node of " + v.Operator).Key)
			made = append(made, fill(v))
		}
		raw, err := json.MarshalIndent(made, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, append(raw, '\n'), 0o644))
	}
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var vectors []vector
	require.NoError(t, json.Unmarshal(raw, &vectors))
	require.NotEmpty(t, vectors)
	for _, v := range vectors {
		require.Equal(t, v, fill(v))
	}
}

func TestRules(t *testing.T) {
	p := types.DefaultParams()
	words := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = "w" + strings.Repeat("a", i)
		}
		return out
	}
	for _, c := range []struct {
		name   string
		change func(*types.MsgRegister)
		want   error
	}{
		{"as it is", func(*types.MsgRegister) {}, nil},
		{"no operator", func(m *types.MsgRegister) { m.Operator = "" }, types.ErrUnauthorized},
		{"operator in capitals", func(m *types.MsgRegister) { m.Operator = strings.ToUpper(m.Operator) }, types.ErrUnauthorized},
		{"foreign prefix", func(m *types.MsgRegister) { m.Operator = "cosmos1" + m.Operator[5:] }, types.ErrUnauthorized},
		{"long operator", func(m *types.MsgRegister) { m.Operator = strings.Repeat("a", 1<<20) }, types.ErrUnauthorized},
		{"short key", func(m *types.MsgRegister) { m.NodePubkey = m.NodePubkey[1:] }, types.ErrProof},
		{"uncompressed key", func(m *types.MsgRegister) { m.NodePubkey[0] = 4 }, types.ErrProof},
		{"short proof", func(m *types.MsgRegister) { m.NodeProof = m.NodeProof[1:] }, types.ErrProof},
		{"small bond", func(m *types.MsgRegister) { m.Bond = p.MinBond - 1 }, types.ErrBond},
		{"huge bond", func(m *types.MsgRegister) { m.Bond = bond.Max + 1 }, types.ErrBond},
		{"negative bond", func(m *types.MsgRegister) { m.Bond = -1 << 63 }, types.ErrBond},
		{"no peer ids", func(m *types.MsgRegister) { m.Spec.PeerIds, m.Spec.Multiaddrs = nil, nil }, nil},
		{"many peer ids", func(m *types.MsgRegister) { m.Spec.PeerIds = words(9) }, types.ErrInvalidSpec},
		{"eight peer ids", func(m *types.MsgRegister) { m.Spec.PeerIds = words(8) }, nil},
		{"peer id twice", func(m *types.MsgRegister) { m.Spec.PeerIds = []string{"a", "a"} }, types.ErrInvalidSpec},
		{"peer id with a space", func(m *types.MsgRegister) { m.Spec.PeerIds = []string{"a b"} }, types.ErrInvalidSpec},
		{"long peer id", func(m *types.MsgRegister) { m.Spec.PeerIds = []string{strings.Repeat("a", 129)} }, types.ErrInvalidSpec},
		{"many multiaddrs", func(m *types.MsgRegister) {
			m.Spec.Multiaddrs = nil
			for _, w := range words(17) {
				m.Spec.Multiaddrs = append(m.Spec.Multiaddrs, "/"+w)
			}
		}, types.ErrInvalidSpec},
		{"no multiaddr", func(m *types.MsgRegister) { m.Spec.Multiaddrs = []string{"ip4"} }, types.ErrInvalidSpec},
		{"line break in multiaddr", func(m *types.MsgRegister) { m.Spec.Multiaddrs = []string{"/a\nb"} }, types.ErrInvalidSpec},
		{"no arch", func(m *types.MsgRegister) { m.Spec.Arch = "" }, types.ErrInvalidSpec},
		{"arch with a zero byte", func(m *types.MsgRegister) { m.Spec.Arch = "amd\x0064" }, types.ErrInvalidSpec},
		{"no cpu", func(m *types.MsgRegister) { m.Spec.CpuMilli = 0 }, types.ErrInvalidSpec},
		{"no disk", func(m *types.MsgRegister) { m.Spec.DiskMib = 0 }, nil},
		{"huge memory", func(m *types.MsgRegister) { m.Spec.MemoryMib = types.MaxMemoryMiB + 1 }, types.ErrInvalidSpec},
		{"gpus of a model twice", func(m *types.MsgRegister) { m.Spec.Gpus = append(m.Spec.Gpus, m.Spec.Gpus[0]) }, types.ErrInvalidSpec},
		{"no gpu of a model", func(m *types.MsgRegister) { m.Spec.Gpus[0].Count = 0 }, types.ErrInvalidSpec},
		{"too many gpus", func(m *types.MsgRegister) { m.Spec.Gpus[0].Count = 1<<32 - 1 }, types.ErrInvalidSpec},
		{"no runtime", func(m *types.MsgRegister) { m.Spec.Runtimes = nil }, types.ErrInvalidSpec},
		{"many runtimes", func(m *types.MsgRegister) { m.Spec.Runtimes = words(9) }, types.ErrInvalidSpec},
		{"runtime in capitals", func(m *types.MsgRegister) { m.Spec.Runtimes = []string{"WASM"} }, types.ErrInvalidSpec},
		{"no region", func(m *types.MsgRegister) { m.Spec.Region = "" }, types.ErrInvalidSpec},
		{"region with a slash", func(m *types.MsgRegister) { m.Spec.Region = "eu/west" }, types.ErrInvalidSpec},
		{"wild benchmark", func(m *types.MsgRegister) { m.Spec.Benchmark.NetMibS = 1 << 63 }, types.ErrInvalidSpec},
	} {
		msg := register("nexara-1", address(key("operator")), key("node"))
		c.change(msg)
		if err := msg.Validate(p); c.want == nil {
			require.NoError(t, err, c.name)
		} else {
			require.ErrorIs(t, err, c.want, c.name)
		}
	}
}

func TestParamsBounds(t *testing.T) {
	require.NoError(t, types.DefaultParams().Validate())
	for name, change := range map[string]func(*types.Params){
		"min_bond":                  func(p *types.Params) { p.MinBond = 0 },
		"min_bond above":            func(p *types.Params) { p.MinBond = denom.MaxUnex + 1 },
		"unbonding_seconds":         func(p *types.Params) { p.UnbondingSeconds = 0 },
		"unbonding_seconds above":   func(p *types.Params) { p.UnbondingSeconds = 1 << 40 },
		"jail_blocks":               func(p *types.Params) { p.JailBlocks = 0 },
		"max_nexcores_per_operator": func(p *types.Params) { p.MaxNexcoresPerOperator = 0 },
		"max_unbondings_per_block":  func(p *types.Params) { p.MaxUnbondingsPerBlock = 1 << 40 },
	} {
		p := types.DefaultParams()
		change(&p)
		require.ErrorIs(t, p.Validate(), types.ErrParams, name)
	}
}

func genesis() *types.GenesisState {
	node := key("node")
	return &types.GenesisState{
		Params: types.DefaultParams(), NextNexcoreId: 8, NextLockId: 4, NextUnbondingId: 3,
		Nexcores: []types.NexCore{{
			Id: 7, Operator: address(key("operator")), NodeAddress: address(node), NodePubkey: node.PubKey().Bytes(),
			Spec: spec(), Status: types.STATUS_ACTIVE, Bond: 500, Locked: 30, Unbonding: 12, RegisteredHeight: 3,
		}},
		Locks:      []types.Lock{{Id: 2, NexcoreId: 7, Amount: 30}, {Id: 3, NexcoreId: 7}},
		Unbondings: []types.Unbonding{{Id: 1, NexcoreId: 7, Operator: address(key("operator")), Amount: 12, CompleteTime: 99}},
	}
}

func TestGenesisValidate(t *testing.T) {
	require.NoError(t, types.DefaultGenesis().Validate())
	require.NoError(t, genesis().Validate())
	for name, change := range map[string]func(*types.GenesisState){
		"number zero":            func(g *types.GenesisState) { g.Nexcores[0].Id = 0 },
		"number not given yet":   func(g *types.GenesisState) { g.NextNexcoreId = 7 },
		"next number zero":       func(g *types.GenesisState) { g.NextLockId = 0 },
		"NexCore twice":          func(g *types.GenesisState) { g.Nexcores = append(g.Nexcores, g.Nexcores[0]) },
		"node key twice":         func(g *types.GenesisState) { n := g.Nexcores[0]; n.Id = 6; g.Nexcores = append(g.Nexcores, n) },
		"foreign node address":   func(g *types.GenesisState) { g.Nexcores[0].NodeAddress = g.Nexcores[0].Operator },
		"no status":              func(g *types.GenesisState) { g.Nexcores[0].Status = 0 },
		"left with a bond":       func(g *types.GenesisState) { g.Nexcores[0].Status = types.STATUS_DEREGISTERED },
		"locked above bond":      func(g *types.GenesisState) { g.Nexcores[0].Bond = 29 },
		"locked is not the sum":  func(g *types.GenesisState) { g.Nexcores[0].Locked = 29 },
		"lock missing":           func(g *types.GenesisState) { g.Locks = g.Locks[1:] },
		"lock twice":             func(g *types.GenesisState) { g.Locks[1].Id = 2 },
		"lock of nobody":         func(g *types.GenesisState) { g.Locks[1].NexcoreId = 6 },
		"negative lock":          func(g *types.GenesisState) { g.Locks[1].Amount = -1 },
		"unbonding missing":      func(g *types.GenesisState) { g.Unbondings = nil },
		"unbonding of a thief":   func(g *types.GenesisState) { g.Unbondings[0].Operator = address(key("thief")) },
		"unbonding of nothing":   func(g *types.GenesisState) { g.Unbondings[0].Amount = 0 },
		"unbonding without time": func(g *types.GenesisState) { g.Unbondings[0].CompleteTime = -1 },
		"bad spec":               func(g *types.GenesisState) { g.Nexcores[0].Spec.Region = "?" },
	} {
		g := genesis()
		change(g)
		require.ErrorIs(t, g.Validate(), types.ErrGenesis, name)
	}
	g := genesis()
	g.Params = types.Params{}
	require.ErrorIs(t, g.Validate(), types.ErrParams)
}

func TestCodec(t *testing.T) {
	registry := cdctypes.NewInterfaceRegistry()
	types.RegisterInterfaces(registry)
	for _, msg := range []sdk.Msg{
		&types.MsgRegister{}, &types.MsgUpdate{}, &types.MsgBond{}, &types.MsgUnbond{}, &types.MsgDrain{},
		&types.MsgDeregister{}, &types.MsgUnjail{}, &types.MsgUpdateParams{},
	} {
		_, err := registry.Resolve(sdk.MsgTypeURL(msg))
		require.NoError(t, err)
	}
	amino := codec.NewLegacyAmino()
	types.RegisterLegacyAminoCodec(amino)
	_, err := amino.MarshalJSON(&types.MsgBond{})
	require.NoError(t, err)
}

// No bytes make validation panic, and what it accepts keeps its meaning through an encoding.
func FuzzGenesis(f *testing.F) {
	raw, err := genesis().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var g types.GenesisState
		if g.Unmarshal(raw) != nil || g.Validate() != nil {
			return
		}
		again, err := g.Marshal()
		require.NoError(t, err)
		var h types.GenesisState
		require.NoError(t, h.Unmarshal(again))
		require.NoError(t, h.Validate())
		require.Equal(t, g.Size(), h.Size())
	})
}

func FuzzParams(f *testing.F) {
	p := types.DefaultParams()
	raw, err := p.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p types.Params
		if p.Unmarshal(raw) != nil || p.Validate() != nil {
			return
		}
		require.Positive(t, p.MinBond)
		require.Positive(t, p.UnbondingSeconds)
		require.Positive(t, p.MaxUnbondingsPerBlock)
	})
}

// No key, proof or chain id makes a check panic, and only a signature of that key passes.
func FuzzRegister(f *testing.F) {
	msg := register("nexara-1", address(key("operator")), key("node"))
	f.Add(msg.NodePubkey, msg.NodeProof, msg.Operator, "nexara-1")
	f.Add([]byte{2}, []byte{}, "", "")
	f.Add(make([]byte, 33), make([]byte, 64), msg.Operator, "nexara-1")
	f.Fuzz(func(t *testing.T, pubkey, proof []byte, operator, chain string) {
		m := &types.MsgRegister{Operator: operator, NodePubkey: pubkey, NodeProof: proof, Spec: spec(), Bond: types.DefaultParams().MinBond}
		_ = m.Validate(types.DefaultParams())
		if m.VerifyProof(chain) != nil {
			return
		}
		changed := *m
		changed.Operator += "x"
		require.Error(t, changed.VerifyProof(chain))
	})
}
