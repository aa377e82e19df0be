package wasm

import (
	"errors"
	"os"
	"sync"
)

// errLogFull is what the guest's write gets once the log is full.
var errLogFull = errors.New("wasm: log is full")

// cappedLog is the run's standard output and error. The first byte too many calls
// full, once; what fitted is kept.
type cappedLog struct {
	mu   sync.Mutex
	file *os.File
	left int64
	full func()
	lost bool  // whether full was called
	err  error // the host's, if writing failed
}

func (l *cappedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fits := p[:min(int64(len(p)), l.left)]
	n, err := l.file.Write(fits)
	l.left -= int64(n)
	if err != nil {
		l.err = err
		return n, err
	}
	if n < len(p) {
		if !l.lost {
			l.lost = true
			l.full()
		}
		return n, errLogFull
	}
	return n, nil
}
