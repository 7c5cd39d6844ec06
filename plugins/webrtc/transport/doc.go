// Package transport connects two runtimes by a WebRTC data channel. It is the only place in this project that knows
// the WebRTC library.
//
// # One port
//
// All peers share one UDP socket, which this package opens: its buffers are raised to 8 MiB where the system allows, and its
// packets are checked first. Packets that are neither well-formed STUN nor DTLS are dropped before the library gets
// them; some malformed STUN would crash the process. The sockets that the library opens itself, to STUN and TURN
// servers, are read through the same filter. Of a connection's addresses on this machine one receives all packets and the
// others only send, so that both sides agree on a path with the first answer; see mux.go.
//
// Packets to one address in quick succession are sent with one system call, and packets that arrive so are read with one, where
// the system can (Linux: UDP_SEGMENT and UDP_GRO). On the network they are the same packets in the same order. If a path cannot
// take several packets at once, they are sent one by one; see batch.go.
//
// # Set-up
//
// The Requester makes the data channel "P2PChannel" (ordered, reliable) and the offer, the Handler the answer
// (signals of kind Description: {"transport":"webrtc","type","sdp"}). Candidates follow as they are found (kind
// Candidate: {"candidate","sdpMid","sdpMLineIndex"}). Descriptions carry the fingerprints of the certificates, which
// DTLS verifies: since the descriptions are signed, nobody can be between the two peers. A peer whose packets arrive before its
// candidates is used at once. A lost packet costs 50 ms during the DTLS handshake, and 200 ms before.
//
// # What a peer may do
//
// A description has one media section, for the data channel; names and secrets in it are of the characters and sizes of
// RFC 8839, so that at most 32 characters of it are in packets to addresses that have not answered. Candidates
// are UDP at IP addresses, at most 64 and four ports of one address, which sdk/udp/reach allows: loopback and private
// ranges as the options say. No name is looked up. Addresses that have not answered get few packets: 96 a minute because of
// one peer, 512 to one host. An address belongs to the connection whose request it has answered; see routes.go.
//
// There is one data channel. A second one, one of another kind, data on a stream that is not open, or text ends the connection.
// The bytes that a peer makes the library store are counted on the network (meter.go): chunks that are not explained by what
// was read, or by acknowledgements of what was sent. More than 6.6 MiB of them end the connection; more than 32 MiB
// from all peers end the one with most. A full window of frames of one byte is less. So a peer whose messages are not or cannot be
// read takes about 120 MiB at most. A peer whose frames are read may add unread ones slowly, up to 1 MiB of
// payload, which takes about 350 MiB if each message has one byte. Packets that others send in the peer's name do not count:
// before a connection is ended, the bytes that SCTP has received are checked. A DTLS handshake has at most 256 KiB, and at most
// 256 set-ups are in progress.
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
// has 2 KiB. A busy channel has 64 KiB to receive until it is idle again, and 60 KiB while it sends. At most 4 MiB of a
// connection's packets wait for its reader.
//
// # Life
//
// Consent is refreshed every 2 s; a peer that answers nothing is given up 12 s later. Close resets the stream and
// ends the connection: the other side reads io.EOF.
package transport
