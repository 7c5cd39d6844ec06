package plainpeers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/sdk/message"
)

const (
	self   message.URL = "hyperty-runtime://a.example/self"
	bob    message.URL = "hyperty://a.example/bob" // of self
	remote message.URL = "hyperty-runtime://b.example/r-ann"
	ann    message.URL = "hyperty://b.example/ann" // of remote
	eve    message.URL = "hyperty://b.example/eve" // of a runtime that is not allowed
	keyed  message.URL = "hyperty-runtime://b.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	ours   message.URL = self + "/protostub/a.example"
	theirs message.URL = self + "/protostub/b.example"
	third  message.URL = self + "/protostub/c.example"
)

// around is everything that Peers need, and notes what they do.
type around struct {
	wg     sync.WaitGroup
	mu     sync.Mutex
	posted []string // by which stub, to which runtime
	came   []string // from which runtime, or "answer"; then the sender
	refuse error    // of Post
}

func (a *around) WithoutSession(r message.URL) error {
	if r != remote {
		return errors.New("not allowed")
	}
	return nil
}
func (a *around) HomeWithoutSessions(domain string) bool { return domain == "b.example" }

func (a *around) Where(_ context.Context, u message.URL) (message.URL, error) {
	if of := u.Runtime(); of != "" {
		return of, nil
	}
	switch u {
	case ann:
		return remote, nil
	case eve:
		return "hyperty-runtime://b.example/r-eve", nil
	case "hyperty://b.example/keyed":
		return keyed, nil
	}
	return "", &message.ResponseError{Code: message.CodeNotFound, From: u, Description: "not found"}
}
func (a *around) Local(u message.URL) bool { return u == bob }

func (a *around) Explain(_ context.Context, to message.URL) (bus.Route, error) {
	return bus.Route{Stub: self.Join("protostub", to.NodeDomain())}, nil
}
func (a *around) RouteTo(message.URL) (bus.Route, error) {
	return bus.Route{Stub: theirs, Remote: remote}, nil
}

func (a *around) note(list *[]string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*list = append(*list, fmt.Sprint(args...))
}

func (a *around) Arrive(_ context.Context, r, _ message.URL, m message.Message) {
	a.note(&a.came, r, " ", m.From)
}
func (a *around) ArriveFromNode(_ context.Context, _ message.URL, m message.Message) {
	a.note(&a.came, "answer ", m.From, " ", m.ID)
}
func (a *around) Post(_ context.Context, stub message.URL, m message.Message) error {
	var body struct{ Code int }
	_ = m.Decode(&body)
	a.note(&a.posted, stub, " ", m.To, " ", body.Code)
	return a.refuse
}

// newPeers are Peers with everything around them; done waits for their background work, and returns and forgets what they
// did.
func newPeers(t *testing.T, log hclog.Logger) (p *Peers, a *around, done func() (came, posted []string)) {
	a = &around{}
	p = New(Options{Self: self, Domain: "a.example", Policy: a, Directory: a, Routes: a, Bus: a, Post: a.Post, Log: log,
		Go: func(f func(context.Context)) { a.wg.Go(func() { f(t.Context()) }) }})
	return p, a, func() (came, posted []string) {
		a.wg.Wait()
		came, posted = a.came, a.posted
		a.came, a.posted = nil, nil
		return came, posted
	}
}

