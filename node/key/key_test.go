package key

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	bankv1beta1 "cosmossdk.io/api/cosmos/bank/v1beta1"
	txv1beta1 "cosmossdk.io/api/cosmos/tx/v1beta1"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func one(t testing.TB) *Key {
	k, err := FromSecret(append(make([]byte, 31), 1))
	require.NoError(t, err)
	return k
}

// The key 1 has the curve's generator as its point; its hash is the one that
// BIP 173 uses in its examples.
func TestAddressVector(t *testing.T) {
	k := one(t)
	require.Equal(t, "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", hex.EncodeToString(k.PublicKey()))
	raw, err := DecodeAddress(k.Address())
	require.NoError(t, err)
	require.Equal(t, "751e76e8199196d454941c45d1b3a323f1433bd6", hex.EncodeToString(raw))
	require.True(t, strings.HasPrefix(k.Address(), "nexa1w508d6qejxtdg4y5r3zarvary0c5xw7k"), k.Address())
}

func TestAddressIsStrict(t *testing.T) {
	good := one(t).Address()
	flipped := []byte(good)
	flipped[10] ^= 1
	other, err := EncodeAddress(make([]byte, 32))
	require.NoError(t, err)
	for name, bad := range map[string]string{
		"upper case":   strings.ToUpper(good),
		"checksum":     string(flipped),
		"prefix":       "cosmos1w508d6qejxtdg4y5r3zarvary0c5xw7kwxpzd8",
		"length":       other,
		"empty":        "",
		"long":         strings.Repeat("a", 1000),
		"no separator": "nexa",
	} {
		_, err := DecodeAddress(bad)
		require.ErrorIs(t, err, ErrAddress, name)
	}
	_, err = Address(make([]byte, PublicKeySize))
	require.ErrorIs(t, err, ErrPublicKey)
}

func TestSecrets(t *testing.T) {
	order := unhex(t, "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	for _, b := range [][]byte{nil, make([]byte, 31), make([]byte, 32), make([]byte, 33), order} {
		_, err := FromSecret(b)
		require.ErrorIs(t, err, ErrSecret)
	}
	order[31]--
	_, err := FromSecret(order)
	require.NoError(t, err)
	k := one(t)
	secret := hex.EncodeToString(k.secret.Serialize())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		shown := fmt.Sprintf(verb, k)
		require.NotContains(t, shown, secret)
		require.Contains(t, shown, k.Address())
	}
}

// RFC 6979 over secp256k1 with SHA-256, the vector used across Bitcoin libraries.
func TestSignVector(t *testing.T) {
	sig := one(t).Sign([]byte("Satoshi Nakamoto"))
	require.Equal(t, "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"+
		"2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5", hex.EncodeToString(sig))
}

func TestSignatures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), SecretSize, SecretSize).Draw(t, "secret")
		k, err := FromSecret(secret)
		if err != nil {
			return
		}
		msg := rapid.SliceOf(rapid.Byte()).Draw(t, "msg")
		sig := k.Sign(msg)
		require.Len(t, sig, SignatureSize)
		require.NoError(t, Verify(k.PublicKey(), msg, sig))
		require.ErrorIs(t, Verify(k.PublicKey(), append(msg, 0), sig), ErrSignature)
		i := rapid.IntRange(0, SignatureSize-1).Draw(t, "i")
		bent := append([]byte(nil), sig...)
		bent[i] ^= 1
		require.ErrorIs(t, Verify(k.PublicKey(), msg, bent), ErrSignature)

		// The other S verifies in plain ECDSA; accepting it would let anyone
		// change a transaction's bytes and its hash.
		var s secp256k1.ModNScalar
		s.SetByteSlice(sig[32:])
		s.Negate()
		high := append([]byte(nil), sig[:32]...)
		b := s.Bytes()
		require.ErrorIs(t, Verify(k.PublicKey(), msg, append(high, b[:]...)), ErrSignature)
		require.ErrorIs(t, Verify(k.PublicKey(), msg, sig[:63]), ErrSignature)
		require.ErrorIs(t, Verify(k.PublicKey()[:32], msg, sig), ErrPublicKey)
	})
}

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "node.key")
	_, err := Load(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	k, created, err := LoadOrCreate(path)
	require.NoError(t, err)
	require.True(t, created)
	again, created, err := LoadOrCreate(path)
	require.NoError(t, err)
	require.False(t, created)
	require.Equal(t, k.Address(), again.Address())
	_, err = Create(path)
	require.ErrorIs(t, err, fs.ErrExist)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o660, 0o610} {
		require.NoError(t, os.Chmod(path, mode))
		_, err = Load(path)
		require.ErrorIs(t, err, ErrPermissions)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file is left")

	_, err = Load(dir)
	require.ErrorIs(t, err, ErrFile)
	for name, content := range map[string]string{
		"empty": "", "short": "01", "text": "hello", "zero": strings.Repeat("0", 64), "long": strings.Repeat("1", 4096),
	} {
		bad := filepath.Join(dir, "bad")
		require.NoError(t, os.WriteFile(bad, []byte(content), 0o600))
		_, err := Load(bad)
		require.ErrorIs(t, err, ErrFile, name)
	}
}

