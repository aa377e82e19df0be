package blob

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// The error classes of blobs, asked with errors.Is.
var (
	// ErrNotFound: the block is not stored, or no source has it.
	ErrNotFound = errors.New("block not found")
	// ErrCorrupt: bytes do not match their CID. They are never returned as data.
	ErrCorrupt = errors.New("bytes do not match the CID")
	// ErrTooLarge: a limit on bytes, blocks, entries or depth was passed.
	ErrTooLarge = errors.New("limit exceeded")
	// ErrTimeout: no answer in time.
	ErrTimeout = errors.New("timed out")
	// ErrNoSpace: the store's cap or the disk is full.
	ErrNoSpace = errors.New("no space left")
	// ErrUnsupported: a codec, hash, CAR version or file kind that is not handled.
	ErrUnsupported = errors.New("unsupported")
	// ErrInvalid: malformed data that does match its CID, or a malformed stream or name.
	ErrInvalid = errors.New("malformed")
	// ErrUnavailable: a source could not be reached or broke off; trying again may work.
	ErrUnavailable = errors.New("source unavailable")
	// ErrClosed: the store or node was closed.
	ErrClosed = errors.New("closed")
)

// codes are the names of the classes on the wire, in the order in which Code looks for them.
var codes = []struct {
	err  error
	code string
}{
	{ErrCorrupt, "corrupt"},
	{ErrTooLarge, "too_large"},
	{ErrNoSpace, "no_space"},
	{ErrUnsupported, "unsupported"},
	{ErrInvalid, "invalid"},
	{ErrNotFound, "not_found"},
	{ErrTimeout, "timeout"},
	{ErrUnavailable, "unavailable"},
	{ErrClosed, "closed"},
}

// Code is the name of err's class for other programs, or "" when it has none.
func Code(err error) string {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return ""
}

// OfCode is the class of a name that Code gave, or nil.
func OfCode(code string) error {
	for _, c := range codes {
		if c.code == code {
			return c.err
		}
	}
	return nil
}

// ContextErr maps the end of ctx to the package's classes: ErrTimeout for a passed deadline, the context's
// own error for a cancellation, nil while ctx lives.
func ContextErr(ctx context.Context) error {
	err := ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	return err
}

// DiskErr adds ErrNoSpace to an error of the file system that means a full disk or quota.
func DiskErr(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}
