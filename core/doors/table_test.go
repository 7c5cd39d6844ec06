package doors

import (
	"context"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

const (
	self    message.URL = "hyperty-runtime://a.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	bobs    message.URL = "hyperty-runtime://b.example/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	carls   message.URL = "hyperty-runtime://c.example/cccccccccccccccccccccccccccccccc"
	handler message.URL = self + "/p2phandler/x"
	ours    message.URL = self + "/protostub/a.example"
	theirs  message.URL = self + "/protostub/b.example"
)

// A door of a P2P stub leads to one runtime, and so does the door before it, until the next one comes or the stub ends.
func TestDirectDoors(t *testing.T) {
	table := NewTable("a.example")
	behind := func(door message.URL) message.URL { return table.Find(handler, door).Sender("") }
	if table.Find(handler, "one").Direct() || behind("one") != "" {
		t.Error("somebody is behind a door that nobody has named")
	}
	table.AddDirect(handler, "one", bobs)
	table.AddDirect(handler, "one", bobs) // again: the same
	table.AddDirect(handler, "two", bobs)
	table.AddDirect(handler, "carl", carls)
	if !table.Find(handler, "one").Direct() || behind("one") != bobs || behind("two") != bobs || behind("carl") != carls {
		t.Error("the last two doors do not lead to their runtime")
	}
	if got := table.Find(handler, "one").Sender(carls); got != bobs {
		t.Errorf("a direct door whose frame names another runtime leads to %s", got)
	}
	table.AddDirect(handler, "three", bobs)
	if behind("one") != "" || behind("two") != bobs || behind("three") != bobs {
		t.Error("not the last two doors lead to their runtime")
	}
	table.Drop(handler)
	if behind("two") != "" || behind("three") != "" || behind("carl") != "" || len(table.direct)+len(table.latest) > 0 {
		t.Error("doors of a stub that has ended are kept")
	}
}

// A Message Node may speak for the runtimes of its own domain, that of this domain for all that can have a session.
func TestWhoANodeSpeaksFor(t *testing.T) {
	table := NewTable("a.example")
	table.AddNode(ours, "a.example")
	table.AddNode(theirs, "b.example")
	for _, c := range []struct {
		stub, peer, sender message.URL
	}{
		{ours, bobs, bobs}, {ours, carls, carls}, {theirs, bobs, bobs}, {ours, bobs + "/sm", bobs},
		{theirs, carls, ""}, {theirs, self, ""}, {ours, "", ""}, {ours, "hyperty://b.example/bob", ""},
		{ours, "hyperty-runtime://b.example/no-key", ""}, {handler, bobs, ""},
	} {
		d := table.Find(c.stub, c.stub)
		if got := d.Sender(c.peer); got != c.sender || d.Direct() {
			t.Errorf("by %s in the name of %q: from %q, direct %v", c.stub, c.peer, got, d.Direct())
		}
	}
	table.Drop(theirs)
	if table.Find(theirs, theirs).Sender(bobs) != "" {
		t.Error("a stub that has ended speaks")
	}
}

// came notes the frames that sessions get: from which runtime, and by which path.
type came []session.Path

func (c *came) Receive(_ context.Context, remote message.URL, p session.Path, frame []byte) {
	p.Door += " from " + remote + " " + message.URL(frame)
	*c = append(*c, p)
}

// Frames go to the session with the runtime behind the door; frames of unknown runtimes, and of this one, are dropped.
func TestFramesIn(t *testing.T) {
	var got came
	in := FramesIn{Self: self, Table: NewTable("a.example"), Sessions: &got, Log: hclog.NewNullLogger()}
	in.Table.AddNode(ours, "a.example")
	in.Table.AddDirect(handler, "door", carls)
	if !in.Take(t.Context(), ours, ours, []sdk.Frame{{Peer: "x", Payload: []byte("1")}, {Peer: bobs, Payload: []byte("2")}, {Peer: self, Payload: []byte("3")}}) {
		t.Error("nothing is taken of what one runtime has sent")
	}
	if !in.Take(t.Context(), handler, "door", []sdk.Frame{{Payload: []byte("4")}}) {
		t.Error("nothing is taken by a direct door")
	}
	if in.Take(t.Context(), ours, ours, []sdk.Frame{{Peer: self}}) || in.Take(t.Context(), handler, "other", []sdk.Frame{{Peer: bobs}}) {
		t.Error("what is in nobody's name is taken")
	}
	if len(got) != 2 || got[0] != (session.Path{Door: ours + " from " + bobs + " 2", Stub: ours}) ||
		got[1] != (session.Path{Door: "door from " + carls + " 4", Stub: handler, Direct: true}) {
		t.Errorf("came: %+v", got)
	}
}

// host notes the frames that it gets.
type host struct{ frames []sdk.Frame }

func (h *host) Send(_ context.Context, _, _ message.URL, frames ...sdk.Frame) error {
	h.frames = append(h.frames, frames...)
	return nil
}

func (h *host) TrySend(_, _ message.URL, frames ...sdk.Frame) bool {
	h.frames = append(h.frames, frames...)
	return false
}

// A frame over a Message Node names its receiver, one through a direct door does not.
func TestFramesOut(t *testing.T) {
	var h host
	out := FramesOut{Host: &h}
	if err := out.Send(t.Context(), session.Path{Door: ours, Stub: ours}, bobs, []byte("1"), []byte("2")); err != nil {
		t.Fatal(err)
	}
	if out.TrySend(session.Path{Door: "door", Stub: handler, Direct: true}, bobs, []byte("3")) {
		t.Error("the host's answer is lost")
	}
	if len(h.frames) != 3 || h.frames[0].Peer != bobs || h.frames[1].Peer != bobs || h.frames[2].Peer != "" || string(h.frames[2].Payload) != "3" {
		t.Errorf("%+v", h.frames)
	}
	payload := []byte("4")
	if n := testing.AllocsPerRun(100, func() { h.frames = h.frames[:0]; out.TrySend(session.Path{}, bobs, payload) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// keeper is a host that keeps the list of frames, which it must not use after Send.
type keeper struct{ list []sdk.Frame }

func (k *keeper) Send(_ context.Context, _, _ message.URL, frames ...sdk.Frame) error {
	k.list = frames
	return nil
}
func (k *keeper) TrySend(_, _ message.URL, frames ...sdk.Frame) bool { k.list = frames; return true }

// Lists of frames are used again, and hold no payload meanwhile.
func TestFramesOutKeepNothing(t *testing.T) {
	var k keeper
	out := FramesOut{Host: &k}
	if err := out.Send(t.Context(), session.Path{}, bobs, []byte("1"), []byte("2")); err != nil {
		t.Fatal(err)
	}
	if len(k.list) != 2 || k.list[0].Payload != nil || k.list[1].Payload != nil {
		t.Errorf("kept: %+v", k.list)
	}
}
