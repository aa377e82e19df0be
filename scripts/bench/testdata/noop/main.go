// Command noop does nothing: what remains of a run is what running costs.
package main

func main() {}
