package gateway

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/nexara/nexara/node/blob"
)

// defaultStall is how long a body may stand still, either way.
const defaultStall = 30 * time.Second

// paced lets no body stand still for longer than stall, on any route. A request's body has that time as a whole, unless
// its handler renews it as an upload does; an answer has it for each part of it. Without this a client that sends or
// takes nothing would hold its handler for ever.
func paced(next http.Handler, stall time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := newSteady(w, stall)
		begin := func() {
			if r.ContentLength != 0 { // else the server watches the connection for its end, and a deadline would be one
				_ = out.ctl.SetReadDeadline(time.Now().Add(stall))
			}
			out.renew()
		}
		begin()
		next.ServeHTTP(out, r)
		begin() // the server sends what is left, and drains what the handler did not read
	})
}

// steady is an answer with a time limit on standing still.
type steady struct {
	http.ResponseWriter
	ctl    *http.ResponseController
	stall  time.Duration
	status int // 0 before the answer begins
}

func newSteady(w http.ResponseWriter, stall time.Duration) *steady {
	return &steady{ResponseWriter: w, ctl: http.NewResponseController(w), stall: stall}
}

// Unwrap lets http.ResponseController reach the connection.
func (s *steady) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// renew starts the time anew; a server without deadlines has its own limits.
func (s *steady) renew() { _ = s.ctl.SetWriteDeadline(time.Now().Add(s.stall)) }

func (s *steady) WriteHeader(status int) {
	s.renew()
	if s.status == 0 {
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

// Write sends in small parts, so that a slow client is not taken for one that stands still.
func (s *steady) Write(p []byte) (n int, err error) {
	const part = 32 << 10
	if s.status == 0 {
		s.status = http.StatusOK
	}
	for err == nil && n < len(p) {
		s.renew()
		var m int
		m, err = s.ResponseWriter.Write(p[n:min(len(p), n+part)])
		n += m
	}
	return n, err
}

// body is a request body with a cap and a time limit on standing still.
type body struct {
	r     io.Reader
	ctl   *http.ResponseController
	stall time.Duration
	left  int64
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("upload: %w", blob.ErrTooLarge)
	}
	_ = b.ctl.SetReadDeadline(time.Now().Add(b.stall)) // a server without deadlines has its own limits
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		err = fmt.Errorf("upload stood still for %s: %w", b.stall, blob.ErrTimeout)
	}
	return n, err
}

// started calls begin before the first byte, and remembers that the answer has begun.
type started struct {
	w     io.Writer
	begin func()
	begun bool
}

func (s *started) Write(p []byte) (int, error) {
	if !s.begun {
		s.begun = true
		s.begin()
	}
	return s.w.Write(p)
}
