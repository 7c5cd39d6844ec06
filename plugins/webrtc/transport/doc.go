// Package transport connects two runtimes by a WebRTC data channel. It is the only place in this project that knows
// the WebRTC library.
//
// # One port
//
// All peers share one UDP socket, which is ours: its buffers are raised to 8 MiB where the system allows, and what it
// reads is looked at first. Packets that are neither well-formed STUN nor DTLS are dropped before the library sees
// them; some malformed STUN would end the process. The sockets that the library opens itself, toward STUN and TURN
// servers, are read through the same filter. Of a connection's addresses on this machine one takes all packets and the
// others only send, so that both sides agree on a way with the first answer: mux.go says more.
//
// Packets that are sent to one address in quick succession are given to the system at once, and those that come so are
// taken at once, where the system can (Linux: UDP_SEGMENT and UDP_GRO). On the network they are the packets that they
// always were, in their order. Where a way does not take several, its packets go one by one. batch.go says more.
//
// # Set-up
//
// The Requester makes the data channel "P2PChannel" (ordered, reliable) and the offer, the Handler the answer
// (signals of kind Description: {"transport":"webrtc","type","sdp"}). Candidates follow as they are found (kind
// Candidate: {"candidate","sdpMid","sdpMLineIndex"}). Descriptions carry the fingerprints of the certificates, which
// DTLS verifies: who carries the signals unaltered knows that nobody sits in between. A peer that is heard before its
// candidates have come is taken at once. A lost packet costs 50 ms while DTLS is set up, and 200 ms before.
//
// # What a peer may do
//
// A description has one media section, for the data channel; names and secrets in it are of the characters and sizes of
// RFC 8839, so that no more of it than 32 characters is in the packets that are sent before anybody has answered. Candidates
// are UDP at IP addresses, at most 64 and four ports at an address, and those that sdk/udp/reach allows: loopback and private
// ranges as the options say. No name is looked up. To addresses that have not answered few packets go: 96 a minute because of
// one peer, 512 to one host. An address belongs to the connection whose question it has answered; routes.go says more.
//
// There is one data channel. Another, one of another kind, or data on a stream that nobody has opened ends the connection; text
// does too. What the peer makes the library keep is counted on the network (meter.go): chunks that are not explained by what
// was read, or by what was sent and has to be acknowledged. More than 6.6 MiB of them end the connection, and more than 32 MiB
// from all peers that of the one with most. A full window of frames of one byte is less. So a peer that is not read, or whose
// messages cannot be, costs about 120 MiB at most; one whose frames are read may have more beside them, slowly, up to 1 MiB of
// payload, which is about 350 MiB where each message has one byte. Packets that others send in the peer's name do not count:
// before a connection is ended it is looked at what SCTP has had. A handshake of DTLS has at most 256 KiB, and 256 set-ups may
// be under way.
//
// # Frames
//
// The channel is used as a stream of bytes, cut into SCTP messages of up to 60 KiB: each frame is four bytes of
// length (big endian) and its bytes. So small frames share a message, and frames larger than one are possible. A
// length above sdk.MaxFrame ends the channel. Send blocks while more than 1 MiB waits in the library.
//
// # Memory
//
// An idle connection takes about 145 KiB, nearly all of it the library's: 16 goroutines and their buffers. Its channel
// has 2 KiB; one that carries more has 64 KiB to receive until it is idle again, and 60 KiB while it sends. What comes
// for a connection and has not been read is bounded at 4 MiB.
//
// # Life
//
// Consent is refreshed every 2 s; a peer that answers nothing is given up 12 s later. Close resets the stream and
// ends the connection: the other side reads io.EOF.
package transport
