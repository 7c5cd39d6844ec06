package transport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/protofly/protofly/sdk/udp"
)

// segments is the control message that makes the kernel send a buffer as packets of one length.
func segments(length int) []byte {
	b := make([]byte, unix.CmsgSpace(2))
	binary.NativeEndian.PutUint64(b, uint64(unix.CmsgLen(2))) // size_t, on the machines that this is run on
	binary.NativeEndian.PutUint32(b[8:], unix.IPPROTO_UDP)
	binary.NativeEndian.PutUint32(b[12:], unix.UDP_SEGMENT)
	binary.NativeEndian.PutUint16(b[unix.CmsgLen(0):], uint16(length))
	return b
}

func loopback(t testing.TB) *net.UDPConn {
	s, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Packets of several peers, alone and in bursts whose last one is shorter, arrive unchanged and in order, each with its
// sender's address; and a burst is one read.
func TestBursts(t *testing.T) {
	here := loopback(t)
	socket := &bursts{UDPConn: here, gate: newGate()}
	var err error
	if socket.reader, err = udp.NewReader(here, 0); err != nil {
		t.Fatal(err)
	}
	packet := func(sender, i, n int) []byte {
		return bytes.Repeat([]byte{byte('a' + 16*sender + i)}, n)
	}
	var want []string
	for sender := range 3 {
		peer := loopback(t)
		note := func(b []byte) { want = append(want, fmt.Sprintf("%s %s", peer.LocalAddr(), b)) }
		send := func(b, control []byte) {
			if _, _, err := peer.WriteMsgUDP(b, control, here.LocalAddr().(*net.UDPAddr)); err != nil {
				t.Fatal(err)
			}
		}
		alone := packet(sender, 0, 100+sender)
		note(alone)
		send(alone, nil)
		var burst []byte
		for i := range 12 {
			n := 1200
			if i == 11 {
				n = 7 + sender
			}
			note(packet(sender, 1+i, n))
			burst = append(burst, packet(sender, 1+i, n)...)
		}
		send(burst, segments(1200))
		note(alone)
		send(alone, nil)
	}

	messages := make([]ipv4.Message, 5)
	for i := range messages {
		messages[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 1452)}, OOB: make([]byte, 128)}
	}
	if err := socket.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var got []string
	whole := 0
	for len(got) < len(want) {
		fresh := len(socket.burst.Packets) == 0
		n, err := socket.ReadBatch(messages, 0)
		if err != nil {
			t.Fatalf("after %d of %d packets: %v", len(got), len(want), err)
		}
		for _, m := range messages[:n] {
			got = append(got, fmt.Sprintf("%s %s", m.Addr, m.Buffers[0][:m.N]))
		}
		if fresh && n == len(messages) && len(socket.burst.Packets) == 6*1200+7+whole {
			whole++
		}
	}
	if whole != 3 {
		t.Errorf("%d of 3 bursts came in one read: kernels before Linux 5.0 cannot", whole)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("packet %d: %.60q of %d bytes, want %.60q of %d", i, got[i], len(got[i]), want[i], len(want[i]))
		}
	}
}
