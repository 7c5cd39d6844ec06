package link

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/internal/link/linkpb"
	"github.com/protofly/protofly/sdk/message"
)

const frameHello = 2

// TestWireIsTheSchema compares the encoding by hand with the generated code, in both directions.
func TestWireIsTheSchema(t *testing.T) {
	var b []byte
	long := strings.Repeat("p", 300)
	b = appendFrame(b, 300, 7, Frame{Peer: "hyperty-runtime://example.com/r", Payload: []byte(long)})
	b = appendFrame(b, 1, 1<<20, Frame{})
	b = appendFrame(b, 2, 0, Frame{Payload: []byte("message")})
	b = appendCredit(b, 3, 4, 1<<20)
	var err error
	hello := &linkpb.Frame{Kind: &linkpb.Frame_Hello{Hello: &linkpb.Hello{Name: "x"}}}
	if b, err = appendControl(b, hello); err != nil {
		t.Fatal(err)
	}
	want := &linkpb.Batch{Frames: []*linkpb.Frame{
		{Instance: 300, Kind: &linkpb.Frame_Data{Data: &linkpb.Data{Door: 7, Peer: "hyperty-runtime://example.com/r", Payload: []byte(long)}}},
		{Instance: 1, Kind: &linkpb.Frame_Data{Data: &linkpb.Data{Door: 1 << 20}}},
		{Instance: 2, Kind: &linkpb.Frame_Message{Message: []byte("message")}},
		{Instance: 3, Kind: &linkpb.Frame_Credit{Credit: &linkpb.Credit{Door: 4, Bytes: 1 << 20}}},
		hello,
	}}
	var got linkpb.Batch
	if err := proto.Unmarshal(b, &got); err != nil || !proto.Equal(&got, want) {
		t.Errorf("got %v, %v\nwant %v", &got, err, want)
	}
	text, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []int
	err = parseBatch(text, func(f *frame) error {
		kinds = append(kinds, int(f.kind))
		if f.kind == frameData && f.instance == 300 && (f.door != 7 || string(f.peer) != "hyperty-runtime://example.com/r" || string(f.payload) != long) ||
			f.kind == frameCredit && (f.door != 4 || f.credit != 1<<20) {
			t.Errorf("frame %+v", f)
		}
		return nil
	})
	if err != nil || !slices.Equal(kinds, []int{8, 8, 7, 11, 2}) {
		t.Errorf("kinds %v, %v", kinds, err)
	}
}

// TestMessageFormIsTheSchema compares sdk/message's binary form with the generated code.
func TestMessageFormIsTheSchema(t *testing.T) {
	id, err := message.ParseID([]byte(`"text"`))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []message.Message{
		{ID: message.NumberID(7), Type: message.Update, From: "hyperty://a/b", To: "comm://a/c", Body: []byte(`{"value":1}`),
			Via: []message.URL{"hyperty-runtime://a/r/protostub/1", "hyperty-runtime://a/s/protostub/2"}, Source: "hyperty://a/x", P2P: message.Yes},
		{ID: id, Type: message.Close, From: "hyperty://a/b", To: "hyperty://a/c", P2P: message.No},
		{Type: message.Create, From: "hyperty://a/b", To: "hyperty://a/c"},
	} {
		var pb linkpb.Message
		if err := proto.Unmarshal(m.AppendBinary(nil), &pb); err != nil {
			t.Fatal(err)
		}
		if pb.Type != uint32(m.Type) || pb.From != string(m.From) || pb.To != string(m.To) || string(pb.Body) != string(m.Body) ||
			len(pb.Via) != len(m.Via) || pb.Source != string(m.Source) || len(pb.ProtoReflect().GetUnknown()) > 0 {
			t.Errorf("%+v became %v", m, &pb)
		}
		again, err := proto.Marshal(&pb)
		if err != nil {
			t.Fatal(err)
		}
		back, err := message.ParseBinary(again)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(back.AppendBinary(nil), m.AppendBinary(nil)) || back.ID != m.ID || back.P2P != m.P2P {
			t.Errorf("%+v came back as %+v", m, back)
		}
	}
}

func FuzzBatch(f *testing.F) {
	seed := appendFrame(nil, 1, 1, Frame{Peer: "hyperty-runtime://example.com/r", Payload: []byte("x")})
	seed = appendCredit(seed, 1, 1, 5)
	seed, _ = appendControl(seed, &linkpb.Frame{Instance: 1, Kind: &linkpb.Frame_OpenDoor{OpenDoor: &linkpb.OpenDoor{Door: 1, Url: "a://b"}}})
	f.Add(seed)
	f.Add([]byte{0x0a, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		c := New(nil, &controls{})
		l := c.Lane(1, 1)
		r := reader{conn: c}
		err := parseBatch(b, r.frame)
		if err == nil {
			err = r.flush()
		}
		if c.waiting.Load() > int64(len(b)*frameCost) {
			t.Errorf("%d bytes wait after a batch of %d", c.waiting.Load(), len(b))
		}
		var pb linkpb.Batch // our reader accepts whatever the generated one accepts
		if proto.Unmarshal(b, &pb) == nil && err != nil {
			var broken *ProtocolError
			if !errors.As(err, &broken) {
				t.Errorf("an error of ours for a good batch: %v", err)
			}
		}
		l.Close()
		if err == nil && c.waiting.Load() != 0 {
			t.Errorf("%d bytes wait on a closed lane", c.waiting.Load())
		}
	})
}
