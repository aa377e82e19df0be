// Package containerd is the driver that runs OCI images on the host's containerd
// and runc or crun, or on a private containerd that StartDaemon starts.
//
// A container gets a read-only root shared by all runs of its image, a user that
// is never root, no capability, no way to new privileges, the default seccomp
// profile for its own architecture, masked kernel files and its own empty network.
// CPU, memory with swap, processes, writable space, log and time are limited.
// Writable space is a sized tmpfs when small and a fixed-size ext4 file when large;
// the log is on a tmpfs of its size, so that its cap holds even while the daemon is
// down. Runs outlive the daemon: everything needed to meter and judge them is in the
// runtime, in cgroups and in the run's folder, and Recover reads it back.
//
// It never leases, prices, packs, pulls from a registry or reaches a network.
// Place in the flow: node/lease hands it a Spec, it hands back an Outcome, a log
// and an output folder.
package containerd

import (
	"errors"
	"log/slog"
	"path/filepath"
	"regexp"
	"time"

	"github.com/nexara/nexara/node/driver"
)

// Config of the driver. Dir and Address are required.
type Config struct {
	// Dir is the driver's own folder: runs, their files and mounts.
	Dir string
	// Address is containerd's socket.
	Address string
	// Namespace separates this daemon from others on the same containerd.
	Namespace string
	// OCIRuntime makes the containers: runc, crun, or empty for crun where it proves itself on this host and runc else.
	OCIRuntime string
	// Log receives what operators should know; nil discards.
	Log *slog.Logger
	// TmpfsMaxMiB is the largest writable space kept in memory. Larger ones are
	// files on the disk of Dir; they start slower and cost no memory.
	TmpfsMaxMiB int64
	// MaxImageBytes and MaxUnpackedBytes bound an image as fetched and unpacked;
	// MaxImageFiles bounds its files.
	MaxImageBytes, MaxUnpackedBytes, MaxImageFiles int64
	// MaxImages is how many unpacked images are kept.
	MaxImages int
	// MinFreeBytes of the disk of Dir are never promised to a run.
	MinFreeBytes int64
	// StopGrace is the time between the polite and the final signal of Stop.
	StopGrace time.Duration
	// RuntimeGrace is how long a run is not given up while containerd does not answer.
	RuntimeGrace time.Duration
}

// Default fills what is not set.
func (c Config) Default() Config {
	if c.Namespace == "" {
		c.Namespace = "nexara"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.TmpfsMaxMiB == 0 {
		c.TmpfsMaxMiB = 64
	}
	if c.MaxImageBytes == 0 {
		c.MaxImageBytes = 8 << 30
	}
	if c.MaxUnpackedBytes == 0 {
		c.MaxUnpackedBytes = 16 << 30
	}
	if c.MaxImageFiles == 0 {
		c.MaxImageFiles = 1 << 20
	}
	if c.MaxImages == 0 {
		c.MaxImages = 32
	}
	if c.MinFreeBytes == 0 {
		c.MinFreeBytes = 64 << 20
	}
	if c.StopGrace == 0 {
		c.StopGrace = 2 * time.Second
	}
	if c.RuntimeGrace == 0 {
		c.RuntimeGrace = time.Minute
	}
	return c
}

var validNamespace = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)

// Validate reports the first wrong field.
func (c Config) Validate() error {
	switch {
	case !filepath.IsAbs(c.Dir):
		return errors.New("containerd: Dir must be absolute")
	case !filepath.IsAbs(c.Address):
		return errors.New("containerd: Address must be the absolute path of a socket")
	case !validNamespace.MatchString(c.Namespace) || len(c.Namespace) > 64:
		return errors.New("containerd: Namespace must be lower-case letters, digits and single . _ -")
	case c.OCIRuntime != "" && c.OCIRuntime != "runc" && c.OCIRuntime != "crun":
		return errors.New("containerd: OCIRuntime must be runc, crun or empty")
	case c.TmpfsMaxMiB < 0, c.MaxImageBytes < 1, c.MaxUnpackedBytes < 1, c.MaxImageFiles < 1, c.MaxImages < 1,
		c.MinFreeBytes < 0, c.StopGrace < 0, c.RuntimeGrace < 0:
		return errors.New("containerd: limits must be positive")
	}
	return nil
}

var (
	_ driver.Driver    = (*Driver)(nil)
	_ driver.Recoverer = (*Driver)(nil)
	_ driver.Sweeper   = (*Driver)(nil)
)
