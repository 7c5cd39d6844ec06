// Package load is the work that the benchmark gives to everything that it measures: the same for ours and for what it is
// compared with.
//
// A contender is a [Conn] between two processes: one [Answer]s, the other drives ([Drive]) as its parent says. Both are
// child processes of the benchmark ([Start]), which takes turns between contenders. Messages are JSON objects of an exact
// size, see [Text]; a contender may carry them in any way as long as they come out as they went in, each one once and in
// order. The receiver checks their number and their order.
//
// # Work
//
// stream sends messages for a while, as fast as the contender takes them, then a last one that the other side answers with
// the number of messages that it has got. The rate is that number over the time from the first message to that answer.
//
// trips sends a message and waits for its answer, one after the other.
//
// paced sends so many messages a second, whether or not earlier ones were answered, and takes the time from when each
// should have been sent until its answer: a sender that is held up does not make the figure better.
//
// # Children
//
// A child's first line of output is a [Ready] in JSON. Then each line of its input is a [Command] and gets one line of
// output, a [Result]. Its input's end ends it.
package load
