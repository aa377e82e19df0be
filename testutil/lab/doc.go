// Package lab is the market's laboratory: it replays the tasks of a recorded GPU cluster against that cluster's
// machines, once per policy, and measures what each policy makes of the same book. Policies are the clearing of
// x/tasks/auction (by any of its solvers) and online schedulers from the literature; every pair of task and machine
// is admitted by the auction's own table of rules, for all of them alike.
//
//	trace files --ReadNodes, ReadPods--> NewMarket --Simulate(policy)--> Run --Report--> tables and plots
//
// It is imported by tests and by its own command. It never takes part in consensus, holds no key and opens no
// socket; floats appear only in what it prints. Everything but the measured times is a function of Config.
//
// Units: money is in unex (10^-6 NEX), shares in parts of one, loads in thousandths, time in blocks of the replay.
package lab
