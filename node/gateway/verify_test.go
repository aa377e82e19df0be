package gateway

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/node/blob"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
	"github.com/nexara/nexara/testutil/malicious"
	"github.com/nexara/nexara/x/tasks/verdict"
)

// full is a result of the largest lease, every shard of it run.
func full(t testing.TB) (blob.Store, *tasksv1.Lease, verdict.Custody) {
	st := blobStore(t, t.TempDir(), 64<<20)
	l := &tasksv1.Lease{Id: 9, JobId: 7, Count: verdict.MaxLeaseShards, NexcoreId: 5, Attempt: 1}
	ran := make([]int, l.Count)
	for i := range ran {
		ran[i] = i
	}
	c, err := malicious.Build(t.Context(), st, testChain, l, ran, malicious.Steps{})
	require.NoError(t, err)
	return st, l, c
}

// The bounds of the check fit the largest lease.
func TestCheckTakesTheLargestLease(t *testing.T) {
	st, l, c := full(t)
	root, err := blob.Parse(c.ResultCID)
	require.NoError(t, err)
	require.Equal(t, verdict.MaxLeaseShards, c.Outcomes.Count())
	require.NoError(t, checkResult(t.Context(), st, root, c, l))
}

// The check beside the walk over the same blocks that a pin makes anyway.
func BenchmarkCheckResult(b *testing.B) {
	st, l, c := full(b)
	root, err := blob.Parse(c.ResultCID)
	require.NoError(b, err)
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			require.NoError(b, checkResult(b.Context(), st, root, c, l))
		}
	})
	b.Run("walk", func(b *testing.B) {
		for b.Loop() {
			_, err := blob.Walk(b.Context(), st, root, blob.Limits{}, nil)
			require.NoError(b, err)
		}
	})
}
