package key

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxFileBytes bounds a key file: 64 hex digits and a line end, with room for Windows editors.
const maxFileBytes = 128

var (
	// ErrPermissions means a key file can be read by others than its owner.
	ErrPermissions = errors.New("key file is readable by others")
	// ErrFile means a file is not a key file.
	ErrFile = errors.New("not a key file")
)

// Load reads a key file: 64 hex digits. A file that group or others may touch is
// ErrPermissions, one that is absent is fs.ErrNotExist.
func Load(path string) (*Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	defer f.Close()
	// The open file is asked, not the path: it cannot be swapped in between.
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrFile, path)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o; run: chmod 600 %s", ErrPermissions, path, perm, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	if len(b) > maxFileBytes {
		return nil, fmt.Errorf("%w: %s is larger than a key", ErrFile, path)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not hexadecimal", ErrFile, path)
	}
	k, err := FromSecret(secret)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFile, path, err)
	}
	return k, nil
}

// Create makes a new key and writes it to path with mode 0600, durably. A file
// that exists already is fs.ErrExist and stays as it is.
func Create(path string) (*Key, error) {
	k, err := Generate()
	if err != nil {
		return nil, err
	}
	if err := k.Save(path); err != nil {
		return nil, err
	}
	return k, nil
}

// Save writes the key to a new file with mode 0600, durably. It never replaces a
// file: losing a key loses what it owns.
func (k *Key) Save(path string) error {
	dir := filepath.Dir(path)
	// CreateTemp gives mode 0600 whatever the umask. Link fails when path exists
	// and shows the whole file or nothing.
	tmp, err := os.CreateTemp(dir, ".key-*")
	if err != nil {
		return fmt.Errorf("create key file: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, werr := io.WriteString(tmp, hex.EncodeToString(k.secret.Serialize())+"\n")
	if err := errors.Join(werr, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		return fmt.Errorf("create key file: %w", err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("create key file: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("create key file: %w", err)
	}
	return nil
}

// LoadOrCreate loads path, or creates it when it is absent. created says which.
func LoadOrCreate(path string) (k *Key, created bool, err error) {
	k, err = Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, false, err
	}
	k, err = Create(path)
	if errors.Is(err, fs.ErrExist) {
		// Another process was faster: its key is the key.
		k, err = Load(path)
		return k, false, err
	}
	return k, err == nil, err
}
