// Package contest has contenders do the same work in turns, in one run, and makes rows of what was measured: ours first,
// beside a baseline. Package load is the work, package figures are the rows.
//
// A contender is a [Pair] of processes that a [Starter] starts. A [Contest] is several of them over one transport: each
// task is done for several rounds by all of them, and a row is a median over the rounds. The first round is to warm up;
// who begins changes. A [Run] is a whole run with its command line, progress and report.
package contest
