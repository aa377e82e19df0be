package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// nodeStopTimeout bounds how long a node may take to stop before it is killed.
const nodeStopTimeout = 30 * time.Second

// startTestnet runs every node of a network as a process of its own until ctx ends, then stops them. A node that
// ends by itself ends the network: nobody looks after half a network. Each node's log is node.log in its home.
func startTestnet(ctx context.Context, report testnetReport, say io.Writer) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(report.Nodes))
	running := 0
	for _, n := range report.Nodes {
		if err = startNode(ctx, program, n, ended); err != nil {
			cancel()
			break
		}
		running++
		fmt.Fprintf(say, "%s runs, log in %s\n", n.Name, nodeLog(n))
	}
	var errs []error
	for ; running > 0; running-- {
		if failed := <-ended; ctx.Err() == nil {
			errs = append(errs, failed)
			cancel()
		}
	}
	return errors.Join(append(errs, err)...)
}

func nodeLog(n nodeReport) string { return filepath.Join(n.Home, "node.log") }

// startNode starts one node and reports its end.
func startNode(ctx context.Context, program string, n nodeReport, ended chan<- error) error {
	log, err := os.OpenFile(nodeLog(n), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	cmd := exec.CommandContext(ctx, program, "start", "--home", n.Home)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = nodeStopTimeout
	// A group of its own: Ctrl-C reaches the nodes once, through us, and not twice.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", n.Name, errors.Join(err, log.Close()))
	}
	go func() {
		err := errors.Join(cmd.Wait(), log.Close())
		ended <- fmt.Errorf("%w: %s ended, its log is %s: %w", errTestnet, n.Name, nodeLog(n), errors.Join(err, errNodeEnded))
	}()
	return nil
}

// errNodeEnded is the cause where a node ended without an error of its own.
var errNodeEnded = errors.New("it stopped by itself")
