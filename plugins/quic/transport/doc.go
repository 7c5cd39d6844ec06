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
// Host candidates are in the description, the others follow as they are found. The Requester describes itself first;
// the Handler answers when it has read that, so it knows whom to let in before anybody can knock.
//
// # Set-up
//
// The Requester dials every candidate, side by side, a new one each 20 ms, or as slowly as dials have lately taken to
// succeed (at most 250 ms), so that a busy machine is not buried under handshakes that compete. Meanwhile the Handler sends small datagrams
// from the same socket to the Requester's candidates, which opens the NAT or firewall on its side ("punching"):
//
//	0x3f "PFQ" DIGEST
//
// DIGEST is the first 16 bytes of the SHA-256 of "protofly quic punch" and the Requester's token, so that no peer chooses
// what is sent to an address that it has named.
//
// A punch that reaches the Requester shows it an address of the Handler that may have been in no candidate; it is
// dialed too. So a way is found where both sides' NATs keep one outer port whatever the destination (with a STUN server
// to learn it), and behind any NAT, without a STUN server, where the other side can be reached directly. Where both
// NATs change the port with the destination, or one does and the other lets in only the exact address and port that
// it has sent to, there is no way: the set-up fails and the relay stays.
//
// On each connection that its dial completes the Requester opens one bidirectional stream and writes the Handler's
// TOKEN. The Handler takes the first one, answers with one byte (1), and closes the others. So both agree which
// connection it is, and the Requester has the proof that it was let in (in TLS 1.3 a client is done before the server
// has looked at the client's certificate).
//
// TLS 1.3 on both sides with the application protocol "protofly-p2p/1". Each side checks in VerifyConnection that the
// other has exactly the certificate whose hash was signalled for this set-up. No resumption, no tickets, no 0-RTT. A
// socket without a Handler waiting refuses every stranger before any handshake; see Limits.
//
// # Channel
//
// After the token and its answer the stream carries frames in both directions: their length as an unsigned varint (at
// most 3 bytes, shortest form), and the payload. The length is checked against sdk.MaxFrame before memory is spent, and
// memory grows with what arrives and not with what is announced. Small frames of one Send leave as one write.
// A side closes with the application error code 0. A peer that is silent for 10 s, with a keep-alive every 3 s, is
// dead: quic-go counts the 10 s from the first packet that stays unanswered, so it is noticed after 13 s at most.
//
// On Linux the socket is written in bursts by quic-go (generic segmentation offload) and read in bursts here (generic
// receive offload): the packets of a peer that came together cost one read.
//
// # Limits
//
// 64 candidates are read from a peer, at most 4 ports of one IP address; 8 addresses are learned from punches, 5 dials go to
// one address. Which addresses a peer may name says [reach.Policy]:
// never multicast, broadcast, unspecified, link-local ones or port 0, and loopback and private ones as the operator says.
// What is sent to addresses where no handshake has succeeded lately is bounded by a [reach.Budget], retransmissions and
// punches included: 24 datagrams and 24 KiB to one host because of one peer, 48 and 48 KiB whoever named it, 96 and 64 KiB
// because of one peer, 2048 and 1 MiB in all, and as much in each minute. Three times what has come from an address may
// always be sent there (RFC 9000, section 8.1).
//
// A client names the set-up that it comes for in its first packet (an application protocol that is a digest of the token); who
// names none that waits is refused before anything is computed for it. Until then it has one of 768 places, of which a host
// has 32 at most and fewer as they become few; who comes from an address that a set-up's peer has named has places apart.
// From 64 strangers on addresses are validated first (QUIC's Retry), from 4 of one host on that one's, and handshakes have
// 3 s. 16 connections may wait for one set-up.
//
// A stream's window is 4 MiB at most. The library keeps unread frames as the peer has cut them up; who sends more than 11 MiB
// beyond what is in them (three bytes for each that was read, and the acknowledgements of what was sent) loses the connection.
//
// The transport passes frames on and knows nothing of what is in them; who the peer is follows from the signed signalling
// that carried the certificate's hash.
package transport
