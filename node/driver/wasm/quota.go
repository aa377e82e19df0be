package wasm

import (
	"sync"

	"github.com/tetratelabs/wazero/sys"
)

const (
	// inodeCost is charged for every file, folder and link: names cost disk too.
	inodeCost = 4096
	// maxOpenFiles bounds the host's file handles one run can hold.
	maxOpenFiles = 256
)

// quota counts what a run holds on disk, by apparent size, over /out and /tmp
// together. Invariant: used = sum over inodes that exist or are open of
// inodeCost + size, and used <= limit.
type quota struct {
	mu    sync.Mutex
	limit int64
	used  int64
	full  bool // whether something was ever refused
	open  int
	nodes map[sys.Inode]*node // open files of /out and /tmp
	fault error               // the host failed, not the guest
}

// node is an open inode. A file that is unlinked while open is paid until the
// last handle closes, or a guest could hold any amount in nameless files.
type node struct {
	size   int64
	refs   int
	orphan bool
}

func newQuota(limit int64) *quota {
	return &quota{limit: limit, nodes: map[sys.Inode]*node{}}
}

// take charges n bytes, or refuses.
func (q *quota) take(n int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.takeLocked(n)
}

func (q *quota) takeLocked(n int64) bool {
	if n > q.limit-q.used {
		q.full = true
		return false
	}
	q.used += n
	return true
}

// give returns n bytes.
func (q *quota) give(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used -= n
}

// openFile counts a handle, or refuses.
func (q *quota) openFile() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open >= maxOpenFiles {
		return false
	}
	q.open++
	return true
}

func (q *quota) closeFile() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open--
}

// attach shares the size of an inode between its handles.
func (q *quota) attach(ino sys.Inode, size int64) *node {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.nodes[ino]
	if n == nil {
		n = &node{size: size}
		q.nodes[ino] = n
	}
	n.refs++
	return n
}

func (q *quota) detach(ino sys.Inode, n *node) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n.refs--; n.refs > 0 {
		return
	}
	delete(q.nodes, ino)
	if n.orphan {
		q.used -= inodeCost + n.size
	}
}

// resize charges the change of a file to size; do runs only when it fits.
func (q *quota) resize(n *node, size int64, do func() error) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delta := size - n.size
	if delta > 0 && !q.takeLocked(delta) {
		return false, nil
	}
	if err := do(); err != nil {
		if delta > 0 {
			q.used -= delta
		}
		return true, err
	}
	if delta < 0 {
		q.used += delta
	}
	n.size = size
	return true, nil
}

// unlinked settles an inode whose only name is gone.
func (q *quota) unlinked(ino sys.Inode, size int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := q.nodes[ino]; n != nil {
		n.orphan = true
		return
	}
	q.used -= inodeCost + size
}

// hostError remembers the first failure of the host that no guest can cause.
func (q *quota) hostError(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fault == nil {
		q.fault = err
	}
}

func (q *quota) state() (full bool, fault error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.full, q.fault
}
