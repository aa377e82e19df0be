// Package imports keeps two promises of the architecture as tests, and holds nothing else.
//
// arrows_test.go says who may import whom: a table of rules, each with its reason, checked against
// `go list`. A rule that names a package which no longer exists fails, so that the table cannot go stale.
//
// statecode_test.go says what code that decides state may contain: no floats, clock, goroutines, channels,
// map order, randomness or panics. It reads the syntax and the types of every file of x/ that is neither a
// test nor generated. What is excepted is listed with its reason, and an exception that nothing needs fails too.
package imports
