package udp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/protofly/protofly/internal/busypoll"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// said encodes a control message with a number: the length at which the kernel cuts packets up for a sender, or the length of
// the packets that it read.
func said(kind int, length uint32) []byte {
	b := make([]byte, unix.CmsgSpace(4))
	binary.NativeEndian.PutUint64(b, uint64(unix.CmsgLen(4))) // size_t, on the machines that this is run on
	binary.NativeEndian.PutUint32(b[8:], unix.IPPROTO_UDP)
	binary.NativeEndian.PutUint32(b[12:], uint32(kind))
	binary.NativeEndian.PutUint32(b[unix.CmsgLen(0):], length)
	return b
}

// A Reader gives the packets and their senders' addresses, and ends with its socket; on sockets of IPv4 and of both.
func TestReader(t *testing.T) {
	for _, network := range []string{"udp4", "udp"} {
		t.Run(network, func(t *testing.T) {
			socket, err := net.ListenUDP(network, &net.UDPAddr{})
			if err != nil {
				t.Fatal(err)
			}
			port := socket.LocalAddr().(*net.UDPAddr).Port
			peer, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			r, err := NewReader(socket, busypoll.Usual)
			if err != nil {
				t.Fatal(err)
			}
			for _, size := range []int{1, 0, 100, 9000} {
				if _, err := peer.Write(bytes.Repeat([]byte("x"), size)); err != nil {
					t.Fatal(err)
				}
				b, err := r.Read()
				if err != nil {
					t.Fatal(err)
				}
				want := peer.LocalAddr().(*net.UDPAddr).AddrPort()
				if len(b.Packets) != size || b.Size < 1 || b.Size < size || b.From.Port() != want.Port() || b.From.Addr().Unmap() != want.Addr().Unmap() {
					t.Fatalf("%d bytes in packets of %d from %v, want %d from %v", len(b.Packets), b.Size, b.From, size, want)
				}
			}
			ended := make(chan error)
			go func() {
				_, err := r.Read()
				ended <- err
			}()
			r.Close()
			_ = socket.Close()
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Fatalf("the end of the socket: %v", err)
			}
			if _, err := NewReader(socket, 0); err == nil {
				t.Fatal("a closed socket can be read")
			}
		})
	}
}

// What the kernel says beside the packets is kept, but for their length; nothing that it could say breaks the reader.
func FuzzBurst(f *testing.F) {
	gro := said(unix.UDP_GRO, 10)
	f.Add([]byte("0123456789abcdefghijklm"), gro)
	f.Add([]byte("0123456789"), []byte{})
	f.Add([]byte{}, append(said(unix.UDP_SEGMENT, 7), gro...))
	f.Fuzz(func(t *testing.T, packets, control []byte) {
		b := burst(packets, bytes.Clone(control))
		if len(b.Control) > len(control) {
			t.Fatalf("%d bytes are said of the packets, %d were", len(b.Control), len(control))
		}
		var all []byte
		for len(b.Packets) > 0 {
			p := b.Next()
			if len(p) == 0 || len(p) < b.Size && len(b.Packets) > 0 {
				t.Fatalf("a packet of %d bytes, of %d", len(p), b.Size)
			}
			all = append(all, p...)
		}
		if !bytes.Equal(all, packets) {
			t.Fatal("the packets are not what was read")
		}
	})
}

// BenchmarkRead reads packets of 1,200 bytes, sent forty at a time.
func BenchmarkRead(b *testing.B) {
	b.ReportAllocs()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer socket.Close()
	r, err := NewReader(socket, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	_ = socket.SetReadDeadline(time.Now().Add(time.Minute))
	const together = 40
	many, how := make([]byte, 1200*together), said(unix.UDP_SEGMENT, 1200)
	binary.NativeEndian.PutUint64(how, uint64(unix.CmsgLen(2)))
	to := socket.LocalAddr().(*net.UDPAddr)
	left := 0
	for b.Loop() {
		for left == 0 {
			if _, _, err := socket.WriteMsgUDP(many, how[:unix.CmsgSpace(2)], to); err != nil {
				b.Fatal(err)
			}
			for left < together {
				burst, err := r.Read()
				if err != nil {
					b.Fatal(err)
				}
				for burst.Next() != nil {
					left++
				}
			}
		}
		left--
	}
}
