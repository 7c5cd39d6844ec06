// Faults breaks things on purpose, with real processes, and keeps a ledger of what happens to the messages.
//
//	go run ./examples/faults [-list] [-case NAME] [-transport T] [-rounds N] [-rate N] [-json]
//
// Two applications at two runtimes send to each other all the time, -rate messages a second in all. Every message
// carries its sender, the sender's incarnation, its number and a SHA-256 of all that; the ledger knows what was sent
// and what came, and counts what was lost, duplicated, out of order, corrupt, or reported in doubt. Around each fault
// it measures the pause, which is the longest time in which nothing came in either direction, and how long it took
// until all was as before (recovered).
//
// -list says what each case does and what has to hold. The exit code is 0 only if everything that was asked for holds;
// a case that this machine cannot run (the ones that need network namespaces want root, ip and nft) does not hold, and
// says why. -json prints a list of
//
//	{case, transport, rounds, sent, delivered, lost, duplicated, out_of_order, corrupt, in_doubt,
//	 pause_ms: {p50, p95, max}, recovered_ms: {p50, p95, max}, ok, why}
//
// and nothing else. Messages that were reported in doubt and did not come are not lost: the sender knows.
package main
