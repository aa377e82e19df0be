package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// rawWrite has nothing to add where the kernel resolves paths.
func rawWrite(string) {}

// hostActs need processes, sockets or kernel calls.
var hostActs = map[string]func([]string) error{
	// bomb starts copies of itself that do the same.
	"bomb": func([]string) error {
		deadline := time.Now().Add(5 * time.Second)
		failed := 0
		for failed < 20 && time.Now().Before(deadline) {
			cmd := exec.Command("/proc/self/exe", "bomb")
			if err := cmd.Start(); err != nil {
				failed++
				fmt.Println("fork:", err)
			}
		}
		if failed == 0 {
			return nil
		}
		return errors.New("no more processes")
	},
	"net": func([]string) error {
		ifs, err := net.Interfaces()
		if err != nil {
			return err
		}
		for _, i := range ifs {
			fmt.Println("interface", i.Name)
			if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
				return nil
			}
		}
		c, err := net.DialTimeout("udp", "192.0.2.1:9", time.Second)
		if err == nil {
			c.Close()
		}
		return err
	},
	// privilege tries what only root or a capability may do.
	"privilege": func([]string) error {
		tries := map[string]error{
			"setuid":  syscall.Setuid(0),
			"chroot":  syscall.Chroot("/tmp"),
			"mount":   syscall.Mount("none", "/tmp", "tmpfs", 0, ""),
			"mknod":   syscall.Mknod("/tmp/null", syscall.S_IFBLK|0o600, 0x0801),
			"host":    syscall.Sethostname([]byte("x")),
			"unshare": syscall.Unshare(syscall.CLONE_NEWUSER),
		}
		for name, err := range tries {
			if err == nil {
				fmt.Println("could", name)
				return nil
			}
		}
		for _, p := range []string{"/proc/kcore", "/proc/sys/kernel/hostname", "/sys/kernel/uevent_helper", "/proc/sysrq-trigger"} {
			if f, err := os.OpenFile(p, os.O_WRONLY, 0); err == nil {
				f.Close()
				fmt.Println("could open", p)
				return nil
			}
		}
		return errors.New("nothing allowed")
	},
	// special leaves a pipe in its outputs.
	"special": func([]string) error { return syscall.Mkfifo("/out/pipe", 0o644) },
}
