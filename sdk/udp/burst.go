package udp

import "net/netip"

// largest is what the kernel gives at most in one read: as much as a UDP packet's length can say.
const largest = 1<<16 - 1

// controlRoom is the room for control messages of a read, in bytes.
const controlRoom = 256

// Burst is packets of one sender that came together. They live until the next read.
type Burst struct {
	Packets []byte         // one after the other
	Size    int            // bytes of each packet but the last, which may be shorter; at least 1
	Control []byte         // what else the kernel says of all of them, where it was asked to: control messages
	From    netip.AddrPort // an address of IPv4 is one of IPv6 on sockets of both, and a zone is a number
}

// Next takes the next packet out of Packets; nil: there is none.
func (b *Burst) Next() []byte {
	n := min(b.Size, len(b.Packets))
	if n == 0 {
		return nil
	}
	packet := b.Packets[:n:n]
	b.Packets = b.Packets[n:]
	return packet
}
