package doors

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/delivery"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// rooms are the components around an Exit; each notes what it is given.
type rooms struct {
	did []string
	err error
}

func (r *rooms) note(args ...any) error {
	r.did = append(r.did, strings.TrimSpace(fmt.Sprintln(args...)))
	return r.err
}

func (r *rooms) RouteTo(message.URL) (bus.Route, error) {
	return bus.Route{Stub: theirs, Door: theirs, Remote: bobs}, r.err
}
func (r *rooms) Standing(_, _ message.URL) (registry.Standing, bool) {
	return registry.Standing{}, false
}

type sessions struct{ *rooms }

func (s sessions) Post(_ context.Context, remote message.URL, p session.Path, _ message.Message) error {
	return s.note("post", remote, p.Door)
}
func (s sessions) PostTracked(_ context.Context, remote message.URL, p session.Path, _ message.Message) error {
	return s.note("watch", remote, p.Door)
}
func (s sessions) TryPost(remote message.URL, p session.Path, _ message.Message) error {
	return s.note("try post", remote, p.Door)
}
func (s sessions) TryPostTracked(remote message.URL, p session.Path, _ message.Message) error {
	return s.note("try watch", remote, p.Door)
}
func (s sessions) Line(message.URL, session.Path) (*session.Line, error) { return nil, s.err }

type plain struct{ *rooms }

func (p plain) Route(_ context.Context, r bus.Route, _ message.Message) (bus.Route, error) {
	r.Stub = theirs
	return r, p.err
}
func (p plain) Post(_ context.Context, stub, remote message.URL, _ message.Message) error {
	return p.note("plain", remote, stub)
}

