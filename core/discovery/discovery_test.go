package discovery

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

const (
	self   message.URL = "hyperty-runtime://a.example/self"
	remote message.URL = "hyperty-runtime://b.example/remote"
	alice  message.URL = "hyperty://a.example/alice"
	bob    message.URL = "hyperty://b.example/bob"
)

// world is a Discovery whose surroundings are made up.
type world struct {
	*Discovery
	t     *testing.T
	group *work.Group

	mu        sync.Mutex
	listeners map[message.URL]message.Handler
	replies   map[message.ID]message.Message
	last      uint64
	state     hyperty.PresenceState // of every address
	reads     int
	searching chan struct{} // nil: searches end at once
	followed  map[message.URL]bool
	heard     time.Time
}

// inWorld runs a test with a made-up clock.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, group: work.NewGroup(), listeners: map[message.URL]message.Handler{}, replies: map[message.ID]message.Message{},
			state: hyperty.Registered, followed: map[message.URL]bool{}}
		w.Discovery = New(Options{Runtime: self, Domain: "a.example", Bus: w, Registry: w, Registrations: w, Go: w.group.Go,
			Heard: func(message.URL) (time.Time, bool, bool) {
				w.mu.Lock()
				defer w.mu.Unlock()
				return w.heard, false, true
			}})
		w.Start()
		synctest.Wait()
		test(w)
		w.group.End()
		w.group.Wait()
	})
}

func (w *world) Listen(at message.URL, h message.Handler) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listeners[at] = h
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.listeners, at)
	}
}

func (w *world) Reply(m message.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, twice := w.replies[m.ID.Key()]; twice {
		w.t.Errorf("answered twice: %s", m.Body)
	}
	w.replies[m.ID.Key()] = m
}

func (w *world) Hyperty(u message.URL) bool { return u.Domain() == "a.example" && !u.IsRuntime() }

func (w *world) Presence(context.Context, message.URL) hyperty.Presence {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	return hyperty.Presence{State: w.state}
}

// readings is how often Presence was asked.
func (w *world) readings() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reads
}

func (w *world) Search(ctx context.Context, _ hyperty.Query) (hyperty.Findings, error) {
	w.mu.Lock()
	wait := w.searching
	w.mu.Unlock()
	if wait != nil {
		<-wait
	}
	return hyperty.Findings{}, ctx.Err()
}

func (w *world) Follow(_ message.URL, list []message.URL, listen func(at message.URL) (stop func())) error {
	for _, u := range list {
		listen(u.Join("registration"))
		w.mu.Lock()
		w.followed[u] = true
		w.mu.Unlock()
	}
	return nil
}

func (w *world) Unfollow(_ message.URL, list []message.URL) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range list {
		delete(w.followed, u)
	}
}

// becomes has every address have a state.
func (w *world) becomes(state hyperty.PresenceState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = state
}

// asks sends a question and gives what looks whether it is answered: with the code and the value.
func (w *world) asks(who message.URL, body any) (answered func() (int, polled)) {
	w.last++
	m := message.Message{Type: message.Read, ID: message.NumberID(w.last), From: who, To: w.url, Body: message.Encode(body)}
	w.receive(w.t.Context(), m)
	synctest.Wait()
	return func() (code int, value polled) {
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		answer, ok := w.replies[m.ID.Key()]
		if !ok {
			return 0, polled{}
		}
		r, err := answer.Result()
		if err != nil {
			w.t.Fatal(err)
		}
		if len(r.Value) > 0 {
			if err := json.Unmarshal(r.Value, &value); err != nil {
				w.t.Fatal(err)
			}
		}
		return r.Code, value
	}
}

type polled struct {
	Version  string
	Presence []hyperty.Presence
	Events   []hyperty.RuntimeEvent
}

// watches asks for the presence of addresses.
func (w *world) watches(who message.URL, after string, addresses ...message.URL) (answered func() (int, polled)) {
	return w.asks(who, map[string]any{"watch": asked{addresses, after, 10_000}})
}

