//go:build !linux

package containerd

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nexara/nexara/node/driver"
)

// Driver does not exist away from Linux: New always fails.
type Driver struct{ driver.Driver }

// New answers driver.ErrUnavailable.
func New(context.Context, Config) (*Driver, error) {
	return nil, fmt.Errorf("%w: containers need Linux", driver.ErrUnavailable)
}

// Recover finds nothing.
func (*Driver) Recover(context.Context, string) (driver.Run, error) { return nil, driver.ErrNotFound }

// Sweep removes nothing.
func (*Driver) Sweep(context.Context, []string) ([]string, error) { return nil, nil }

// DaemonConfig is described where there are daemons.
type DaemonConfig struct {
	Root, State, Address, Binary string
	Adopt                        bool
	StartTimeout                 time.Duration
	Log                          *slog.Logger
}

// Daemon does not exist away from Linux.
type Daemon struct{}

// StartDaemon answers driver.ErrUnavailable.
func StartDaemon(context.Context, DaemonConfig) (*Daemon, error) {
	return nil, fmt.Errorf("%w: containers need Linux", driver.ErrUnavailable)
}

// Address is empty.
func (*Daemon) Address() string { return "" }

// PID is 0.
func (*Daemon) PID() int { return 0 }

// Stop does nothing.
func (*Daemon) Stop(context.Context) error { return nil }
