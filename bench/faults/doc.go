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
// Each message is accounted for: it came (delivered), or its sender was told that it may have come (in doubt), or that
// it did not (refused, which few cases allow). What is nothing of these is lost.
//
// -list says what each case does and what has to hold. The exit code is 0 only if everything that was asked for holds;
// a case that this machine cannot run (the ones that need network namespaces want root, ip and nft) does not hold, and
// says why. -json prints a list of
//
//	{case, transport, rounds, sent, delivered, lost, duplicated, out_of_order, corrupt, in_doubt,
//	 pause_ms: {p50, p95, max}, recovered_ms: {p50, p95, max}, ok, why}
//
// and nothing else. -unhurried does not judge bounds of time and memory, on a machine that does other things too. Some cases add members: refused; pause_ms.p99 where a bound is on it; cheats, how often each was
// tried; figures, what else was measured.
//
// # Some cases more closely
//
// slow-reader: one application sends as fast as it may to one that takes a message a second; two others at the same
// runtimes measure how long their messages take, those that are stuck included. Half of the rounds, of 2 s each, are
// without the slow reader, some before and some after: what holds is a comparison of medians within one run. Each
// runtime may grow by 20 MiB, which is the ring and the inbox of one session (package core/session, Options).
//
// hostile: over the relay all frames and messages pass a Message Node that cheats, while names come and go that have to
// be looked up at it; over quic alice's runtime has a plug-in that cheats, and connections over it are made and ended
// all the time. They say in a file what they have tried, and every kind must have been. They keep all bytes that they
// saw: the marker that is in the body of each message may not be in them, and the other runtime's address must be.
//
// hostile/…: what a stranger, a plug-in or a local client can do without cheating in anything that is carried: floods of
// connections, of frames in the name of nobody, of requests. Each goes on for 30 s at the rate that the attacker's
// processes reach, beside honest messages, some of whose windows are before it and some after. The attacker runs with the
// lowest priority: elsewhere it would have processors of its own. Afterwards a new application has to be reached.
// -case hostile plays them all.
//
// hostile/peer, claims and candidates: a third runtime, mallory, is paired with alice's and bob's, and its plug-in for the
// direct path in use was written to do harm to its peers (plugins/webrtc/hostile-peer, plugins/quic/hostile-peer). Her
// set-ups follow each other all the time. Her application, and those that answer her, are processes of their own
// (bench/faults/mallory), so that this program measures what she costs others and not what it costs to be her. What comes to third parties is counted at sockets of this program, on other
// addresses of the loopback network; bob's runtime may not send there. hostile/thief: alice's runtime runs a plug-in that
// tries to read what is not its own and starts processes that outlive it; alice's runtime ends at the end of the case, in
// time and with all of them.
package main
