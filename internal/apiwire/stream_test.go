package apiwire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func letter(size int) message.Message {
	return message.Message{ID: message.NumberID(7), Type: message.Update, From: "hyperty://example.com/a", To: "hyperty://example.com/b",
		Body: []byte(`{"value":"` + strings.Repeat("x", size) + `"}`)}
}

// A reader reads what a queue writes, whatever the sizes, without what was undone.
func TestQueueAndReader(t *testing.T) {
	var q, more Queue
	sizes := []int{0, 1, 100, ownSize, blockSize, usualBuffer, 1, message.MaxBody - 20, 3}
	q.Text(Preamble)
	q.Control(&RuntimeFrame{Frame: &RuntimeFrame_Farewell{Farewell: &Farewell{Reason: "why"}}})
	for n, size := range sizes {
		m := letter(size)
		if got := q.Message(uint32(n+1), n%2 == 1, &m); got != len(m.AppendBinary(nil)) {
			t.Errorf("a message of %d bytes has %d", len(m.AppendBinary(nil)), got)
		}
		before := q.Size()
		q.Message(99, false, &m)
		q.Undo()
		if q.Size() != before {
			t.Errorf("%d bytes after undoing, %d before", q.Size(), before)
		}
	}
	want := Credit{Ref: 1<<32 - 1, Units: 5, Responses: 6, Posts: []Span{{1, 2}, {1 << 60, 3}}}
	more.Credit(&want)
	q.Move(&more)
	if more.Size() != 0 {
		t.Errorf("%d bytes are left", more.Size())
	}
	ours, theirs := net.Pipe()
	written := make(chan error, 1)
	go func() { written <- errors.Join(q.Write(ours), ours.Close()) }()
	r := NewReader(theirs)
	if known, err := r.Preamble(); !known || err != nil {
		t.Fatal(known, err)
	}
	rec, err := r.Next()
	var f RuntimeFrame
	if err != nil || rec.Kind != Control || proto.Unmarshal(rec.Data, &f) != nil || f.GetFarewell().GetReason() != "why" {
		t.Fatalf("%+v %v", rec, err)
	}
	var kept []Record
	for range sizes {
		if rec, err = r.Next(); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, rec)
	}
	for n, size := range sizes { // after all were read, since each has memory of its own
		m := letter(size)
		if rec := kept[n]; rec.Kind != Carried || rec.Ref != uint32(n+1) || rec.Track != (n%2 == 1) || !bytes.Equal(rec.Data, m.AppendBinary(nil)) {
			t.Errorf("message %d: kind %d, reference %d, %d bytes", n, rec.Kind, rec.Ref, len(rec.Data))
		}
	}
	rec, err = r.Next()
	var got Credit
	if err != nil || rec.Kind != Credits || got.Parse(rec.Data) != nil || got.Ref != want.Ref || got.Units != 5 || got.Responses != 6 ||
		len(got.Posts) != 2 || got.Posts[1] != want.Posts[1] {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("the end: %v", err)
	}
	if err := <-written; err != nil || q.Size() != 0 {
		t.Error(err, q.Size())
	}
}

// Whatever comes, a reader keeps to its limit of memory, and what it reads can be written again.
func FuzzRecords(f *testing.F) {
	m := letter(20)
	post, _ := AppendMessage(nil, 3, true, &m)
	credit := (&Credit{Ref: 1, Units: 2, Responses: 3, Posts: []Span{{4, 5}}}).Append(nil)
	frame := AppendControl(nil, &ApplicationFrame{Frame: &ApplicationFrame_Hello{Hello: &Hello{Protocol: Protocol}}})
	f.Add(append(append(post, credit...), frame...))
	f.Add(post[:11])
	f.Add([]byte("\x00\x00\x00\x00\x00\xff\xff\xff\xff\x01"))
	f.Add([]byte("\x03\x00\x00\x00\x02\x80\x80\x09\x00\x00\x00\x63abcdefgh"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := NewReader(bytes.NewReader(text))
		for {
			rec, err := r.Next()
			if err != nil {
				if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.Is(err, ErrRecord) {
					t.Fatal(err)
				}
				return
			}
			if len(rec.Data) >= MaxRecord {
				t.Fatalf("a record of %d bytes", len(rec.Data))
			}
			var c, again Credit
			if rec.Kind == Credits && c.Parse(rec.Data) == nil {
				b := c.Append(nil)
				if size := binary.LittleEndian.Uint32(b); int(size) != len(b)-4 || again.Parse(b[recordHead:]) != nil || again.Ref != c.Ref || len(again.Posts) != len(c.Posts) {
					t.Fatalf("%+v became %+v", c, again)
				}
			}
		}
	})
}

func BenchmarkStream(b *testing.B) {
	m := letter(60)
	var q Queue
	b.ReportAllocs()
	for b.Loop() {
		q.Message(1, false, &m)
		if q.Size() > 1<<20 {
			q.Drop()
		}
	}
}
