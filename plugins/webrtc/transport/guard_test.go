package transport

import (
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"
)

// sctpPacket is a packet of SCTP with the chunks.
func sctpPacket(chunks ...[]byte) []byte {
	b := make([]byte, sctpHeader)
	for _, c := range chunks {
		b = append(b, c...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	return b
}

func chunkOf(kind, flags byte, body ...byte) []byte {
	b := []byte{kind, flags, 0, 0}
	binary.BigEndian.PutUint16(b[2:], uint16(chunkHeader+len(body)))
	return append(b, body...)
}

// plain is a chunk of DATA.
func plain(flags byte, tsn uint32, stream, number uint16, size int) []byte {
	body := binary.BigEndian.AppendUint32(nil, tsn)
	body = binary.BigEndian.AppendUint16(body, stream)
	body = binary.BigEndian.AppendUint16(body, number)
	return chunkOf(chunkData, flags, append(body, make([]byte, 4+size)...)...)
}

// interleaved is a chunk of I-DATA.
func interleaved(flags byte, tsn uint32, stream uint16, number, fragment uint32, size int) []byte {
	body := binary.BigEndian.AppendUint32(nil, tsn)
	body = binary.BigEndian.AppendUint32(body, uint32(stream)<<16)
	body = binary.BigEndian.AppendUint32(body, number)
	body = binary.BigEndian.AppendUint32(body, fragment)
	return chunkOf(chunkIData, flags, append(body, make([]byte, size)...)...)
}

func resetOf(id, last uint32, streams ...byte) []byte {
	body := []byte{0, paramReset, 0, byte(16 + len(streams))}
	for _, n := range []uint32{id, 0, last} {
		body = binary.BigEndian.AppendUint32(body, n)
	}
	return chunkOf(chunkReconfig, 0, append(body, streams...)...)
}

const whole = 3 // the flags of a message in one chunk

// What an honest peer sends passes, and the first packet that it would not send ends the association.
func TestRules(t *testing.T) {
	const stream = 1
	for name, c := range map[string]struct {
		packets [][]byte // the last of them is judged
		read    uint32
		closed  bool
		want    string // of the error; "": it passes
	}{
		"a message":                    {packets: [][]byte{sctpPacket(plain(whole, 5, stream, 0, 1))}},
		"a message of the other kind":  {packets: [][]byte{sctpPacket(interleaved(whole, 5, stream, 0, 53, 1))}},
		"several":                      {packets: [][]byte{sctpPacket(plain(whole, 5, stream, 0, 1), plain(whole, 6, stream, 1, 3))}},
		"nothing":                      {packets: [][]byte{sctpPacket()}},
		"numbers come round":           {packets: [][]byte{sctpPacket(plain(whole, 5, stream, 3, 1))}, read: 65530},
		"what was read already":        {packets: [][]byte{sctpPacket(plain(whole, 5, stream, 3, 1))}, read: 30000},
		"an acknowledgement":           {packets: [][]byte{sctpPacket(chunkOf(chunkSack, 0, make([]byte, 12)...))}},
		"the end of the stream":        {packets: [][]byte{sctpPacket(resetOf(7, 5, 0, stream))}},
		"the end, said again":          {packets: [][]byte{sctpPacket(resetOf(7, 5, 0, stream)), sctpPacket(resetOf(7, 5, 0, stream))}},
		"what came before the end":     {packets: [][]byte{sctpPacket(resetOf(7, 5, 0, stream)), sctpPacket(plain(whole, 5, stream, 0, 1))}},
		"a large first fragment":       {packets: [][]byte{sctpPacket(plain(2, 5, stream, 0, 1100))}},
		"a small last fragment":        {packets: [][]byte{sctpPacket(plain(1, 5, stream, 0, 1))}},
		"another stream":               {packets: [][]byte{sctpPacket(plain(whole, 5, 3, 0, 1))}, want: "stream 3"},
		"another stream, interleaved":  {packets: [][]byte{sctpPacket(interleaved(whole, 5, 65534, 0, 53, 1))}, want: "stream 65534"},
		"unordered":                    {packets: [][]byte{sctpPacket(plain(whole|4, 5, stream, 0, 1))}, want: "unordered"},
		"too far ahead":                {packets: [][]byte{sctpPacket(plain(whole, 5, stream, maxUnread, 1))}, want: "ahead"},
		"too far ahead, interleaved":   {packets: [][]byte{sctpPacket(interleaved(whole, 5, stream, maxUnread+9, 53, 1))}, read: 9, want: "ahead"},
		"a small fragment":             {packets: [][]byte{sctpPacket(plain(0, 5, stream, 0, 1))}, want: "fragment"},
		"a small first fragment":       {packets: [][]byte{sctpPacket(interleaved(2, 5, stream, 0, 53, minFragment-1))}, want: "fragment"},
		"too many fragments":           {packets: [][]byte{sctpPacket(interleaved(0, 5, stream, 0, maxFragments, minFragment))}, want: "fragments"},
		"too many of the plain kind":   {packets: [][]byte{sctpPacket(plain(2, 5, stream, 0, minFragment)), sctpPacket(plain(0, 5+maxFragments, stream, 0, minFragment))}, want: "fragments"},
		"the same, backwards":          {packets: [][]byte{sctpPacket(plain(0, 5+maxFragments, stream, 0, minFragment)), sctpPacket(plain(2, 5, stream, 0, minFragment))}, want: "fragments"},
		"a message that is skipped":    {packets: [][]byte{sctpPacket(chunkOf(chunkForwardTSN, 0, make([]byte, 4)...))}, want: "reliable"},
		"the same of the other kind":   {packets: [][]byte{sctpPacket(chunkOf(chunkIForwardTSN, 0, make([]byte, 4)...))}, want: "reliable"},
		"a second reset":               {packets: [][]byte{sctpPacket(resetOf(7, 5)), sctpPacket(resetOf(8, 5))}, want: "second reset"},
		"more streams":                 {packets: [][]byte{sctpPacket(chunkOf(chunkReconfig, 0, 0, 17, 0, 12, 0, 0, 0, 1, 0, 9, 0, 0))}, want: "type 17"},
		"data after the end":           {packets: [][]byte{sctpPacket(resetOf(7, 5)), sctpPacket(plain(whole, 6, stream, 0, 1))}, want: "after the end"},
		"a packet that is too large":   {packets: [][]byte{make([]byte, smallPacket+1)}, want: "at most"},
		"a packet that is too small":   {packets: [][]byte{make([]byte, sctpHeader-1)}, want: "none of SCTP"},
		"a chunk that is too small":    {packets: [][]byte{sctpPacket([]byte{0, 3, 0, 3})}, want: "chunk"},
		"a chunk that is cut":          {packets: [][]byte{sctpPacket(plain(whole, 5, stream, 0, 9))[:30]}, want: "chunk"},
		"data without what it is":      {packets: [][]byte{sctpPacket(chunkOf(chunkData, whole, 1, 2, 3, 4))}, want: "data of 8 bytes"},
		"a parameter that is too long": {packets: [][]byte{sctpPacket(chunkOf(chunkReconfig, 0, 0, paramReset, 0, 99))}, want: "parameter"},
	} {
		r := rules{stream: stream, now: time.Now}
		for i, p := range c.packets {
			pass, err := r.packet(p, c.read, c.closed)
			switch last := i == len(c.packets)-1; {
			case !last || c.want == "":
				if err != nil || !pass {
					t.Errorf("%s: %v, %v", name, pass, err)
				}
			case err == nil || !strings.Contains(err.Error(), c.want):
				t.Errorf("%s: want %q in %v", name, c.want, err)
			}
		}
	}
}

// What is counted over time: chunks of a set-up, heartbeats, and what comes although there is no room.
func TestCountedRules(t *testing.T) {
	now := time.Unix(1000, 0)
	r := rules{now: func() time.Time { return now }}
	beat := sctpPacket(chunkOf(chunkHeartbeat, 0))
	answered := 0
	for range 10 * maxBeats {
		if pass, err := r.packet(beat, 0, false); err != nil {
			t.Fatal(err)
		} else if pass {
			answered++
		}
	}
	now = now.Add(3 * beatInterval)
	for range 10 {
		if pass, _ := r.packet(beat, 0, false); pass {
			answered++
		}
	}
	if answered != maxBeats+3 {
		t.Errorf("%d heartbeats are answered", answered)
	}
	var err error
	for i := range maxHandshake + 1 {
		if err != nil {
			t.Fatalf("chunk %d of a set-up: %v", i, err)
		}
		_, err = r.packet(sctpPacket(chunkOf(chunkInit, 0)), 0, false)
	}
	if err == nil {
		t.Error("any number of chunks that set the association up")
	}
	r = rules{now: r.now}
	part := sctpPacket(plain(whole, 5, 0, 0, 1000))
	for range maxOverrun / 1000 {
		if _, err := r.packet(part, 0, true); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.packet(part, 0, true); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("more than there is room for: %v", err)
	}
	r = rules{now: r.now}
	padded := sctpPacket(plain(whole, 5, 0, 0, 1), chunkOf(132, 0, make([]byte, 1000)...))
	for err, i := error(nil), 0; err == nil; i++ {
		if i > 2*maxWaste/1000 {
			t.Fatal("any number of packets with little data and much beside it")
		}
		_, err = r.packet(padded, 0, false)
	}
	r = rules{now: r.now}
	for i := range 10 * maxOverrun / 1000 {
		if _, err := r.packet(part, 0, i%1000 != 999); err != nil {
			t.Fatal(i, err)
		}
	}
}

// Nothing that a peer could send breaks the rules themselves, and what they remember is bounded.
func FuzzRules(f *testing.F) {
	f.Add(sctpPacket(plain(whole, 5, 1, 0, 9)), uint32(0), false)
	f.Add(sctpPacket(interleaved(2, 5, 1, 0, 0, 600), resetOf(7, 5, 0, 1)), uint32(3), true)
	f.Add(sctpPacket(chunkOf(chunkHeartbeat, 0, 1, 2, 3)), uint32(3), true)
	f.Fuzz(func(t *testing.T, b []byte, read uint32, closed bool) {
		r := rules{stream: 1, now: time.Now}
		for range 3 {
			pass, err := r.packet(b, read, closed)
			if pass && err != nil || len(r.starts) > len(b) {
				t.Fatalf("%v, %v, %d starts", pass, err, len(r.starts))
			}
		}
	})
}

// fed is a connection from which packets come that were written before.
type fed struct {
	net.Conn
	packets [][]byte
}

func (f *fed) Read(b []byte) (int, error) {
	if len(f.packets) == 0 {
		return 0, net.ErrClosed
	}
	n := copy(b, f.packets[0])
	f.packets = f.packets[1:]
	return n, nil
}

func recordOf(kind byte, size int) []byte {
	b := make([]byte, recordHeader+size)
	b[0] = kind
	binary.BigEndian.PutUint16(b[recordHeader-2:], uint16(size))
	return b
}

// A handshake may have so many bytes, and after it few of its records are seen; data always is.
func TestHandshakeBounds(t *testing.T) {
	f := &fed{}
	for range maxHandshakeBytes/1000 + 1 {
		f.packets = append(f.packets, recordOf(recordHandshake, 1000-recordHeader))
	}
	var why error
	r := &records{Conn: f, fail: func(err error) { why = err }}
	b, taken := make([]byte, 2000), 0
	for {
		n, err := r.Read(b)
		if err != nil {
			break
		}
		taken += n
	}
	if why == nil || taken > maxHandshakeBytes {
		t.Errorf("%d bytes of a handshake; %v", taken, why)
	}

	f = &fed{}
	for range 2 * maxLateRecords {
		f.packets = append(f.packets, recordOf(recordHandshake, 20), append(recordOf(recordData, 20), recordOf(recordHandshake, 5)...), recordOf(recordData, 30))
	}
	r = &records{Conn: f}
	r.settled.Store(true)
	late, data := 0, 0
	for {
		n, err := r.Read(b)
		if err != nil {
			break
		}
		if n == recordHeader+30 {
			data++
		} else {
			late++
		}
	}
	if data != 2*maxLateRecords || late > maxLateRecords {
		t.Errorf("%d packets of data, %d of a handshake", data, late)
	}
}

// Nothing that a peer could send breaks the count.
func FuzzRecords(f *testing.F) {
	f.Add(append(recordOf(recordData, 20), recordOf(recordHandshake, 5)...))
	f.Add(recordOf(recordAlert, 2)[:14])
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &records{}
		for range 3 {
			r.passes(b)
		}
		if r.late > maxLateRecords {
			t.Fatalf("%d late records", r.late)
		}
	})
}
