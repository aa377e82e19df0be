package lab

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/x/tasks/auction"
)

const (
	traceFolder = "../../../shared/data/cluster-trace"
	nodeHead    = "sn,cpu_milli,memory_mib,gpu,model\n"
	podHead     = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"
)

// packed writes text as a gzipped file.
func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	path := filepath.Join(t.TempDir(), "list.csv.gz")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

func TestReadNodes(t *testing.T) {
	nodes, err := ReadNodes(packed(t, nodeHead+"a,32000,262144,0,\nb,96000,393216,8,G2\n"))
	require.NoError(t, err)
	require.Equal(t, []Node{
		{Name: "a", Capacity: auction.Resources{32_000, 262_144, 0, 0}},
		{Name: "b", Capacity: auction.Resources{96_000, 393_216, 0, 8}, Model: "G2"},
	}, nodes)
}

func TestReadPods(t *testing.T) {
	pods, err := ReadPods(packed(t, podHead+
		"share,6000,12288,1,460,,LS,Running,0,50,20\n"+
		"set,1,1,2,1000,V100M32|T4|V100M32,LS,Running,0,50,\n"+
		"cpu,4000,1,0,0,T4,BE,Pending,5,9,\n"+
		"lone,4000,1,0,300,T4,BE,Failed,5,9,9\n"))
	require.NoError(t, err)
	require.Equal(t, []Pod{
		{Name: "share", Need: auction.Resources{6_000, 12_288, 0, 1}, RunSeconds: 30},
		{Name: "set", Need: auction.Resources{1, 1, 0, 2}, Models: []string{"T4", "V100M32"}},
		{Name: "cpu", Need: auction.Resources{4_000, 1, 0, 0}},
		{Name: "lone", Need: auction.Resources{4_000, 1, 0, 1}, Models: []string{"T4"}},
	}, pods)
}

func TestTraceErrors(t *testing.T) {
	nodes := func(path string) error { _, err := ReadNodes(path); return err }
	pods := func(path string) error { _, err := ReadPods(path); return err }
	for _, c := range []struct {
		name, text string
		read       func(string) error
		want       error
		line       int
		field      string
	}{
		{"no header", "", nodes, ErrLine, 1, ""},
		{"missing column", "sn,cpu_milli,memory_mib,gpu\n", nodes, ErrHeader, 1, "model"},
		{"no rows", nodeHead, nodes, ErrEmpty, 1, ""},
		{"no number", nodeHead + "a,1,1,0,\nb,many,1,0,\n", nodes, ErrLine, 3, "cpu_milli"},
		{"negative", nodeHead + "a,1,-1,0,\n", nodes, ErrValue, 2, "memory_mib"},
		{"too much", nodeHead + "a,1,9999999999999,0,\n", nodes, ErrValue, 2, "memory_mib"},
		{"too many GPUs", nodeHead + "a,1,1,2000,T4\n", nodes, ErrValue, 2, "gpu"},
		{"GPUs of no model", nodeHead + "a,1,1,2,\n", nodes, ErrValue, 2, "model"},
		{"a model of no GPUs", nodeHead + "a,1,1,0,T4\n", nodes, ErrValue, 2, "model"},
		{"columns", nodeHead + "a,1,1,0,\nb,1\n", nodes, ErrLine, 3, ""},
		{"open quote", nodeHead + "a,1,1,0,\n\"b,1,1,0,\n", nodes, ErrLine, 3, ""},
		{"name", nodeHead + strings.Repeat("x", 65) + ",1,1,0,\n", nodes, ErrValue, 2, "sn"},
		{"not printable", nodeHead + "a,1,1,1,T\x014\n", nodes, nil, 0, ""},
		{"share above one", podHead + "a,1,1,1,1001,,,,,,\n", pods, ErrValue, 2, "gpu_milli"},
		{"empty model", podHead + "a,1,1,1,1000,T4|,,,,,\n", pods, ErrValue, 2, "gpu_spec"},
		{"needs nothing", podHead + "a,0,0,0,0,,,,,,\n", pods, ErrValue, 2, ""},
		{"time", podHead + "a,1,0,0,0,,,,,soon,1\n", pods, ErrLine, 2, "deletion_time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == nil {
				c.want, c.line, c.field = ErrValue, 2, "model"
			}
			err := c.read(packed(t, c.text))
			require.ErrorIs(t, err, c.want)
			var at *LineError
			require.ErrorAs(t, err, &at)
			require.Equal(t, c.line, at.Line, err)
			require.Equal(t, c.field, at.Field, err)
		})
	}
}

func TestTraceFileErrors(t *testing.T) {
	_, err := ReadNodes(filepath.Join(t.TempDir(), "none.csv.gz"))
	require.ErrorIs(t, err, ErrOpen)
	require.ErrorIs(t, err, os.ErrNotExist)
	plain := filepath.Join(t.TempDir(), "plain.csv")
	require.NoError(t, os.WriteFile(plain, []byte(nodeHead), 0o600))
	_, err = ReadNodes(plain)
	require.ErrorIs(t, err, ErrOpen)

	// A small file that unpacks without end is cut off.
	_, err = ReadNodes(packed(t, nodeHead+strings.Repeat("a", maxTraceBytes)))
	require.ErrorIs(t, err, ErrTooLarge)
}

func FuzzReadRows(f *testing.F) {
	f.Add(nodeHead + "a,1,1,0,\n")
	f.Add(podHead + "a,1,1,1,1000,T4|G2,,,,9,1\n")
	f.Fuzz(func(t *testing.T, text string) {
		err := readRows("fuzz", strings.NewReader(text), []string{"sn", "gpu"}, func(r *row) error {
			r.word("sn")
			r.number("gpu", 8)
			return r.err
		})
		var at *LineError
		if err != nil && !errors.As(err, &at) && !errors.Is(err, ErrTooLarge) {
			t.Fatalf("untyped: %v", err)
		}
	})
}

// The real files, where they are.
func TestTraceOfTheCluster(t *testing.T) {
	nodes, pods := realTrace(t, "gpuspec33")
	gpus := int64(0)
	for _, n := range nodes {
		gpus += n.Capacity[auction.GPUs]
	}
	constrained := 0
	for _, p := range pods {
		if len(p.Models) > 0 {
			constrained++
		}
	}
	require.Len(t, nodes, 1_523)
	require.Len(t, pods, 8_152)
	require.EqualValues(t, 6_212, gpus)
	t.Logf("%d machines, %d GPUs, %d tasks, %d of them name models", len(nodes), gpus, len(pods), constrained)
}

func realTrace(t *testing.T, list string) ([]Node, []Pod) {
	t.Helper()
	if _, err := os.Stat(traceFolder); err != nil {
		t.Skip("the recorded cluster is not on this machine: ", err)
	}
	nodes, err := ReadNodes(filepath.Join(traceFolder, "openb_node_list_all_node.csv.gz"))
	require.NoError(t, err)
	pods, err := ReadPods(filepath.Join(traceFolder, "openb_pod_list_"+list+".csv.gz"))
	require.NoError(t, err)
	return nodes, pods
}
