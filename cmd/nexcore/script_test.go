package main

import (
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nexara/nexara/cmd/internal/scripttest"
	"github.com/nexara/nexara/node/key"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nexcore": main})
}

// TestScripts runs the program as users do, one story per file of testdata/script. $OPERATOR is an address.
func TestScripts(t *testing.T) {
	cmds := scripttest.Commands()
	cmds["stub-node"] = stubNodeCommand
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			k, err := key.Generate()
			if err != nil {
				return err
			}
			env.Setenv("OPERATOR", k.Address())
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Cmds: cmds,
	})
}

// stubNodeCommand starts a node of chain t-1 that makes blocks and knows no record. Its clock is ahead of this
// machine's.
//
//	stub-node VARIABLE AHEAD
func stubNodeCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: stub-node VARIABLE AHEAD")
	}
	ahead, err := time.ParseDuration(args[1])
	ts.Check(err)
	s := stubNode(ahead)
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.URL)
}
