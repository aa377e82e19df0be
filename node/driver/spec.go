package driver

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// Bounds of a Spec: they bound the work of whoever reads it.
const (
	maxIDBytes    = 64
	maxArgs       = 512
	maxEnv        = 512
	maxTextBytes  = 64 << 10
	maxTotalBytes = 256 << 10
	maxInputs     = 64
	maxPathBytes  = 1024
)

// Spec says what to run. The caller has checked it against its lease; a driver
// checks it against the rules here and against its own capabilities.
type Spec struct {
	// ID names the run: 1 to 64 of a-z A-Z 0-9 . _ - starting with a letter or
	// digit, unique among the runs of the driver that are not removed.
	ID string
	// Image is an absolute host path: the folder of an OCI image layout for
	// containers, a .wasm file for WASM. It must not change during Start.
	Image string
	// Args is the command line after the program. A container image's entrypoint
	// comes before it; without an entrypoint the first of Args is the program.
	// Empty means the image's own default.
	Args []string
	// Env holds NAME=value pairs, which win over the image's own.
	Env []string
	// WorkDir is an absolute guest path; empty means the image's, else "/".
	WorkDir string
	// Limits are enforced, each.
	Limits Limits
	// Network asks for an isolated network.
	Network bool
	// Inputs are mounted read-only. They do not overlap.
	Inputs []Input
}

// Input is a file or folder of the host that the guest may read.
type Input struct {
	// HostPath is absolute and readable by everybody: guests do not run as root.
	HostPath string
	// GuestPath is InputRoot or a clean path below it.
	GuestPath string
}

// Limits of a run. All must be positive except DiskMiB.
type Limits struct {
	// CPUMilli is CPU in thousandths of a core.
	CPUMilli int64
	// MemoryMiB is memory, swap included, in MiB.
	MemoryMiB int64
	// DiskMiB is the writable space of /out and /tmp together, in MiB. With 0
	// the guest has nowhere to write.
	DiskMiB int64
	// PIDs is the number of processes and threads; ignored where there are none.
	PIDs int64
	// WallSeconds is the time from start to kill.
	WallSeconds int64
	// LogBytes caps standard output and error together.
	LogBytes int64
	// OutputBytes and OutputFiles cap what is collected from /out.
	OutputBytes, OutputFiles int64
}

// DefaultLimits are sane for a small program.
func DefaultLimits() Limits {
	return Limits{
		CPUMilli: 1000, MemoryMiB: 256, DiskMiB: 64, PIDs: 256, WallSeconds: 600,
		LogBytes: 4 << 20, OutputBytes: 64 << 20, OutputFiles: 4096,
	}
}

// Validate applies the named rules. Every failure is ErrInvalidSpec.
func (s *Spec) Validate() error {
	for _, r := range specRules {
		if !r.holds(s) {
			return fmt.Errorf("%w: rule %s", ErrInvalidSpec, r.name)
		}
	}
	return nil
}

var specRules = []struct {
	name  string
	holds func(*Spec) bool
}{
	{"id", func(s *Spec) bool { return ValidID(s.ID) }},
	{"image", func(s *Spec) bool { return absolute(s.Image) }},
	{"args", func(s *Spec) bool { return len(s.Args) <= maxArgs && texts(s.Args) }},
	{"env", func(s *Spec) bool {
		if len(s.Env) > maxEnv || !texts(s.Env) {
			return false
		}
		for _, e := range s.Env {
			if strings.IndexByte(e, '=') < 1 {
				return false
			}
		}
		return true
	}},
	{"workdir", func(s *Spec) bool {
		return s.WorkDir == "" || path.IsAbs(s.WorkDir) && path.Clean(s.WorkDir) == s.WorkDir && text(s.WorkDir, maxPathBytes)
	}},
	{"limits", func(s *Spec) bool {
		l := s.Limits
		const tera = 1 << 40
		for _, v := range []int64{l.CPUMilli, l.MemoryMiB, l.PIDs, l.WallSeconds, l.LogBytes, l.OutputBytes, l.OutputFiles} {
			if v < 1 || v > 16*tera {
				return false
			}
		}
		// In these units the products with 2^20 bytes and 10^9 ns stay far from overflow.
		return l.CPUMilli <= 1<<30 && l.MemoryMiB <= 16<<20 && l.DiskMiB >= 0 && l.DiskMiB <= 16<<20 &&
			l.PIDs <= 1<<20 && l.WallSeconds <= 366*24*3600
	}},
	{"inputs", func(s *Spec) bool {
		if len(s.Inputs) > maxInputs {
			return false
		}
		for i, in := range s.Inputs {
			if !absolute(in.HostPath) || !inputPath(in.GuestPath) {
				return false
			}
			for _, o := range s.Inputs[:i] {
				if beneath(in.GuestPath, o.GuestPath) || beneath(o.GuestPath, in.GuestPath) {
					return false
				}
			}
		}
		return true
	}},
}

// ValidID is whether an ID can name a run: it is also a file name and a cgroup name.
func ValidID(id string) bool {
	if len(id) == 0 || len(id) > maxIDBytes {
		return false
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return true
}

func absolute(p string) bool {
	return filepath.IsAbs(p) && filepath.Clean(p) == p && text(p, 4*maxPathBytes)
}

func inputPath(p string) bool {
	return (p == InputRoot || strings.HasPrefix(p, InputRoot+"/")) && path.Clean(p) == p && text(p, maxPathBytes)
}

// beneath is whether p is dir or lies under it.
func beneath(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

func texts(vs []string) bool {
	total := 0
	for _, v := range vs {
		if total += len(v); !text(v, maxTextBytes) {
			return false
		}
	}
	return total <= maxTotalBytes
}

func text(v string, limit int) bool {
	return len(v) <= limit && utf8.ValidString(v) && strings.IndexByte(v, 0) < 0
}
