package bond

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the diagram in docs/spec")

func TestAccountRefuses(t *testing.T) {
	a := Account{Bond: 100, Locked: 40, Unbonding: 7}
	one := func(after Account, err error) error {
		if err != nil && after != a {
			t.Errorf("a refused operation changed the account to %+v", after)
		}
		return err
	}
	leave := func(a Account) error { _, _, err := a.Leave(); return err }
	slash := func(lock, amount int64) error {
		after, taken, err := a.Slash(lock, amount)
		if err != nil && taken != 0 {
			t.Errorf("a refused slash took %d", taken)
		}
		return one(after, err)
	}
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"add nothing", one(a.Add(0)), ErrAmount},
		{"add negative", one(a.Add(-1)), ErrAmount},
		{"add too much", one(a.Add(Max + 1)), ErrAmount},
		{"add beyond the account", one(a.Add(Max - 99)), ErrMax},
		{"add up to the maximum", one(a.Add(Max - 100)), nil},
		{"lock negative", one(a.Lock(-1)), ErrAmount},
		{"lock nothing", one(a.Lock(0)), nil},
		{"lock all that is free", one(a.Lock(60)), nil},
		{"lock more", one(a.Lock(61)), ErrFree},
		{"release more than locked", one(a.Release(41)), ErrBroken},
		{"release negative", one(a.Release(-1)), ErrAmount},
		{"slash negative", slash(40, -1), ErrAmount},
		{"slash an unknown lock", slash(41, 1), ErrBroken},
		{"slash more than the lock", slash(40, Max), nil},
		{"unbond nothing", one(a.Unbond(0, 0)), ErrAmount},
		{"unbond what is locked", one(a.Unbond(61, 0)), ErrFree},
		{"unbond what must stay", one(a.Unbond(60, 41)), ErrKeep},
		{"unbond all that is free", one(a.Unbond(60, 40)), nil},
		{"leave with locks", leave(a), ErrFree},
		{"leave with nothing", leave(Account{}), nil},
		{"pay more than unbonding", one(a.Pay(8)), ErrBroken},
		{"pay nothing", one(a.Pay(0)), ErrAmount},
		{"pay all", one(a.Pay(7)), nil},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.err, c.want)
		}
	}
	if _, taken, _ := a.Slash(40, 50); taken != 40 {
		t.Errorf("a slash took %d of a lock of 40", taken)
	}
}

// Whatever is done in whatever order: the invariant holds and what was put in is what is there or went out.
func TestAccountConserves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a Account
		var in, out int64
		var locks []int64
		amount := rapid.OneOf(rapid.Int64Range(-5, 200), rapid.Int64Range(Max-5, Max+5))
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := amount.Draw(t, "amount")
			switch rapid.SampledFrom([]string{"add", "lock", "release", "slash", "unbond", "leave", "pay"}).Draw(t, "op") {
			case "add":
				if b, err := a.Add(n); err == nil {
					a, in = b, in+n
				}
			case "lock":
				if b, err := a.Lock(n); err == nil {
					a, locks = b, append(locks, n)
				}
			case "release", "slash":
				if len(locks) == 0 {
					continue
				}
				lock := locks[len(locks)-1]
				b, taken, err := a.Slash(lock, max(n, 0))
				if err != nil {
					t.Fatalf("slash %d of lock %d on %+v: %v", n, lock, a, err)
				}
				a, out, locks = b, out+taken, locks[:len(locks)-1]
			case "unbond":
				if b, err := a.Unbond(n, 10); err == nil {
					a = b
				}
			case "leave":
				if b, left, err := a.Leave(); err == nil {
					if left != a.Bond {
						t.Fatalf("left with %d of %d", left, a.Bond)
					}
					a = b
				}
			case "pay":
				if b, err := a.Pay(n); err == nil {
					a, out = b, out+n
				}
			}
			locked := int64(0)
			for _, l := range locks {
				locked += l
			}
			if err := a.Check(); err != nil || a.Locked != locked || a.Bond+a.Unbonding != in-out {
				t.Fatalf("%+v after %d in, %d out, %d locked: %v", a, in, out, locked, err)
			}
		}
	})
}

func TestSum(t *testing.T) {
	const top = int64(^uint64(0) >> 1)
	for _, c := range []struct {
		total, change, want int64
		err                 error
	}{
		{1, 2, 3, nil}, {3, -3, 0, nil}, {3, -4, 3, ErrBroken}, {top, 1, top, ErrBroken}, {top, -top, 0, nil}, {-1, 5, -1, ErrBroken},
	} {
		if got, err := Sum(c.total, c.change); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("Sum(%d, %d) = %d, %v", c.total, c.change, got, err)
		}
	}
}

