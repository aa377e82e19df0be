// Command nexarad is the chain: a node that validates and serves it, and the command line that reads
// and signs for it. It is the last room of the chain's side and wires only: modules come from app,
// the generated commands from AutoCLI. It links no libp2p: blobs travel over HTTP to a gateway.
//
//	main.go      signals and exit status
//	root.go      the command tree and what runs before each command
//	tree.go      which commands there are; ownCommands is where ours are listed
//	node.go      how start and export make the application
//	config.go    what a node's files say
//	init.go      one node's files
//	testnet*.go  the files of a whole network on one machine
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/nexara/nexara/app"
)

func main() {
	os.Exit(run())
}

// run is main with a status, for tests that run the program in a process of their own.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks; a second one, now unhandled, ends the process.
	context.AfterFunc(ctx, stop)

	home, err := app.DefaultHome()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", app.BinaryName, err)
		return 1
	}
	m := Main{Args: os.Args[1:], Home: home, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	if err := m.Run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", app.BinaryName, err)
		return 1
	}
	return 0
}

// Main is one run of the program.
type Main struct {
	// Args are the arguments after the program's name.
	Args []string
	// Home is the node's folder unless --home names another.
	Home string
	// Stdin, Stdout and Stderr are the streams: results go to Stdout, prompts and errors to Stderr.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}
