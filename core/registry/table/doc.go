// Package table is a map of addresses that any goroutine reads without a lock while one goroutine writes to it.
//
// It is the Registry's own because a look-up is on the way of every message. The standard library's concurrent map, [sync.Map], takes
// 1.2 to 1.5 times as long where the same few addresses are looked up again and again, 5 times as long where 10,000 are in no order, and
// 6 times as long where a million are (BenchmarkGet: 36 and 43 ns, 38 and 210 ns, 0.28 and 1.8 µs on 2 cores of an EPYC). It keeps each
// key and each value in memory of their own and the way to them in a tree, so that a look-up goes to several places; here it is two.
//
// github.com/puzpuzpuz/xsync/v4 takes 1.4 to 2 times as long where a million are in no order (minimum of 8 runs: 307 and 216
// ns), and is quicker by 11 ns where the same few are looked up, by 4 ns where 10,000 are in no order. It is not used, since
// it can neither be iterated in parts, which keeps each task of the Registry's loop short, nor return some items next to a
// key, which is how the Registry makes room: an iteration from the map's beginning would always choose the same ones.
package table