// A message from a Message Node counts as from an allowed runtime without sessions, or is refused.
func TestReceive(t *testing.T) {
	p, _, done := newPeers(t, nil)
	for _, c := range []struct {
		what     string
		node     Node
		from, to message.URL
		came     string // from which runtime; "": from none
		answer   int    // 0: none
	}{
		{"by the own node", Node{ours, "a.example"}, ann, bob, string(remote + " " + ann), 0},
		{"by the runtime's node", Node{theirs, "b.example"}, ann, bob, string(remote + " " + ann), 0},
		{"from the runtime itself", Node{theirs, "b.example"}, remote + "/sm", bob, string(remote + " " + remote + "/sm"), 0},
		{"by another domain's node", Node{third, "c.example"}, ann, bob, "", 0},
		{"of a runtime that is not allowed", Node{theirs, "b.example"}, eve, bob, "", message.CodeForbidden},
		{"of a domain that is not allowed", Node{ours, "a.example"}, "hyperty://c.example/x", bob, "", message.CodeForbidden},
		{"of a runtime with a key", Node{theirs, "b.example"}, keyed + "/sm", bob, "", 0},
		{"of a hyperty of a runtime with a key", Node{theirs, "b.example"}, "hyperty://b.example/keyed", bob, "", 0},
		{"of nobody who is known", Node{theirs, "b.example"}, "hyperty://b.example/x", bob, "", message.CodeNotFound},
		{"to a component of the runtime", Node{theirs, "b.example"}, ann, self + "/sm", "", 0},
	} {
		p.Receive(c.node, message.Message{ID: message.NumberID(1), Type: message.Read, From: c.from, To: c.to})
		came, posted := done()
		if strings.Join(came, ",") != c.came {
			t.Errorf("%s: came %q, want %q", c.what, came, c.came)
		}
		want := []string(nil)
		if c.answer != 0 {
			want = []string{fmt.Sprint(c.node.Stub, " ", c.from, " ", c.answer)}
		}
		if !slices.Equal(posted, want) {
			t.Errorf("%s: answered %q, want %q", c.what, posted, want)
		}
	}
	if s := p.Snapshot(); len(s) != 1 || s[0].Remote != remote || s[0].Received != 3 || s[0].Sent != 0 {
		t.Errorf("counted %+v", s)
	}
}

// A message goes to the node of its runtime's domain, a publication to the node of its own address; its answer is accepted.
func TestRouteAndPost(t *testing.T) {
	p, a, done := newPeers(t, nil)
	m := message.Message{ID: message.NumberID(7), Type: message.Read, From: bob, To: ann}
	r, err := p.Route(t.Context(), bus.Route{Remote: remote}, m)
	if err != nil || r.Stub != theirs {
		t.Fatalf("%+v %v", r, err)
	}
	if r, err := p.Route(t.Context(), bus.Route{Remote: remote, Stub: third}, m); err != nil || r.Stub != third {
		t.Errorf("a stub that is named: %+v %v", r, err)
	}
	publication := message.Message{Type: message.Update, From: bob, To: "comm://a.example/1/changes"}
	if r, err := p.Route(t.Context(), bus.Route{Remote: remote, Stub: theirs}, publication); err != nil || r.Stub != ours {
		t.Errorf("a publication: %+v %v", r, err)
	}
	var refused *message.ResponseError
	if _, err := p.Route(t.Context(), bus.Route{Remote: "hyperty-runtime://b.example/r-eve"}, m); !errors.As(err, &refused) || refused.Code != message.CodeForbidden {
		t.Errorf("a runtime that is not allowed: %v", err)
	}
	if err := p.Post(t.Context(), theirs, remote, m); err != nil {
		t.Fatal(err)
	}
	answer := m.Respond(message.CodeOK, nil)
	p.Receive(Node{ours, "a.example"}, answer)   // not by the node where it went
	p.Receive(Node{theirs, "b.example"}, answer) // there
	p.Receive(Node{theirs, "b.example"}, answer) // a second time
	came, posted := done()
	if want := []string{string("answer " + ann + " 7")}; !slices.Equal(came, want) {
		t.Errorf("answers %q, want %q", came, want)
	}
	if want := []string{string(theirs + " " + ann + " 0")}; !slices.Equal(posted, want) {
		t.Errorf("posted %q, want %q", posted, want)
	}
	a.refuse = errors.New("the stub has gone")
	if err := p.Post(t.Context(), theirs, remote, m); !errors.Is(err, a.refuse) {
		t.Error(err)
	}
	if s := p.Snapshot(); len(s) != 1 || s[0].Sent != 1 || s[0].Received != 1 {
		t.Errorf("counted %+v", s)
	}
}

