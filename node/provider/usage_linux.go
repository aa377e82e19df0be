package provider

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"
)

// usage is this process's resident memory in bytes and CPU time in seconds; zero when unknown.
func usage() (rss int64, cpu float64) {
	if raw, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := bytes.Fields(raw); len(f) > 1 {
			if pages, err := strconv.ParseInt(string(f[1]), 10, 64); err == nil {
				rss = pages * int64(os.Getpagesize())
			}
		}
	}
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil {
		cpu = (time.Duration(u.Utime.Nano()) + time.Duration(u.Stime.Nano())).Seconds()
	}
	return rss, cpu
}
