package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// litter names what a demo left behind below its folder: mounts, processes that name it in their arguments (daemons,
// shims), loop devices with files of it.
func litter(dir string) error {
	var errs []error
	if left := mountsBelow(dir); len(left) > 0 {
		errs = append(errs, fmt.Errorf("mounts left behind: %s", strings.Join(left, ", ")))
	}
	for _, p := range processes(dir) {
		errs = append(errs, fmt.Errorf("a process left behind: %d %s", p.pid, p.name))
	}
	files, _ := filepath.Glob("/sys/block/loop*/loop/backing_file") // none where there are no loop devices
	for _, f := range files {
		if bz, err := os.ReadFile(f); err == nil && strings.HasPrefix(string(bz), dir+"/") {
			errs = append(errs, fmt.Errorf("a loop device left behind: %s", bytes.TrimSpace(bz)))
		}
	}
	return errors.Join(errs...)
}

type process struct {
	pid  int
	name string
}

// processes lists the other processes of which an argument is a path below dir.
func processes(dir string) []process {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil
	}
	var out []process
	for _, f := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err != nil || pid == os.Getpid() {
			continue
		}
		bz, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		args := strings.Split(string(bz), "\x00")
		for _, arg := range args[1:] {
			if strings.HasPrefix(arg, dir+"/") {
				out = append(out, process{pid, filepath.Base(args[0])})
				break
			}
		}
	}
	return out
}

// endStrays ends the daemons of a demo that was killed before it could: whoever else names the demo's folder,
// an editor or a shell, is left alone.
func endStrays(dir string) error {
	daemons := map[string]bool{"nexarad": true, "nexgate": true, "nexcore": true, "containerd": true, "containerd-shim-runc-v2": true}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var left []process
		for _, p := range processes(dir) {
			if daemons[p.name] {
				left = append(left, p)
				_ = syscall.Kill(p.pid, syscall.SIGKILL) // it may be gone by now: the next look tells
			}
		}
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("an earlier demo's processes cannot be ended: %v", left)
		}
	}
}
