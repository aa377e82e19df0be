package loopback

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequest(t *testing.T) {
	for name, c := range map[string]struct {
		remote, header string
		want           bool
	}{
		"a program":       {"127.0.0.1:5", "", true},
		"a program, IPv6": {"[::1]:5", "", true},
		"elsewhere":       {"192.0.2.1:5", "", false},
		"no address":      {"@", "", false},
		"a web page":      {"127.0.0.1:5", "Origin", false},
		"a proxy":         {"127.0.0.1:5", "X-Forwarded-For", false},
		"another proxy":   {"127.0.0.1:5", "Via", false},
	} {
		r := httptest.NewRequest("POST", "/", nil)
		r.RemoteAddr = c.remote
		if c.header != "" {
			r.Header.Set(c.header, "x")
		}
		require.Equal(t, c.want, Request(r), name)
	}
}

func TestHost(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1:8490": true, "127.0.0.1": true, "localhost": true, "localhost:1": true, "[::1]:8490": true,
		"rebound.example": false, "rebound.example:8490": false, "192.0.2.1:8490": false, "": false, "127.0.0.1.example": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		require.Equal(t, want, Host(r), host)
	}
}
