// Package loopback tells requests of programs on this machine from all others. Both
// daemons have routes that need no signature because only this machine may call
// them, and a loopback address alone does not say so: a proxy passes requests on, a
// web page makes a browser send them. It reads requests and answers nothing. Its
// place in the flow is in front of the gateway's uploads and of the local API of
// node/provider.
package loopback

import (
	"net"
	"net/http"
)

// Request is whether a program on this machine sent the request by itself: not one
// that a proxy passed on, nor one that a web page made a browser send.
func Request(r *http.Request) bool {
	for _, h := range []string{"Origin", "Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	return isLoopback(r.RemoteAddr)
}

// Host is whether the request is addressed to a loopback address or to localhost. A
// page whose name was pointed at this machine reads answers as its own origin, and
// no header but this one tells.
func Host(r *http.Request) bool {
	return r.Host == "localhost" || isLoopback(r.Host) || isLoopback(net.JoinHostPort(r.Host, "0"))
}

// isLoopback is whether host:port names this machine.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}
