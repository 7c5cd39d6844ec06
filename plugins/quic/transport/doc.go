// Package transport is the QUIC transport of P2P connections: it implements the p2p.Transport contract on one UDP
// socket for all peers. Everything that uses quic-go is in this package.
//
// # Signals
//
// Each side's description is the object
//
//	{"transport":"quic", "version":1, "certificate":HASH, "token":TOKEN, "candidates":[CANDIDATE, …]}
//
// HASH is the SHA-256 of the DER form of the certificate that this process made for itself when it started, TOKEN 16
// random bytes that name the set-up; both are written in hexadecimal. A CANDIDATE is an address where this side may be
// reached:
//
//	{"type":"host", "address":"192.0.2.7:4433"}    an address of this machine, or one that the operator advertises
//	{"type":"srflx", "address":"198.51.100.9:61002"} what a STUN server saw as the source of our socket
//	{"type":"end"}                                  no more will come
//
// Host candidates are in the description, the others follow as they are found. The Requester sends its description first.
// The Handler answers after it has read that, so it knows the Requester's certificate before a connection can come.
//
// # Set-up
//
// The Requester dials all candidates in parallel. It starts a dial each 20 ms, or, so that a busy machine is not loaded with
// handshakes that slow down each other, in the time that successful dials have taken lately (at most 250 ms). The Handler sends
// small datagrams from its socket to the Requester's candidates, which open the NAT or firewall on its side ("punching"):
//
//	0x3f "PFQ" DIGEST
//
// DIGEST is the first 16 bytes of the SHA-256 of "protofly quic punch" and the Requester's token, so that a peer cannot choose
// what is sent to an address that it has named.
//
// A punch that reaches the Requester shows an address of the Handler that may not be among its candidates; the Requester
// dials it too. So a set-up succeeds if both sides' NATs use one outer port for all destinations (with a STUN server
// to learn it), and behind any NAT, without a STUN server, if the other side can be reached directly. It fails, and messages go
// over the relay, if both NATs use another port for each destination, or if one does and the other admits only the exact address
// and port that it has sent to.
//
// On each connection that its dial completes the Requester opens one bidirectional stream and writes the Handler's
// TOKEN. The Handler accepts the first such connection, answers with one byte (1), and closes the others. So both sides use the
// same connection, and the Requester knows that it was accepted (in TLS 1.3 the client's handshake is complete before the server
// has checked the client's certificate).
//
// TLS 1.3 on both sides with the application protocol "protofly-p2p/1". Each side checks in VerifyConnection that the
// other has exactly the certificate whose hash was signalled for this set-up. No resumption, no tickets, no 0-RTT. If no
// set-up of a Handler waits, the socket refuses all connections before the handshake; see Limits.
//
// # Channel
//
// After the token and its answer the stream carries frames in both directions: their length as an unsigned varint (at
// most 3 bytes, shortest form), and the payload. The length is checked against sdk.MaxFrame before memory is allocated, and
// memory grows with what arrives, not with the announced length. Small frames of one Send are one write.
// A side closes with the application error code 0. A peer that is silent for 10 s, with a keep-alive every 3 s, is
// dead: quic-go counts the 10 s from the first packet that stays unanswered, so it is noticed after 13 s at most.
//
// On Linux quic-go writes several packets with one system call (generic segmentation offload), and this package reads several
// packets of a peer with one (generic receive offload).
//
// # Limits
//
// A peer may name 64 candidates, with at most 4 ports of one IP address; 8 addresses are learned from punches, and one address is
// dialed 5 times. [reach.Policy] says which addresses a peer may name:
// never multicast, broadcast, unspecified, link-local ones or port 0, and loopback and private ones if the operator allows them.
// A [reach.Budget] limits what is sent to addresses where no handshake has succeeded lately, with retransmissions and
// punches: 24 datagrams and 24 KiB to one host because of one peer, 48 and 48 KiB to one host because of all peers, 96 and 64 KiB
// because of one peer, 2048 and 1 MiB in all, and as much in each minute. Three times the bytes that have come from an address may
// always be sent there (RFC 9000, section 8.1).
//
// A client names its set-up in its first packet (with an application protocol that is a digest of the token). A connection that
// names no waiting set-up is refused before any cryptography. Until it has named one it has one of 768 places, of which a host
// has 32 at most, and fewer if few are free. Connections from an address that the peer of a set-up has named have places of their
// own. With 64 strangers in all, or 4 from one host, addresses are validated first (QUIC's Retry), and handshakes have
// 3 s. 16 connections may wait for one set-up.
//
// A stream's window is 4 MiB at most. The library stores unread frames in the pieces in which the peer has sent them. A connection
// whose peer has sent more than 11 MiB that are not explained by what was read (three bytes for each byte) and by the
// acknowledgements of what was sent is closed.
//
// The transport passes frames on and never parses them. The identity of the peer follows from the signed signalling,
// which has the certificate's hash.
package transport
