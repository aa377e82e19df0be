package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/nexara/nexara/app"
)

// patience bounds every wait of the scripts; what is waited for takes seconds.
const patience = 90 * time.Second

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		app.BinaryName: func() { os.Exit(run()) },
	})
}

// TestScripts runs the program as users do, one story per file of testdata/script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("NEXARAD_HOME", env.WorkDir+"/home")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"free-ports":     freePorts,
			"wait-height":    waitHeight,
			"field":          field,
			"serve-clearing": serveClearing,
			"flip-byte":      flipByte,
		},
	})
}

// freePorts sets each named variable to a port that nothing listens on.
func freePorts(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close()
		ts.Setenv(name, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
}

// waitHeight waits until the node at an RPC address has a block of at least some height.
func waitHeight(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: wait-height URL HEIGHT")
	}
	want, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	var last error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		var height int64
		if height, last = heightOf(args[0]); last == nil && height >= want {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("no height %d at %s: %v", want, args[0], last)
}

func heightOf(url string) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/status", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var status struct {
		Result struct {
			Sync struct {
				Height int64 `json:"latest_block_height,string"`
			} `json:"sync_info"`
		} `json:"result"`
	}
	if err := json.NewDecoder(res.Body).Decode(&status); err != nil {
		return 0, err
	}
	return status.Result.Sync.Height, nil
}

// field sets a variable to a field of the JSON object that the last command printed.
func field(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: field VARIABLE NAME")
	}
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &object))
	value, there := object[args[1]]
	if !there {
		ts.Fatalf("no field %q", args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

// TestOwnCommandsHaveExamples says that the help of each of our commands shows how it is used.
func TestOwnCommandsHaveExamples(t *testing.T) {
	app.SetConfig()
	m := Main{Home: t.TempDir(), Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}, Stdin: &bytes.Buffer{}}
	root, err := m.root()
	require.NoError(t, err)
	require.NotEmpty(t, root.Example)
	enc, err := app.NewEncoding()
	require.NoError(t, err)
	check := []*cobra.Command{keysCommand()}
	for _, own := range ownCommands(enc) {
		check = append(check, own.cmd)
		_, err := find(root, own.under+" "+own.cmd.Name())
		require.NoError(t, err)
	}
	for len(check) > 0 {
		cmd := check[0]
		check = append(check[1:], cmd.Commands()...)
		if len(cmd.Commands()) == 0 {
			require.Contains(t, cmd.Example, app.BinaryName+" ", "%s has no example", cmd.CommandPath())
		}
	}
}

func TestParseAmount(t *testing.T) {
	for _, tc := range []struct {
		in, want, shown string
		err             error
	}{
		{"1NEX", "1000000000000000000anex", "1NEX", nil},
		{"0.5NEX", "500000000000000000anex", "0.5NEX", nil},
		{"0.000000000000000001NEX", "1anex", "0.000000000000000001NEX", nil},
		{"250unex", "250000000000000anex", "0.00025NEX", nil},
		{"7anex", "7anex", "0.000000000000000007NEX", nil},
		{"1000000000NEX", "1000000000000000000000000000anex", "1000000000NEX", nil},
		{"0.1anex", "", "", errAmount},
		{"1", "", "", errAmount},
		{"NEX", "", "", errAmount},
		{"-1NEX", "", "", errAmount},
		{"1.2.3NEX", "", "", errAmount},
		{"1atom", "", "", errAmount},
		{"", "", "", errAmount},
	} {
		got, err := parseAmount(tc.in)
		require.ErrorIs(t, err, tc.err, tc.in)
		if tc.err == nil {
			require.Equal(t, tc.want, got.String(), tc.in)
			require.Equal(t, tc.shown, showAmount(got), tc.in)
		}
	}
}