// From (status, event) to at most one row; every status is reached, only the end is never left.
func TestStatusIsAMachine(t *testing.T) {
	seen := map[[2]uint8]bool{}
	reached, left := map[Status]bool{}, map[Status]bool{}
	for _, m := range Moves() {
		key := [2]uint8{uint8(m.From), uint8(m.Event)}
		if seen[key] {
			t.Errorf("two moves from %s on %s", m.From, m.Event)
		}
		seen[key], reached[m.To], left[m.From] = true, true, true
		if to, reason, err := Step(m.From, m.Event); err != nil || to != m.To || reason != m.Reason {
			t.Errorf("Step(%s, %s) = %s, %q, %v", m.From, m.Event, to, reason, err)
		}
	}
	for s := Active; s <= Deregistered; s++ {
		if !reached[s] || left[s] == (s == Deregistered) {
			t.Errorf("%s: reached %t, left %t", s, reached[s], left[s])
		}
	}
	for s := New; s <= Deregistered+1; s++ {
		for e := Event(0); e <= Deregister+1; e++ {
			if _, _, err := Step(s, e); seen[[2]uint8{uint8(s), uint8(e)}] == errors.Is(err, ErrIllegal) {
				t.Errorf("Step(%s, %s): %v", s, e, err)
			}
		}
	}
}

// The drawing in docs/spec is the table itself, so it cannot go stale.
func TestDiagram(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "spec", "nexcore.mmd")
	if *update {
		if err := os.WriteFile(path, []byte(Diagram()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != Diagram() {
		t.Errorf("%s is stale; run go test ./x/nexcore/bond -update", path)
	}
}

// The signed part of the vectors is checked in x/nexcore/types, which has the curve.
func TestRegistrationVectors(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "spec", "vectors", "register.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		ChainID    string `json:"chain_id"`
		Operator   string `json:"operator"`
		NodePubkey string `json:"node_pubkey"`
		Message    string `json:"message"`
		Digest     string `json:"digest"`
	}
	if err := json.Unmarshal(raw, &vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("%d vectors: %v", len(vectors), err)
	}
	for _, v := range vectors {
		key, err := hex.DecodeString(v.NodePubkey)
		if err != nil {
			t.Fatal(err)
		}
		r := Registration{ChainID: v.ChainID, Operator: v.Operator, NodePubkey: key}
		message, err := r.Message()
		if err != nil || hex.EncodeToString(message) != v.Message {
			t.Errorf("%s: message %x, %v", v.Operator, message, err)
		}
		if digest, err := r.Digest(); err != nil || hex.EncodeToString(digest[:]) != v.Digest {
			t.Errorf("%s: digest %x, %v", v.Operator, digest, err)
		}
	}
}

func TestRegistrationBounds(t *testing.T) {
	key := make([]byte, PubkeyBytes)
	long := string(make([]byte, MaxAddressBytes+1))
	for _, r := range []Registration{
		{"", "op", key}, {"chain", "", key}, {"chain", "op", nil}, {"chain", "op", key[1:]}, {long, "op", key}, {"chain", long, key},
	} {
		if _, err := r.Message(); !errors.Is(err, ErrRegistration) {
			t.Errorf("%d, %d, %d bytes: %v", len(r.ChainID), len(r.Operator), len(r.NodePubkey), err)
		}
		if _, err := r.Digest(); !errors.Is(err, ErrRegistration) {
			t.Errorf("digest: %v", err)
		}
	}
}

// Two different registrations never share a message.
func FuzzRegistrationIsInjective(f *testing.F) {
	f.Add("nexara-1", "nexa1a", "nexara-1n", "exa1a", make([]byte, PubkeyBytes))
	f.Add("a", "b", "a", "b", make([]byte, PubkeyBytes))
	f.Fuzz(func(t *testing.T, chainA, operatorA, chainB, operatorB string, key []byte) {
		a, errA := Registration{chainA, operatorA, key}.Message()
		b, errB := Registration{chainB, operatorB, key}.Message()
		if errA != nil || errB != nil {
			return
		}
		if (string(a) == string(b)) != (chainA == chainB && operatorA == operatorB) {
			t.Errorf("%q/%q and %q/%q", chainA, operatorA, chainB, operatorB)
		}
	})
}
