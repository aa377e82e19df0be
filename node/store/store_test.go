package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func seen(count int64) Seen {
	return Seen{Job: 3, NexCore: 2, First: 10, Count: count, Attempt: 1, SpecCID: "bafy", AckBy: 5, DeliverBy: 50}
}

func ended(i int64, run string) RunEnded {
	return RunEnded{Shard: i, RunID: run, Reason: "exited", CPUNanos: 5, WallMillis: 6, StartedMillis: 7, FinishedMillis: 8}
}

func openAt(t testing.TB, path string) *Journal {
	j, err := Open(Config{Path: path})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	return j
}

func reopen(t testing.TB, j *Journal, path string) *Journal {
	require.NoError(t, j.Close())
	return openAt(t, path)
}

var receipt = CustodySigned{NexCore: 4, Signature: make([]byte, 64)}

// whole is a lease of two shards from its first step to its last.
func whole() []Step {
	return []Step{
		seen(2),
		Acknowledged{"AA"},
		ImageFetched{"sha256:00"},
		InputsFetched{9},
		RunStarted{0, "r0"},
		RunStarted{1, "r1"},
		ended(0, "r0"),
		Packed{0, "m0"},
		ended(1, "r1"),
		Packed{1, "m1"},
		ResultPacked{CID: "bafyr", Root: make([]byte, 32), Outcomes: []byte{3}, Bytes: 10},
		receipt,
		Delivered{"BB"},
		Final{"settled"},
	}
}

func TestEveryStepSurvivesAReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := openAt(t, path)
	var want *Lease
	for _, s := range whole() {
		require.NoError(t, j.Append(7, s))
		var err error
		want, err = apply(want, 7, s)
		require.NoError(t, err)
		j = reopen(t, j, path)
		if want.Final != nil {
			break
		}
		require.Equal(t, []*Lease{want}, j.Leases())
		require.Equal(t, want, j.Lease(7))
	}
	require.Empty(t, j.Leases())
	require.Nil(t, j.Lease(7))
	f, err := j.Finished(7)
	require.NoError(t, err)
	require.Equal(t, &Finished{Lease: 7, Job: 3, Reason: "settled", ResultCID: "bafyr", DeliveredTx: "BB"}, f)
	require.ErrorIs(t, j.Append(7, seen(1)), ErrOrder, "a finished lease does not begin again")
	f, err = j.Finished(8)
	require.NoError(t, err)
	require.Nil(t, f)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestOrder(t *testing.T) {
	result := ResultPacked{CID: "x", Root: make([]byte, 32), Outcomes: []byte{1}}
	for name, c := range map[string]struct {
		before []Step
		step   Step
		want   error
	}{
		"not seen":              {nil, Acknowledged{"A"}, ErrOrder},
		"seen twice":            {[]Step{seen(1)}, seen(1), ErrOrder},
		"shard outside":         {[]Step{seen(1)}, RunStarted{1, "r"}, ErrOrder},
		"shard far outside":     {[]Step{seen(1)}, RunStarted{maxShards, "r"}, ErrStep},
		"ended, not started":    {[]Step{seen(1)}, ended(0, "r"), ErrOrder},
		"ended, another run":    {[]Step{seen(1), RunStarted{0, "a"}}, ended(0, "b"), ErrOrder},
		"packed, not ended":     {[]Step{seen(1), RunStarted{0, "a"}}, Packed{0, "m"}, ErrOrder},
		"started after packed":  {[]Step{seen(1), RunStarted{0, "a"}, ended(0, "a"), Packed{0, "m"}}, RunStarted{0, "b"}, ErrOrder},
		"result of nothing":     {[]Step{seen(1)}, result, ErrOrder},
		"custody of nothing":    {[]Step{seen(1)}, receipt, ErrOrder},
		"delivered, no custody": {[]Step{seen(1)}, Delivered{"B"}, ErrOrder},
		"no reason":             {[]Step{seen(1)}, Final{}, ErrStep},
		"nil":                   {[]Step{seen(1)}, nil, ErrStep},
		"long text":             {[]Step{seen(1)}, Acknowledged{strings.Repeat("x", maxText+1)}, ErrStep},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal.db")
			j := openAt(t, path)
			require.NoError(t, j.Append(1, c.before...))
			before := j.Leases()
			// Neither the good step nor the bad one may be kept.
			err := j.Append(1, append([]Step{ImageFetched{"d"}}, c.step)...)
			if c.before == nil {
				err = j.Append(1, c.step)
			}
			require.ErrorIs(t, err, c.want)
			require.Equal(t, before, j.Leases())
			j = reopen(t, j, path)
			require.Equal(t, before, j.Leases())
		})
	}
}

