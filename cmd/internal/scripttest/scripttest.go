// Package scripttest holds the commands that the script tests of the daemons share: ports, HTTP requests, fields
// of JSON answers, and the examples of help texts, which are run as they are printed. It is imported by tests
// only, starts no daemon itself and knows nothing of what the programs do.
package scripttest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// Patience bounds every wait of a script; what is waited for takes seconds.
const Patience = 60 * time.Second

const (
	requestTimeout = 10 * time.Second
	maxBody        = 1 << 20
)

// Command is a command of a script. neg says that the line starts with an exclamation mark.
type Command = func(ts *testscript.TestScript, neg bool, args []string)

// Commands are, by name:
//
//	free-ports VARIABLE ...          sets each variable to a port that nothing listens on
//	field VARIABLE NAME              sets a variable to a field of the JSON object that the last command printed
//	wait-http URL                    waits until a GET of URL succeeds
//	http METHOD URL STATUS [FILE]    makes a request, wants the status, writes the body to FILE
//	signal-term                      sends SIGTERM, which kill cannot, to what runs in the background
//	[!] examples PROGRAM COMMAND     runs every example in the help of a command; with ! each must fail
func Commands() map[string]Command {
	return map[string]Command{"free-ports": freePorts, "field": field, "wait-http": waitHTTP, "http": request, "signal-term": signalTerm, "examples": examples}
}

func freePorts(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close()
		ts.Setenv(name, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
}

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

func waitHTTP(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: wait-http URL")
	}
	var last error
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		status, _, err := ask(http.MethodGet, args[0])
		if err == nil && status/100 == 2 {
			return
		}
		last = fmt.Errorf("HTTP status %d, %w", status, err)
	}
	ts.Fatalf("%s never answered: %v", args[0], last)
}

func request(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 && len(args) != 4 {
		ts.Fatalf("usage: http METHOD URL STATUS [FILE]")
	}
	status, body, err := ask(args[0], args[1])
	ts.Check(err)
	if strconv.Itoa(status) != args[2] {
		ts.Fatalf("%s %s: HTTP status %d, not %s: %s", args[0], args[1], status, args[2], body)
	}
	if len(args) == 4 {
		ts.Check(os.WriteFile(ts.MkAbs(args[3]), body, 0o600))
	}
}

func ask(method, url string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	return res.StatusCode, body, err
}

func signalTerm(ts *testscript.TestScript, _ bool, _ []string) {
	sent := false
	for _, cmd := range ts.BackgroundCmds() {
		if cmd.Process.Signal(syscall.SIGTERM) == nil {
			sent = true
		}
	}
	if !sent {
		ts.Fatalf("nothing runs in the background")
	}
}

// examples lets a shell run what the help shows. Two things cannot be true everywhere and are replaced: the
// address nexa1... by $OPERATOR, and the folder /srv by one in the script's own.
func examples(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: examples PROGRAM COMMAND")
	}
	ts.Check(ts.Exec(args[0], args[1], "--help"))
	lines := Examples(ts.ReadFile("stdout"))
	if len(lines) == 0 {
		ts.Fatalf("%s %s has no examples", args[0], args[1])
	}
	fill := strings.NewReplacer("nexa1...", ts.Getenv("OPERATOR"), "/srv/", ts.MkAbs("srv")+"/")
	for _, line := range lines {
		if !strings.Contains(line, args[0]+" "+args[1]) {
			ts.Fatalf("the example %q does not show %s", line, args[1])
		}
		err := ts.Exec("sh", "-c", fill.Replace(line))
		if neg && err == nil {
			ts.Fatalf("the example %q should have failed", line)
		}
		if !neg && err != nil {
			ts.Fatalf("the example %q: %v\n%s", line, err, ts.ReadFile("stderr"))
		}
	}
}

// Examples are the lines of a help text's examples; those that end in a backslash are joined with the next.
func Examples(help string) []string {
	_, rest, found := strings.Cut(help, "\nExamples:\n")
	if !found {
		return nil
	}
	block, _, _ := strings.Cut(rest, "\n\n")
	var out []string
	open := false
	for line := range strings.Lines(block) {
		line = strings.TrimSpace(line)
		line, more := strings.CutSuffix(line, `\`)
		if open {
			out[len(out)-1] += line
		} else {
			out = append(out, line)
		}
		open = more
	}
	return out
}
