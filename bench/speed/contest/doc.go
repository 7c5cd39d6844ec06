// Package contest gives several contenders the same work in turns, in one run, and makes rows of the results: ours first,
// beside a baseline. Package load has the work, package figures the rows.
//
// A contender is a [Pair] of processes that a [Starter] starts. A [Contest] has several contenders over one transport: all of
// them do each task for several rounds, and a row is a median over the rounds. The first round is a warm-up. Each round
// begins with another contender. A [Run] is a whole run with its command line, progress and report.
package contest