func (w *world) state1(what string, answered func() (int, polled), want hyperty.PresenceState) string {
	w.t.Helper()
	code, value := answered()
	if code != 200 || len(value.Presence) != 1 || value.Presence[0].State != want {
		w.t.Fatalf("%s: %d %+v, want %s", what, code, value, want)
	}
	return value.Version
}

func TestAQuestionWaitsForTheNext(t *testing.T) {
	inWorld(t, func(w *world) {
		version := w.state1("the first", w.watches(alice, "", bob), hyperty.Registered)
		next := w.watches(alice, version, bob)
		if code, _ := next(); code != 0 {
			t.Fatalf("answered %d although nothing has changed", code)
		}
		time.Sleep(3 * time.Second)
		w.becomes(hyperty.Away)
		w.Moved(bob.Join("child"))
		version = w.state1("the change", next, hyperty.Away)
		next = w.watches(alice, version, bob)
		time.Sleep(10 * time.Second)
		if code, value := next(); code != 200 || len(value.Presence) != 0 || value.Version != version {
			t.Errorf("when its time is over: %d %+v", code, value)
		}
		// Between two questions it changes twice: the newest is told.
		for _, state := range []hyperty.PresenceState{hyperty.Registered, hyperty.Gone} {
			w.becomes(state)
			time.Sleep(3 * time.Second)
			w.Moved(bob)
			synctest.Wait()
		}
		w.state1("the newest", w.watches(alice, version, bob), hyperty.Gone)
		w.state1("of another process", w.watches(alice, "another.7", bob), hyperty.Gone)
	})
}

// A node that tells of changes all the time, and anybody else who does, has an address read every two seconds.
func TestAFloodOfNoticesIsAFewReads(t *testing.T) {
	inWorld(t, func(w *world) {
		w.watches(alice, "", bob)
		w.mu.Lock()
		notice := w.listeners[bob.Join("registration")]
		w.mu.Unlock()
		before := w.readings()
		for range 1000 {
			notice(t.Context(), message.Message{Type: message.Update, From: "domain://registry.b.example", To: bob.Join("registration")})
			w.Moved(bob)
			time.Sleep(10 * time.Millisecond)
		}
		if n := w.readings() - before; n < 4 || n > 6 {
			t.Errorf("%d reads in ten seconds", n)
		}
		time.Sleep(3 * time.Second)
		before = w.readings()
		for _, from := range []message.URL{alice, "domain://registry.a.example", "hyperty://b.example/mallory"} {
			notice(t.Context(), message.Message{Type: message.Update, From: from, To: bob.Join("registration")})
		}
		synctest.Wait()
		if w.readings() != before {
			t.Error("somebody else's notice counts")
		}
	})
}

func TestWhoHasLeftCostsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		version := w.state1("the first", w.watches(alice, "", bob), hyperty.Registered)
		w.watches(alice, version, bob)
		w.asks(alice, map[string]any{"events": asked{Wait: 30_000}})
		if !w.followed[bob] {
			t.Fatal("the registration is not followed")
		}
		w.Left(alice)
		synctest.Wait()
		if len(w.followed)+len(w.polls.all)+len(w.polls.at)+len(w.polls.by)+w.watching.Len() != 0 {
			t.Errorf("left: followed %v, questions %v", w.followed, w.polls)
		}
		// An application that asks no more, without a word.
		w.watches(alice, "", bob)
		reads := w.readings()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if len(w.followed)+w.watching.Len() != 0 || w.watched.Load() != 0 || len(w.subscribed) != 0 {
			t.Errorf("left: followed %v", w.followed)
		}
		w.Moved(bob)
		time.Sleep(time.Hour)
		if w.readings() != reads {
			t.Error("an address is read that nobody watches")
		}
	})
}

func TestWhatIsRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		for _, c := range []struct {
			who  message.URL
			body string
			code int
		}{
			{bob, `{"find":{}}`, 403}, {self.Join("p2phandler", "x"), `{"find":{}}`, 403},
			{alice, `{}`, 400}, {alice, `{"watch":{"addresses":[]}}`, 400}, {alice, `{"watch":{"addresses":["x"]}}`, 400},
			{alice, `{"watch":{"addresses":["domain://registry.a.example"]}}`, 400}, {alice, `{"watch":{"addresses":["` + string(remote) + `"]}}`, 400},
			{alice, `{"watch":{"addresses":["` + string(self) + `"]}}`, 400}, {alice, `{"watch":[]}`, 400},
		} {
			if code, _ := w.asks(c.who, json.RawMessage(c.body))(); code != c.code {
				t.Errorf("%s asks %s: %d", c.who, c.body, code)
			}
		}
		if w.watching.Len() != 0 {
			t.Error("something is watched")
		}
		// More than there is room for.
		w.searching = make(chan struct{})
		for i := range eachFinds + 1 {
			if code, _ := w.asks(alice, map[string]any{"find": hyperty.Query{}})(); (code == 429) != (i == eachFinds) {
				t.Errorf("finding %d: %d", i, code)
			}
		}
		close(w.searching)
		synctest.Wait()
		if code, _ := w.asks(alice, map[string]any{"find": hyperty.Query{}})(); code != 200 {
			t.Errorf("when the others have ended: %d", code)
		}
		for i := range maxAsked + 1 {
			if code, _ := w.asks(alice, map[string]any{"events": asked{Wait: 30_000}})(); (code == 429) != (i == maxAsked) {
				t.Errorf("question %d: %d", i, code)
			}
		}
		for i := range 5 { // each hyperty watches as many as it may
			var list []message.URL
			for n := range hyperty.MaxWatched {
				list = append(list, message.URL(fmt.Sprintf("hyperty://b.example/%d-%d", i, n)))
			}
			code, _ := w.asks(message.URL(fmt.Sprintf("hyperty://a.example/%d", i)), map[string]any{"watch": asked{list, "", 10_000}})()
			if (code == 429) != (i == 4) {
				t.Errorf("hyperty %d: %d", i, code)
			}
		}
	})
}

func TestARuntimeThatAnswersAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		kind := func(answered func() (int, polled)) (hyperty.EventKind, string) {
			code, value := answered()
			if code != 200 || len(value.Events) != 1 || value.Events[0].Peer != remote {
				t.Fatalf("%d %+v", code, value)
			}
			return value.Events[0].Kind, value.Version
		}
		relay := session.Path{Door: "mn://x", Stub: "mn://x"}
		first := w.asks(alice, map[string]any{"events": asked{Wait: 30_000}})
		w.Session(session.Event{Kind: session.Switched, Remote: remote, Path: relay}) // nobody has answered yet
		if code, _ := first(); code != 0 {
			t.Fatal("a runtime is reached that has not answered")
		}
		w.Session(session.Event{Kind: session.Opened, Remote: remote, Path: relay, Incarnation: 1})
		got, version := kind(first)
		if got != hyperty.PeerRelayed {
			t.Error(got)
		}
		next := w.asks(alice, map[string]any{"events": asked{After: version, Wait: 30_000}})
		w.Away(remote)
		if got, version = kind(next); got != hyperty.PeerUnreachable {
			t.Error(got)
		}
		next = w.asks(alice, map[string]any{"events": asked{After: version, Wait: 30_000}})
		time.Sleep(5 * time.Second)
		if code, _ := next(); code != 0 {
			t.Fatal("it was not heard of")
		}
		w.mu.Lock()
		w.heard = time.Now()
		w.mu.Unlock()
		time.Sleep(lookPause + time.Millisecond)
		if got, _ = kind(next); got != hyperty.PeerRelayed {
			t.Error(got)
		}
	})
}
