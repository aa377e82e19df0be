package result

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/nexara/nexara/x/tasks/verdict"
)

// requestVector is one case of docs/spec/vectors/custody_request.json.
type requestVector struct {
	Custody string   `json:"custody"` // hex of the receipt's message
	Addrs   []string `json:"addrs"`
	Message string   `json:"message"` // hex
}

func TestRequestVectors(t *testing.T) {
	const file = "../../docs/spec/vectors/custody_request.json"
	c := verdict.Custody{ChainID: "nexara-1", LeaseID: 9, ResultCID: cidA, Root: verdict.Hash{1}, Bytes: 4096, Outcomes: verdict.Outcomes{5}}
	inner, err := c.Message()
	require.NoError(t, err)
	var cases []requestVector
	for _, addrs := range [][]string{{}, {"/ip4/192.0.2.1/tcp/8472/p2p/12D3KooWA", "/dns4/example.com/tcp/1/p2p/12D3KooWA"}} {
		m, err := RequestMessage(c, addrs)
		require.NoError(t, err)
		cases = append(cases, requestVector{hex.EncodeToString(inner), addrs, hex.EncodeToString(m)})
	}
	if *update {
		b, err := json.MarshalIndent(cases, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, append(b, '\n'), 0o644))
	}
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var want []requestVector
	require.NoError(t, json.Unmarshal(raw, &want))
	require.Equal(t, want, cases)
}

func TestRequestBounds(t *testing.T) {
	c := verdict.Custody{ChainID: "nexara-1", LeaseID: 9, ResultCID: cidA, Bytes: 1, Outcomes: verdict.Outcomes{1}}
	long := strings.Repeat("a", MaxAddrBytes)
	most := strings.Split(strings.Repeat("a", MaxRequestAddrs), "")
	_, err := RequestMessage(c, append(most[1:], long))
	require.NoError(t, err)
	for name, addrs := range map[string][]string{"empty": {""}, "long": {long + "a"}, "many": append(most, "a")} {
		_, err := RequestMessage(c, addrs)
		require.ErrorIs(t, err, verdict.ErrCustody, name)
	}
	c.Bytes = 0
	_, err = RequestMessage(c, nil)
	require.ErrorIs(t, err, verdict.ErrCustody)
}

// A request is never taken for a receipt, nor one list of addresses for another.
func TestRequestMessagesDiffer(t *testing.T) {
	c := verdict.Custody{ChainID: "nexara-1", LeaseID: 9, ResultCID: cidA, Bytes: 1, Outcomes: verdict.Outcomes{1}}
	inner, err := c.Message()
	require.NoError(t, err)
	gen := rapid.SliceOfN(rapid.StringMatching("[ab]{1,3}"), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		ma, err := RequestMessage(c, a)
		require.NoError(t, err)
		mb, err := RequestMessage(c, b)
		require.NoError(t, err)
		require.Equal(t, strings.Join(a, "/") == strings.Join(b, "/"), string(ma) == string(mb))
		require.NotEqual(t, string(inner), string(ma))
	})
}
