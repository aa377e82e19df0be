// Command guest is what the conformance suite runs inside every driver. Its first
// argument names an act, honest or hostile. It exits with 0 when the act worked
// and with 1 when it was refused, unless the act says otherwise.
package main

import (
	"errors"
	"fmt"

	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Println("no act")
		os.Exit(2)
	}
	act, ok := acts[os.Args[1]]
	if !ok {
		act, ok = hostActs[os.Args[1]]
	}
	if !ok {
		fmt.Println("unknown act")
		os.Exit(2)
	}
	if err := act(os.Args[2:]); err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}

var acts = map[string]func([]string) error{
	// hello prints its arguments, sorted environment and working directory.
	"hello": func(args []string) error {
		env := os.Environ()
		sort.Strings(env)
		dir, _ := os.Getwd()
		fmt.Printf("args=%q\nenv=%q\ndir=%s\n", args, env, dir)
		fmt.Fprintln(os.Stderr, "to stderr")
		return nil
	},
	"nothing": func([]string) error { return nil },
	"exit": func(args []string) error {
		n, err := strconv.Atoi(args[0])
		if err == nil {
			os.Exit(n)
		}
		return err
	},
	// copy copies a tree of files.
	"copy": func(args []string) error {
		return filepath.WalkDir(args[0], func(p string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(args[0], p)
			if err != nil || rel == "." {
				return err
			}
			to := filepath.Join(args[1], rel)
			if e.IsDir() {
				return os.MkdirAll(to, 0o755)
			}
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			return os.WriteFile(to, b, 0o644)
		})
	},
	// tamper tries to change its inputs in every way it knows.
	"tamper": func(args []string) error {
		tries := []error{
			os.WriteFile(filepath.Join(args[0], "new"), []byte("x"), 0o644),
			os.WriteFile(args[1], []byte("x"), 0o644),
			os.Remove(args[1]),
			os.Rename(args[1], args[1]+".moved"),
			os.Mkdir(filepath.Join(args[0], "dir"), 0o755),
			os.Truncate(args[1], 0),
			os.Symlink("/etc", filepath.Join(args[0], "link")),
			os.WriteFile("/outside", []byte("x"), 0o644),
			os.WriteFile("/etc/passwd", []byte("x"), 0o644),
		}
		for i, err := range tries {
			if err == nil {
				fmt.Println("tampered", i)
				return nil
			}
		}
		return errors.New("all refused")
	},
	// hog touches memory until it is stopped.
	"hog": func(args []string) error {
		var all [][]byte
		for i := 0; ; i++ {
			b := make([]byte, 1<<20)
			for j := 0; j < len(b); j += 512 {
				b[j] = byte(j)
			}
			all = append(all, b)
			if i%16 == 0 {
				fmt.Println("holding", len(all), "MiB")
			}
		}
	},
	// fill writes until it is refused; with "ignore" it goes on for ever after.
	"fill": func(args []string) error {
		b := make([]byte, 256<<10)
		for i := 0; ; i++ {
			err := os.WriteFile(filepath.Join("/out", "fill"+strconv.Itoa(i)), b, 0o644)
			if err != nil {
				return err
			}
		}
	},
	// hide fills the disk through files that have no name any more.
	"hide": func(args []string) error {
		b := make([]byte, 256<<10)
		for i := 0; ; i++ {
			p := filepath.Join("/tmp", "hide"+strconv.Itoa(i))
			f, err := os.Create(p)
			if err != nil {
				return err
			}
			if _, err := f.Write(b); err != nil {
				return err
			}
			if err := os.Remove(p); err != nil {
				return err
			}
			held = append(held, f)
		}
	},
	// churn writes and deletes far more than fits at once, which is allowed.
	"churn": func(args []string) error {
		b := make([]byte, 1<<20)
		for range 64 {
			if err := os.WriteFile("/tmp/churn", b, 0o644); err != nil {
				return err
			}
			if err := os.Rename("/tmp/churn", "/tmp/churned"); err != nil {
				return err
			}
			if err := os.Remove("/tmp/churned"); err != nil {
				return err
			}
		}
		return nil
	},
	// sparse asks for a file larger than any disk.
	"sparse": func([]string) error {
		f, err := os.Create("/out/sparse")
		if err != nil {
			return err
		}
		if _, err := f.WriteAt([]byte("x"), 1<<33); err != nil {
			return err
		}
		return f.Close()
	},
	"spin": func([]string) error {
		for n := 0; ; n++ {
			if n < 0 {
				return nil
			}
		}
	},
	// burn computes for a number of milliseconds.
	"burn": func(args []string) error {
		ms, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		x, start := uint64(1), time.Now()
		for time.Since(start) < time.Duration(ms)*time.Millisecond {
			for range 10_000 {
				x = x*6364136223846793005 + 1442695040888963407
			}
		}
		fmt.Println(x)
		return nil
	},
	"sleep": func(args []string) error {
		ms, err := strconv.Atoi(args[0])
		if err == nil {
			fmt.Println("sleeping")
			time.Sleep(time.Duration(ms) * time.Millisecond)
			fmt.Println("awake")
		}
		return err
	},
	// flood prints for ever and takes no notice of errors.
	"flood": func([]string) error {
		line := []byte(strings.Repeat("flood ", 1000) + "\n")
		for {
			_, _ = os.Stdout.Write(line)
		}
	},
	// talk prints numbered lines, one every few milliseconds.
	"talk": func(args []string) error {
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		for i := range n {
			fmt.Println("line", i)
			time.Sleep(5 * time.Millisecond)
		}
		return nil
	},
	// climb tries to write outside its folders by path and by link.
	"climb": func(args []string) error {
		name := args[0]
		if err := os.WriteFile("/out/honest", []byte("ok"), 0o644); err != nil {
			return err
		}
		_ = os.Symlink("..", "/out/up")
		_ = os.Symlink("/", "/out/root")
		for depth := range 12 {
			up := strings.Repeat("../", depth)
			for _, dir := range []string{"/out/", "/tmp/", "/in/", "/out/up/", "/out/root/"} {
				for _, base := range []string{"tmp/", "var/tmp/", ""} {
					_ = os.WriteFile(dir+up+base+name, []byte("climbed"), 0o644)
					rawWrite(up + base + name)
					rawWrite("up/" + up + base + name)
					rawWrite("root/" + base + name)
				}
			}
		}
		_ = os.Remove("/out/up")
		_ = os.Remove("/out/root")
		return nil
	},
	// link leaves a symbolic link in its outputs.
	"link": func(args []string) error {
		if err := os.WriteFile("/out/honest", []byte("ok"), 0o644); err != nil {
			return err
		}
		return os.Symlink(args[0], "/out/link")
	},
	// read prints a file.
	"read": func(args []string) error {
		b, err := os.ReadFile(args[0])
		if err == nil {
			fmt.Printf("content=%s\n", b)
		}
		return err
	},
	// files makes many small files.
	"files": func(args []string) error {
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		for i := range n {
			if err := os.WriteFile(filepath.Join("/out", "f"+strconv.Itoa(i)), []byte("x"), 0o644); err != nil {
				return err
			}
		}
		return nil
	},
	// identity prints what it can learn about itself.
	"identity": func([]string) error {
		b, err := os.ReadFile("/proc/self/status")
		fmt.Printf("uid=%d gid=%d\n%s\n", os.Getuid(), os.Getgid(), b)
		return err
	},
}

var held []*os.File
