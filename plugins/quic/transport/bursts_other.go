//go:build !linux

package transport

import "net"

// inBursts is the socket as it is: other systems give one packet a read.
func inBursts(socket *net.UDPConn) (net.PacketConn, error) { return socket, nil }