// A message leaves through the session with its runtime, without one if the runtime can have none, or unchanged to a node.
func TestForward(t *testing.T) {
	const old message.URL = "hyperty-runtime://b.example/old"
	m := message.Message{ID: message.NumberID(1), Type: message.Update, From: "hyperty://a.example/alice", To: "hyperty://b.example/bob"}
	answer := m.Respond(message.CodeOK, nil)
	for _, c := range []struct {
		what    string
		route   bus.Route
		tracked bool
		want    string
		answers bool // an answer by the stub theirs is the outcome
	}{
		{"by a door", bus.Route{Remote: carls, Stub: handler, Door: "door", Direct: true}, false, "post " + string(carls) + " door", false},
		{"to a runtime alone", bus.Route{Remote: bobs}, false, "post " + string(bobs+" "+theirs), false},
		{"tracked", bus.Route{Remote: carls, Stub: handler, Door: "door"}, true, "watch " + string(carls) + " door", false},
		{"to a node", bus.Route{Stub: theirs}, true, "stub " + string(theirs), true},
		{"without a session", bus.Route{Remote: old}, true, "plain " + string(old+" "+theirs), true},
	} {
		r := &rooms{}
		var tracker delivery.Tracker
		e := &Exit{Self: self, Sessions: sessions{r}, Routes: r, Plain: plain{r},
			Stub: func(_ context.Context, stub message.URL, _ message.Message) error { return r.note("stub", stub) }}
		var outcomes []hyperty.Outcome
		if c.tracked {
			if err := tracker.Add(&m, func(o hyperty.Outcome) { outcomes = append(outcomes, o) }); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Forward(t.Context(), c.route, m, tracker.Receipt(m.From, m.ID)); err != nil || len(r.did) != 1 || r.did[0] != c.want {
			t.Errorf("%s: %q %v, want %q", c.what, r.did, err, c.want)
		}
		if tracker.Answered(theirs, &answer); (len(outcomes) == 1) != c.answers {
			t.Errorf("%s: the answer is the outcome: %v", c.what, outcomes)
		}
		tracker.Drop(m.From, m.ID)
		r.err = errors.New("gone")
		if err := e.Forward(t.Context(), c.route, m, minibus.Receipt{}); !errors.Is(err, r.err) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	r := &rooms{err: fmt.Errorf("post: %w", session.ErrUntrusted)}
	e := &Exit{Self: self, Sessions: sessions{r}, Routes: r}
	var refused *message.ResponseError
	if err := e.Forward(t.Context(), bus.Route{Remote: bobs, Stub: theirs}, m, minibus.Receipt{}); !errors.As(err, &refused) || refused.Code != message.CodeForbidden {
		t.Errorf("a runtime that is not trusted: %v", err)
	}
	if w := e.Way(m.From, m.To); w != nil {
		t.Errorf("a way where nothing is said in advance: %v", w)
	}
}

// Without waiting a message leaves only through a session. One that leaves without a session would have to wait for a
// plug-in; it is not lost if that is busy.
func TestTryForward(t *testing.T) {
	m := message.Message{ID: message.NumberID(1), Type: message.Update, From: "hyperty://a.example/alice", To: "hyperty://b.example/bob"}
	for _, c := range []struct {
		what    string
		route   bus.Route
		watched minibus.Taker
		want    string // "": nothing is done
	}{
		{"by a door", bus.Route{Remote: carls, Stub: handler, Door: "door", Direct: true}, nil, "try post " + string(carls) + " door"},
		{"to a runtime alone", bus.Route{Remote: bobs}, nil, "try post " + string(bobs+" "+theirs)},
		{"tracked", bus.Route{Remote: carls, Stub: handler, Door: "door"}, &failure{}, "try watch " + string(carls) + " door"},
		{"to a node", bus.Route{Stub: theirs}, nil, ""},
		{"without a session", bus.Route{Remote: "hyperty-runtime://b.example/old", Stub: theirs}, nil, ""},
	} {
		r := &rooms{}
		e := &Exit{Self: self, Sessions: sessions{r}, Routes: r, Plain: plain{r},
			Stub: func(_ context.Context, stub message.URL, _ message.Message) error { return r.note("stub", stub) }}
		err := e.TryForward(c.route, m, minibus.Receipt{By: c.watched})
		if c.want == "" && (!errors.Is(err, message.ErrWouldBlock) || len(r.did) > 0) || c.want != "" && (err != nil || len(r.did) != 1 || r.did[0] != c.want) {
			t.Errorf("%s: %q %v, want %q", c.what, r.did, err, c.want)
		}
	}
}

// accepted is a bus and a registry in which every component belongs to bob's runtime.
type accepted struct {
	arrived   []message.ID
	announced []message.URL
}

func (a *accepted) Accept(_ context.Context, _ message.URL, d *minibus.Delivery) {
	a.arrived = append(a.arrived, d.Message.ID)
}
func (a *accepted) TryAccept(_ message.URL, run []minibus.Delivery) int {
	for i := range run {
		a.arrived = append(a.arrived, run[i].Message.ID)
	}
	return len(run)
}
func (a *accepted) Announced(_ context.Context, _ message.URL, list []message.URL) {
	a.announced = append(a.announced, list...)
}
func (a *accepted) TryVerify(remote, from message.URL) error {
	if from.NodeDomain() == "slow.example" {
		return message.ErrWouldBlock
	}
	return a.Verify(context.Background(), remote, from)
}
func (a *accepted) Verify(_ context.Context, remote, from message.URL) error {
	if from.NodeDomain() != remote.NodeDomain() {
		return &message.ResponseError{Code: message.CodeNotFound, From: from, Description: "not there"}
	}
	return nil
}

// failure notes the code of a receipt.
type failure struct{ code int }

func (f *failure) Settled(uint64, uint32, int) {}
func (f *failure) Failed(_ uint64, _ uint32, _ message.Message, why error) {
	var known *message.ResponseError
	if errors.As(why, &known) {
		f.code = known.Code
	}
}

// An invitation is accepted from the runtime in whose name it is, every other message from any.
func TestDeliver(t *testing.T) {
	value := func(member string, u message.URL) []byte {
		return message.Encode(map[string]any{"value": map[string]message.URL{member: u}})
	}
	const object message.URL = "comm://b.example/1/subscription"
	for _, c := range []struct {
		what string
		m    message.Message
		wait bool
		code int  // 0: the message is accepted
		busy bool // it would have to wait
	}{
		{"a message", message.Message{Type: message.Update, To: handler}, false, 0, false},
		{"a creation of something else", message.Message{Type: message.Create, From: "hyperty://x.example/x", To: "hyperty://a.example/alice"}, false, 0, false},
		{"a connection in its own name", message.Message{Type: message.Create, To: handler, Body: value("runtime", bobs)}, false, 0, false},
		{"a connection in another's name", message.Message{Type: message.Create, To: handler, Body: value("runtime", carls)}, false, message.CodeForbidden, false},
		{"a connection in nobody's name", message.Message{Type: message.Create, To: handler, Body: []byte(`{"value":1}`)}, false, message.CodeForbidden, false},
		{"its object", message.Message{Type: message.Create, From: object, To: "hyperty://a.example/alice", Body: value("reporter", "hyperty://b.example/bob")}, true, 0, false},
		{"another's object", message.Message{Type: message.Create, From: object, To: "hyperty://a.example/alice", Body: value("reporter", "hyperty://c.example/carl")}, true, message.CodeNotFound, false},
		{"an object of which somebody has to be asked", message.Message{Type: message.Create, From: object, To: "hyperty://a.example/alice", Body: value("reporter", "hyperty://slow.example/s")}, false, 0, true},
	} {
		var a accepted
		var f failure
		in := &Entrance{Bus: &a, Owners: &a, Handler: func(u message.URL) bool { return u == handler }, Log: hclog.NewNullLogger()}
		run := []minibus.Delivery{{Message: c.m, Receipt: minibus.Receipt{By: &f}}}
		done := true
		if c.wait {
			in.Accept(t.Context(), bobs, &run[0])
		} else {
			done = in.TryAccept(bobs, run) == 1
		}
		if done == c.busy || f.code != c.code || (len(a.arrived) == 1) != (c.code == 0 && !c.busy) {
			t.Errorf("%s: done %v, code %d, arrived %d", c.what, done, f.code, len(a.arrived))
		}
		if announced := len(a.announced) > 0; announced != (c.wait && c.m.From == object) {
			t.Errorf("%s: announced %v", c.what, a.announced)
		}
	}
}

// Of invitations that are tried together each is checked by itself, up to the first that would have to wait.
func TestTryAcceptInvitations(t *testing.T) {
	var a accepted
	in := &Entrance{Bus: &a, Owners: &a, Handler: func(u message.URL) bool { return u == handler }, Log: hclog.NewNullLogger()}
	var run []minibus.Delivery
	refused := make([]failure, 4)
	for i, reporter := range []message.URL{"hyperty://b.example/bob", "hyperty://c.example/carl", "hyperty://slow.example/s", "hyperty://b.example/bob"} {
		run = append(run, minibus.Delivery{Receipt: minibus.Receipt{By: &refused[i]}, Message: message.Message{
			ID: message.NumberID(uint64(i) + 1), Type: message.Create, From: "comm://b.example/1/subscription", To: "hyperty://a.example/alice",
			Body: message.Encode(map[string]any{"value": map[string]message.URL{"reporter": reporter}})}})
	}
	if n := in.TryAccept(bobs, run); n != 2 || len(a.arrived) != 1 || a.arrived[0] != message.NumberID(1) {
		t.Errorf("%d taken, %v arrived", n, a.arrived)
	}
	for i, code := range []int{0, message.CodeNotFound, 0, 0} {
		if refused[i].code != code {
			t.Errorf("invitation %d: refused with %d, want %d", i+1, refused[i].code, code)
		}
	}
	if n := in.TryAccept(bobs, run[3:]); n != 1 || len(a.arrived) != 2 {
		t.Errorf("%d taken, %v arrived", n, a.arrived)
	}
}

// A message that leaves without a session is in doubt if nobody answers.
func TestForwardIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rooms{}
		e := &Exit{Self: self, Sessions: sessions{r}, Routes: r, Plain: plain{r}}
		m := message.Message{ID: message.NumberID(1), Type: message.Update, From: "hyperty://a.example/alice", To: "hyperty://b.example/bob"}
		var tracker delivery.Tracker
		told := make(chan hyperty.Outcome, 1)
		if err := tracker.Add(&m, func(o hyperty.Outcome) { told <- o }); err != nil {
			t.Fatal(err)
		}
		if err := e.Forward(t.Context(), bus.Route{Remote: "hyperty-runtime://b.example/old"}, m, tracker.Receipt(m.From, m.ID)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(delivery.AnswerTime)
		synctest.Wait()
		select {
		case o := <-told:
			if o.State != hyperty.InDoubt {
				t.Errorf("told: %+v", o)
			}
		default:
			t.Error("nothing is told")
		}
	})
}
