// Command guest is what the tests of node/lease run as a shard.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	shard := os.Getenv("NEXARA_SHARD")
	fmt.Println("shard", shard, "begins")
	switch os.Args[len(os.Args)-1] {
	case "sleep":
		ms, _ := strconv.Atoi(os.Getenv("MILLIS"))
		time.Sleep(time.Duration(ms) * time.Millisecond)
	case "fail":
		os.Exit(3)
	case "link":
		if err := os.Symlink("../../etc/passwd", "/out/link"); err != nil {
			fmt.Println(err)
			os.Exit(4)
		}
	}
	data, err := os.ReadFile("/in/data/text")
	if err != nil {
		data = []byte("no input")
	}
	if err := os.MkdirAll("/out/deep/er", 0o755); err != nil {
		os.Exit(5)
	}
	if err := os.WriteFile("/out/deep/er/result.txt", []byte(shard+" "+string(data)), 0o644); err != nil {
		os.Exit(6)
	}
	fmt.Println("shard", shard, "ends")
}