func TestANewRunVoidsTheOldAndANewResultItsCustody(t *testing.T) {
	j := openAt(t, filepath.Join(t.TempDir(), "journal.db"))
	require.NoError(t, j.Append(1, seen(1), RunStarted{0, "a"}, ended(0, "a"), RunStarted{0, "b"}))
	require.Nil(t, j.Lease(1).Shards[0].Ended)
	r := ResultPacked{CID: "x", Root: make([]byte, 32), Outcomes: []byte{1}}
	require.NoError(t, j.Append(1, ended(0, "b"), Packed{0, "m"}, r, receipt))
	require.NoError(t, j.Append(1, r))
	require.NotNil(t, j.Lease(1).Custody, "the same result keeps its receipt")
	r.CID = "y"
	require.NoError(t, j.Append(1, r))
	require.Nil(t, j.Lease(1).Custody)
}

func TestFinishedLeasesAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := Open(Config{Path: path, KeepFinished: 10})
	require.NoError(t, err)
	var size int64
	for i := uint64(1); i <= 400; i++ {
		require.NoError(t, j.Append(i, whole()...))
		if i == 200 {
			info, err := os.Stat(path)
			require.NoError(t, err)
			size = info.Size()
		}
	}
	require.NoError(t, j.Close())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, size, info.Size(), "the file does not grow with its history")
	j, err = Open(Config{Path: path, KeepFinished: 10})
	require.NoError(t, err)
	for i := uint64(1); i <= 400; i++ {
		f, err := j.Finished(i)
		require.NoError(t, err)
		require.Equal(t, i > 390, f != nil, "lease %d", i)
	}
	require.NoError(t, j.Close())
	_, err = j.Finished(1)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, j.Append(1, seen(1)), ErrClosed)
	require.NoError(t, j.Close())
}

func TestOneProcessAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	openAt(t, path)
	_, err := Open(Config{Path: path, LockTimeout: 10 * time.Millisecond})
	require.ErrorIs(t, err, ErrLocked)
}

func TestConcurrentAppendsOneOrderEach(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := openAt(t, path)
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	for id := uint64(1); id <= 16; id++ {
		wg.Go(func() {
			for _, s := range whole()[:13] {
				if err := j.Append(id, s); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	require.NoError(t, <-errs)
	before := j.Leases()
	require.Len(t, before, 16)
	j = reopen(t, j, path)
	require.Equal(t, before, j.Leases())
}

// Any sequence of steps gives, after a reopen, what memory held before.
func TestReplayEqualsMemory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "journal")
		require.NoError(rt, err)
		defer os.RemoveAll(dir)
		j, err := Open(Config{Path: filepath.Join(dir, "j")})
		require.NoError(rt, err)
		for range rapid.IntRange(1, 25).Draw(rt, "appends") {
			id := rapid.Uint64Range(1, 3).Draw(rt, "lease")
			s := rapid.SampledFrom(append(whole(), RunStarted{0, "again"}, seen(200))).Draw(rt, "step")
			if err := j.Append(id, s); err != nil {
				require.ErrorIs(rt, err, ErrOrder)
			}
		}
		before := j.Leases()
		require.NoError(rt, j.Close())
		j, err = Open(Config{Path: filepath.Join(dir, "j")})
		require.NoError(rt, err)
		require.Equal(rt, before, j.Leases())
		require.NoError(rt, j.Close())
	})
}

func FuzzDecodeStep(f *testing.F) {
	for _, s := range whole() {
		b, err := EncodeStep(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeStep(b)
		if err != nil {
			if !errors.Is(err, ErrStep) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		again, err := EncodeStep(s)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeStep(again)
		if err != nil || fmt.Sprintf("%#v", back) != fmt.Sprintf("%#v", s) {
			t.Fatalf("%#v comes back as %#v, %v", s, back, err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	j := openAt(b, filepath.Join(b.TempDir(), "journal.db"))
	if err := j.Append(1, seen(1)); err != nil {
		b.Fatal(err)
	}
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			if err := j.Append(1, ImageFetched{"d"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("64 at once", func(b *testing.B) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := j.Append(1, ImageFetched{"d"}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