// Faults that a stranger can cause as often as it likes are logged once in a while, and what is kept of strangers is bounded.
func TestStrangersAreLoggedSeldom(t *testing.T) {
	var text strings.Builder
	p, _, done := newPeers(t, hclog.New(&hclog.LoggerOptions{Output: &text, Level: hclog.Warn}))
	for n := range 3 * maxSaid {
		from := message.URL(fmt.Sprintf("hyperty://d%d.example/x", n/2))
		p.Receive(Node{theirs, "b.example"}, message.Message{ID: message.NumberID(1), Type: message.Response, From: from, To: bob, Body: []byte(`{"code":200}`)})
	}
	done()
	if n := strings.Count(text.String(), "\n"); n != maxSaid || len(p.said) != maxSaid {
		t.Errorf("%d lines, %d remembered, want %d", n, len(p.said), maxSaid)
	}
}

// The same trouble is logged again after a minute, also where as many are remembered as may be; until then it is not, and one that
// is forgotten makes room for a new one.
func TestTroubleIsLoggedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		p, _, _ := newPeers(t, hclog.New(&hclog.LoggerOptions{Output: &text, Level: hclog.Warn}))
		said := func(name string, want bool) {
			t.Helper()
			text.Reset()
			p.logSeldom(message.URL("hyperty://"+name+".example/x"), "trouble")
			if got := text.Len() > 0; got != want {
				t.Errorf("%s after %v: said is %v", name, time.Now(), got)
			}
		}
		said("first", true)
		said("first", false)
		time.Sleep(sayAgain / 2)
		for i := range maxSaid - 1 {
			said(fmt.Sprint("d", i), true)
		}
		said("new", false) // as many are remembered as may be
		time.Sleep(sayAgain/2 - 1)
		said("first", false)
		time.Sleep(time.Nanosecond)
		said("d0", false)
		said("first", true)
		said("new", false)
		time.Sleep(sayAgain / 2)
		said("new", true)
		said("first", false)
		if n := len(p.said); n != 2 {
			t.Errorf("%d are remembered", n)
		}
	})
}

// A runtime is counted once, however its address is written.
func TestOneRuntimeIsCountedOnce(t *testing.T) {
	p, _, _ := newPeers(t, nil)
	p.peer(remote).sent.Add(1)
	p.peer(message.URL(strings.TrimPrefix(string(remote), "hyperty-")) + "/").received.Add(2)
	if s := p.Snapshot(); len(s) != 1 || s[0].Remote != remote || s[0].Sent != 1 || s[0].Received != 2 {
		t.Errorf("%+v", s)
	}
}

// A refusal that could not be sent is noted in the log, unless this runtime ends.
func TestRefusalsThatCannotBeSent(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		ended bool
		noted bool
	}{"sent": {nil, false, false}, "not sent": {errors.New("the stub has gone"), false, true}, "not sent at the end": {errors.New("the stub has gone"), true, false}} {
		var text strings.Builder
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		a := &around{refuse: c.err}
		p := New(Options{Self: self, Domain: "a.example", Policy: a, Directory: a, Routes: a, Bus: a, Log: hclog.New(&hclog.LoggerOptions{Output: &text, Level: hclog.Debug}),
			Post: func(ctx context.Context, stub message.URL, m message.Message) error {
				if c.ended {
					cancel()
				}
				return a.Post(ctx, stub, m)
			},
			Go: func(f func(context.Context)) { a.wg.Go(func() { f(ctx) }) }})
		p.refuse(Node{theirs, "b.example"}, message.Message{ID: message.NumberID(1), Type: message.Read, From: ann, To: bob}, errors.New("no"))
		a.wg.Wait()
		if noted := strings.Contains(text.String(), "refusal not sent"); noted != c.noted || len(a.posted) != 1 {
			t.Errorf("%s: noted %v, posted %v", name, noted, a.posted)
		}
	}
}
