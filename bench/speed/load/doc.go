// Package load has the work that the benchmark gives to all contenders, ours and the baselines alike.
//
// A contender is a [Conn] between two processes: one answers ([Answer]), the other sends ([Drive]) as its parent says. Both are
// child processes of the benchmark ([Start]), in which the contenders take turns. Messages are JSON objects of an exact
// size, see [Text]. A contender may carry them in any way, but they have to arrive unchanged, once and in
// order. The receiver checks their number and their order.
//
// # Work
//
// stream sends messages for a while, as fast as the contender takes them, then a last one that the other side answers with
// the number of messages that it has got. The rate is that number over the time from the first message to that answer.
//
// trips sends a message and waits for its answer, one after the other.
//
// paced sends a number of messages a second, whether or not earlier ones were answered, and measures the time from when each
// should have been sent until its answer. So a sender that is blocked does not make the figure better.
//
// # Children
//
// A child's first line of output is a [Ready] in JSON. Then each line of its input is a [Command] and gets one line of
// output, a [Result]. Its input's end ends it.
package load
