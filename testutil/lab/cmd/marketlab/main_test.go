package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/testutil/lab"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"openb_node_list_all_node.csv.gz": "sn,cpu_milli,memory_mib,gpu,model\na,64000,65536,4,T4\nb,64000,65536,2,G2\nc,32000,65536,0,\n",
		"openb_pod_list_default.csv.gz": "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n" +
			"p,8000,4096,1,500,T4|G2,LS,Running,0,40,0\nq,4000,4096,0,0,,LS,Running,0,90,0\nr,4000,4096,2,1000,T4,LS,Pending,0,90,\n",
	} {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, err := w.Write([]byte(text))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600))
	}
	var out bytes.Buffer
	require.NoError(t, run([]string{"-data", dir, "-list", "default", "-out", filepath.Join(dir, "out"), "-per-block", "2", "-blocks", "9", "-warmup", "3", "-seeds", "1"}, &out))
	require.Contains(t, out.String(), "GPUs allocated %")
	require.FileExists(t, filepath.Join(dir, "out", "report.md"))
	require.FileExists(t, filepath.Join(dir, "out", "steady-gpu-share.svg"))

	require.ErrorIs(t, run([]string{"-data", dir, "-list", "none"}, &out), lab.ErrOpen)
	require.ErrorIs(t, run([]string{"-data", dir, "-list", "default", "-policies", "best"}, &out), lab.ErrConfig)
	require.Error(t, run([]string{"-what"}, &out))
}
