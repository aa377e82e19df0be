package wasm

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// limitSelf bounds this process's CPU time and writable memory, and makes it yield
// to everything else.
func limitSelf(seconds, bytes uint64) error {
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 10) // a wish
	if err := unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: seconds, Max: seconds}); err != nil {
		return err
	}
	return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: bytes, Max: bytes})
}

// alone makes the compiler end with the daemon.
func alone(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