func TestConcurrentCreateAgrees(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.key")
	var wg sync.WaitGroup
	addresses := make([]string, 16)
	for i := range addresses {
		wg.Go(func() {
			if k, _, err := LoadOrCreate(path); err == nil {
				addresses[i] = k.Address()
			}
		})
	}
	wg.Wait()
	for _, a := range addresses {
		require.Equal(t, addresses[0], a)
		require.NotEmpty(t, a)
	}
}

func params() TxParams {
	return TxParams{
		ChainID: "nexara-1", AccountNumber: 5, Unordered: true, TimeoutTimestamp: time.Unix(1_790_000_000, 123).UTC(),
		GasLimit: 200_000, Fee: []Coin{{"anex", "20000000000000000000"}},
		Msgs: []proto.Message{&bankv1beta1.MsgSend{FromAddress: "a", ToAddress: "b"}},
	}
}

func TestBuildTxRules(t *testing.T) {
	k := one(t)
	tx, err := BuildTx(params(), k)
	require.NoError(t, err)
	same, err := BuildTx(params(), k)
	require.NoError(t, err)
	require.Equal(t, tx, same)
	require.Len(t, TxHash(tx), 64)
	var raw txv1beta1.TxRaw
	require.NoError(t, proto.Unmarshal(tx, &raw))
	require.Len(t, raw.GetSignatures(), 1)
	var body txv1beta1.TxBody
	require.NoError(t, proto.Unmarshal(raw.GetBodyBytes(), &body))
	require.Equal(t, "/cosmos.bank.v1beta1.MsgSend", body.GetMessages()[0].GetTypeUrl())
	require.Equal(t, int32(123), body.GetTimeoutTimestamp().GetNanos())

	for name, bend := range map[string]func(*TxParams){
		"chain id":        func(p *TxParams) { p.ChainID = "" },
		"gas":             func(p *TxParams) { p.GasLimit = 0 },
		"no message":      func(p *TxParams) { p.Msgs = nil },
		"nil message":     func(p *TxParams) { p.Msgs = []proto.Message{nil} },
		"typed nil":       func(p *TxParams) { p.Msgs = []proto.Message{(*bankv1beta1.MsgSend)(nil)} },
		"many messages":   func(p *TxParams) { p.Msgs = make([]proto.Message, MaxMsgs+1) },
		"memo":            func(p *TxParams) { p.Memo = strings.Repeat("m", MaxMemoBytes+1) },
		"sequence":        func(p *TxParams) { p.Sequence = 1 },
		"no timeout":      func(p *TxParams) { p.TimeoutTimestamp = time.Time{} },
		"timeout":         func(p *TxParams) { p.TimeoutTimestamp = time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"fee zero":        func(p *TxParams) { p.Fee[0].Amount = "0" },
		"fee sign":        func(p *TxParams) { p.Fee[0].Amount = "-1" },
		"fee denom":       func(p *TxParams) { p.Fee[0].Denom = "" },
		"fee order":       func(p *TxParams) { p.Fee = append(p.Fee, p.Fee[0]) },
		"granter":         func(p *TxParams) { p.FeeGranter = "cosmos1" },
		"too many bytes":  func(p *TxParams) { p.Msgs[0].(*bankv1beta1.MsgSend).ToAddress = strings.Repeat("x", MaxTxBytes) },
		"not UTF-8 bytes": func(p *TxParams) { p.Memo = "\xff" },
	} {
		p := params()
		bend(&p)
		_, err := BuildTx(p, k)
		require.ErrorIs(t, err, ErrTx, name)
	}
}

func TestStaysLight(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{len .CgoFiles}} {{.Standard}}", ".").Output()
	require.NoError(t, err)
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		f := strings.Fields(line)
		for _, forbidden := range []string{"github.com/cosmos/cosmos-sdk", "github.com/cometbft", "/libp2p", "nexara/x/", "nexara/app"} {
			require.NotContains(t, f[0], forbidden)
		}
		if f[2] == "false" {
			require.Equal(t, "0", f[1], "%s uses cgo", f[0])
		}
	}
}

func FuzzDecodeAddress(f *testing.F) {
	f.Add("nexa1w508d6qejxtdg4y5r3zarvary0c5xw7kg3g4ty")
	f.Fuzz(func(t *testing.T, s string) {
		raw, err := DecodeAddress(s)
		if err != nil {
			return
		}
		if again, err := EncodeAddress(raw); err != nil || again != s {
			t.Fatalf("%q comes back as %q, %v", s, again, err)
		}
	})
}
