package containerd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/errdefs"

	"github.com/nexara/nexara/node/driver"
)

// Erase removes all that this driver's namespace holds, runs and images of earlier
// processes included, and the namespace itself. It is for whoever tried something
// and leaves; the driver is good for nothing but Close after it.
func (d *Driver) Erase(ctx context.Context) error {
	_, err := d.Sweep(ctx, nil)
	d.mu.Lock()
	d.closed = true
	var digests []string
	for digest := range d.images {
		digests = append(digests, digest)
	}
	clear(d.images)
	d.mu.Unlock()
	d.drop(ctx, digests)
	ctx, cancel := d.call(ctx)
	defer cancel()
	for {
		gone := d.deleteNamespace(ctx)
		if gone == nil || ctx.Err() != nil || !errdefs.IsFailedPrecondition(gone) {
			if gone != nil {
				gone = fmt.Errorf("%w: namespace %s: %w", driver.ErrFault, d.cfg.Namespace, gone)
			}
			return errors.Join(err, gone)
		}
		// Something is still being let go.
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// deleteNamespace collects what nothing refers to any more, which only a lease can
// ask for, and deletes the namespace if that leaves it empty.
func (d *Driver) deleteNamespace(ctx context.Context) error {
	manager := d.client.LeasesService()
	l, err := manager.Create(ctx, leases.WithRandomID(), leases.WithExpiration(time.Minute))
	if err != nil {
		return err
	}
	if err := manager.Delete(ctx, l, leases.SynchronousDelete); err != nil {
		return err
	}
	err = d.client.NamespaceService().Delete(ctx, d.cfg.Namespace)
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}
