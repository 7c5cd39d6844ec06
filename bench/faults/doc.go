// Faults breaks things on purpose, with real processes, and keeps a ledger of what happens to the messages.
//
//	go run ./bench/faults [-list] [-case NAME] [-transport T] [-rounds N] [-rate N] [-json] [-unhurried]
//
// Two applications at two runtimes send to each other all the time, -rate messages a second in all. Every message
// carries its sender, the sender's incarnation, its number and a SHA-256 of all that; the ledger knows what was sent
// and what came, and counts what was lost, duplicated, out of order, corrupt, or reported in doubt. Around each fault
// it measures the pause, which is the longest time in which nothing came in either direction, and how long it took
// until all was as before (recovered).
//
// Each message has an outcome: it came (delivered), or its sender was told that it may have come (in doubt), or that
// it did not (refused, which few cases allow). A message without an outcome is lost.
//
// -list says what each case does and what has to hold. The exit code is 0 only if all cases hold. A case that
// this machine cannot run does not hold, and says why (cases with network namespaces need root, ip and nft). -json prints a list of
//
//	{case, transport, rounds, sent, delivered, lost, duplicated, out_of_order, corrupt, in_doubt,
//	 pause_ms: {p50, p95, max}, recovered_ms: {p50, p95, max}, ok, why}
//
// and nothing else. -unhurried does not check bounds of time and memory: it is for a machine that does other things too. Some
// cases add members: refused; pause_ms.p99 where a bound is on it; cheats, how often each was tried; figures, what else was
// measured.
//
// # Some cases more closely
//
// slow-reader: one application sends as fast as it can to one that reads a message a second. Two others at the same
// runtimes measure how long their messages take, with those that have not arrived yet. Half of the rounds, of 2 s each, are
// without the slow reader, some before and some after, and medians within one run are compared. Each
// runtime may grow by 20 MiB, which is the ring and the inbox of one session (package core/session, Options).
//
// hostile: over the relay all frames and messages pass a Message Node that cheats, while applications come and go whose names
// have to be looked up at it. Over quic alice's runtime has a plug-in that cheats, and connections over it are made and ended
// all the time. The cheating programs write to a file what they have tried, and must have tried every kind. They record all bytes
// that they saw: the marker in the body of each message must not be among them, and the other runtime's address must be.
//
// hostile/…: what a stranger, a plug-in or a local client can do without altering what is carried: floods of connections, of
// frames of unknown runtimes, of requests. Each goes on for 30 s at the rate that the attacker's processes reach, beside honest
// messages, which are also measured before and after it. The attacker runs with the lowest priority, since a real one would
// have processors of its own. Afterwards it must be possible to reach a new application. -case hostile runs them all.
//
// hostile/peer, claims and candidates: a third runtime, mallory, is paired with alice's and bob's. Its plug-in for the
// direct path attacks its peers (plugins/webrtc/hostile-peer, plugins/quic/hostile-peer), in one set-up after the other. Mallory's
// application, and those that answer it, are processes of their own (bench/faults/mallory), so that their cost is not in the
// measuring process. Sockets of this program on other addresses of the loopback network count what third parties get; bob's runtime
// must not send there.
//
// hostile/thief: alice's runtime has a plug-in that tries to read what is not its own, and starts processes that outlive it. At
// the end of the case alice's runtime must end in time, and all these processes with it.
//
// soak: six applications in processes of their own, two at each of three runtimes, send each other tracked messages, broadcasts and
// requests, report an object each and observe those of the others. For -duration one thing after the other is killed or ended and comes
// back, by the seed -seed. Each application appends to a book what it has sent, was told and has handled; the books are compared in the
// end. Figures of each process are taken in quiet, before and after the kills: from -duration 10m on after 5 minutes, else after 20 s and
// with more room for memory. The time of kills has no given number of rounds: a round is one of them.
//
// registrations: 16 goroutines register hyperties at alice's runtime, send a message to bob's, and unregister: in turn one without a name,
// one with a name, one that is ephemeral, and one with a connection of its own. Then 900 are registered at the same time. Figures as those of
// the soak are taken in quiet after the first 2,000 and after all: from -rounds 100000 on after 6 minutes, which is longer than addresses
// that were given up are remembered. The Message Node does not limit how fast a runtime may ask it; all else has its usual limits.
package main
