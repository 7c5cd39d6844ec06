package transport

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync/atomic"
)

// What a peer may have in DTLS's memory. The library keeps the messages of the handshake, also those that come after it.
const (
	maxHandshakeBytes = 256 << 10 // until the handshake is over
	maxLateRecords    = 256       // of the handshake, after it: what was lost is sent again

	recordHeader    = 13
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
)

// records stands between ICE and DTLS, and bounds what of a handshake the library is shown.
type records struct {
	net.Conn
	fail  func(error)
	close func() // the way to the peer

	settled atomic.Bool // the handshake is over
	bytes   int         // before
	late    int         // records after it
}

// Read returns the next packet.
func (r *records) Read(b []byte) (int, error) {
	for {
		n, err := r.Conn.Read(b)
		if err != nil {
			return n, err
		}
		if !r.settled.Load() {
			if r.bytes += n; r.bytes > maxHandshakeBytes {
				err := fmt.Errorf("the peer broke the protocol: a handshake of more than %d bytes", maxHandshakeBytes)
				r.fail(err)
				return 0, err
			}
			return n, nil
		}
		if r.passes(b[:n]) {
			return n, nil
		}
	}
}

// Close ends the way to the peer, and so frees who reads or writes.
func (r *records) Close() error {
	r.close()
	return nil
}

// passes tells whether a packet is shown to the library after the handshake.
func (r *records) passes(b []byte) bool {
	for len(b) > 0 {
		if len(b) < recordHeader {
			return false
		}
		if b[0] != recordData && b[0] != recordAlert {
			if r.late >= maxLateRecords {
				return false
			}
			r.late++
		}
		b = b[min(recordHeader+int(binary.BigEndian.Uint16(b[recordHeader-2:])), len(b)):]
	}
	return true
}
