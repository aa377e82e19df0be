// Command worker is the workload of survival tests: it works for SECONDS, prints a line for each, and leaves
// its shard's number in /out.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	seconds, err := strconv.ParseFloat(os.Getenv("SECONDS"), 64)
	if err != nil {
		fmt.Println("SECONDS:", err)
		os.Exit(2)
	}
	shard := os.Getenv("NEXARA_SHARD")
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	for i := 0; time.Now().Before(end); i++ {
		fmt.Printf("shard %s second %d\n", shard, i)
		time.Sleep(min(time.Second, time.Until(end)))
	}
	if err := os.WriteFile("/out/shard", []byte(shard), 0o644); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
