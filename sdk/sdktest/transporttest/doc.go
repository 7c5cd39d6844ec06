// Package transporttest is the conformance suite of P2P transports: whatever implements p2p.Transport runs through
// the same tests, so that the word "transport" has one meaning.
//
//	func TestTransport(t *testing.T) {
//		transporttest.Run(t, transporttest.Suite{New: New, Requester: options, Handler: options})
//	}
//
// It tests all that p2p.Transport, p2p.Channel and p2p.Signals promise: whole frames of 0 to sdk.MaxFrame bytes in their order
// both ways, many peers on one transport, a sender that blocks while its peer does not read, io.EOF where the other side has
// closed, another error within 15 s where it has died or hangs, a clear error for a description that is garbage or names
// another certificate, candidates that do not decide who is connected, and nothing left behind: no goroutine, no process, no
// use of the Signals after Connect has returned. The Signals of the suite keep the limits of the Connection data object and
// fail the test of a transport that crosses them. Whole set-ups, with the Requester and the Handler of package p2p, are tried
// too: an honest one, and one with an impostor between the two, which signals a transport of its own.
//
// The tests of a peer's death start the test binary again as the other side: the same test function runs there and
// [Run] plays the peer instead. A death is noticed after some silence. For a transport whose silence can be made shorter there
// are a quick test (Suite.Hasty) and a slow one ([DeadPeer]), with the silence of normal use. Code before Run in that function,
// and TestMain, run in both. The suite needs no network but the machine's own.
//
// [Benchmark] measures one channel, so that transports can be compared.
package transporttest
