// Package udp reads the packets of a UDP socket as they come: several at once where several came at once.
//
// On Linux the kernel gives the packets of one sender that came together, and are of one length, in one piece (generic
// receive offload). Over a fast network a read for each packet costs as much as what a transport does with it; and where
// the sender is on the same machine and sent them in one piece, the kernel need not cut it up. Elsewhere, and on kernels
// that do not know of it, each read gives one packet.
//
// Where packets come in quick succession, a [Reader] looks for more for a short time before it sleeps (busy polling).
package udp
