// Peers measures Protofly beside systems that could be used instead: go-libp2p over QUIC, and NATS core through
// its server with TLS. All of them do the work of package load, in processes of their own, in turns, in one run.
//
//	cd bench/peers && go run . [-quick] [-only REGEX] [-json] [-svg FILE]
//
// It is a module of its own, so that a build of Protofly does not download the other systems. It builds Protofly from its own
// checkout; the receiver and the sender are roles of bench/speed.
//
// # What is compared
//
// quic: two runtimes with a direct connection, each with its plug-ins in processes of their own and an application within,
// beside two go-libp2p hosts with one stream between them, on which messages are records after their length, batched
// into large writes while more follow.
//
// relay: the same runtimes without a direct connection, through a Message Node, beside two NATS clients through a
// nats-server, both over TLS with a certificate that they pin. The server and the clients may keep as much waiting as it
// takes to drop nothing.
//
// The guarantees differ. Protofly's messages are sealed between the applications' runtimes, arrive once and in order, and
// outlive their connection. A libp2p stream is sealed between both hosts and ends with its connection. NATS is sealed as
// far as the server, which reads everything, and may drop messages: here one that is lost is an error.
//
// The rows are those of bench/speed. CPU and memory are of all processes that a contender needs, the server or the node
// among them (of the node where messages go through it); allocations are of the two processes that have the applications.
//
// The exit code is 0 if every demand is met, 1 if one is not, and 2 if something failed.
//
// go-libp2p has the quic-go version that it was released with, by a replace in go.mod; Protofly is built from its own
// module and has its own.
package main
