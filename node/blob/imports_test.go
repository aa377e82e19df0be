package blob_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The CLI links these packages, and must stay free of a peer-to-peer stack; the contract must also not depend
// on boxo, which is no longer maintained.
func TestLightImports(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go tool")
	}
	forbidden := map[string]string{
		"github.com/libp2p/":            "the CLI links no libp2p",
		"github.com/ipfs/boxo/":         "boxo stays in node/blob/ipfs",
		"github.com/ipld/go-ipld-prime": "reflection-heavy; dag-pb is read by our own bounded decoder",
		"github.com/quic-go/":           "no QUIC in the CLI",
		"github.com/cosmos/":            "off-chain rooms import no chain code",
	}
	out, err := exec.Command(goTool, "list", "-deps", ".", "./file", "./remote").CombinedOutput()
	require.NoError(t, err, "%s", out)
	deps := strings.Fields(string(out))
	require.Contains(t, deps, "github.com/ipfs/go-cid", "the list is not empty")
	for _, dep := range deps {
		for prefix, reason := range forbidden {
			require.False(t, strings.HasPrefix(dep, prefix), "%s is linked, but: %s", dep, reason)
		}
	}
}
