package p2p

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

const (
	alice          message.URL = "hyperty-runtime://example.com/gshad5yxkz4aulead56enbrf54sfur3x" // of keyOf("alice")
	bob            message.URL = "hyperty-runtime://example.org/bsj3ymgfiarsxaivgwr3tlazzh6agjmu" // of keyOf("bob")
	aliceRequester             = alice + "/p2prequester/q1"
	bobHandler                 = bob + "/p2phandler/mem"
)

// world is everything around the stubs of some runtimes: their buses, joined, and what answers there: the sync
// managers, and the registries as far as a test plays them.
type world struct {
	t *testing.T

	mu       sync.Mutex
	buses    map[message.URL]*minibus.MiniBus
	objects  map[message.URL]*fakeObject
	made     int
	waiting  map[string]message.Message // invitations and commands, by the ID under which they were passed on
	answers  map[string]chan message.Message
	number   uint64
	statuses map[message.URL][]string // as posted: "live", "failed: why"
	resource map[message.URL][]message.URL
	consent  func(stub message.URL) int // the code of the answer to created; 0 is none
	keep     bool                       // whether it says keep with 200
	hold     func(m message.Message) bool
	keys     map[message.URL]ed25519.PrivateKey             // of the runtimes
	signs    func(m message.Message) bool                   // nil: every request for a signature is granted
	alter    func(reporter message.URL, data []byte) []byte // what a cheating node makes of a Connection object
	posted   []message.Message                              // everything that crossed
}

type fakeObject struct {
	meta      object.Metadata
	doc       object.Document
	reporter  message.URL
	invited   map[message.URL]bool
	observers map[message.URL]message.URL // observer → its sync manager
}

func newWorld(t *testing.T) *world {
	return &world{
		t: t, buses: map[message.URL]*minibus.MiniBus{}, objects: map[message.URL]*fakeObject{},
		waiting: map[string]message.Message{}, answers: map[string]chan message.Message{},
		keys:     map[message.URL]ed25519.PrivateKey{alice: keyOf("alice"), bob: keyOf("bob")},
		statuses: map[message.URL][]string{}, resource: map[message.URL][]message.URL{},
		consent: func(message.URL) int { return 200 },
	}
}

// route takes a message from a stub, or from what is around, to its place.
func (w *world) route(ctx context.Context, m message.Message) error {
	w.mu.Lock()
	w.posted = append(w.posted, m)
	hold := w.hold
	w.mu.Unlock()
	if hold != nil && hold(m) {
		return nil
	}
	switch {
	case strings.HasSuffix(string(m.To), "/sm"):
		w.manager(ctx, m)
	case strings.HasSuffix(string(m.To), "/status"):
		w.status(ctx, m)
	case strings.HasSuffix(string(m.To), "/identity"):
		w.identity(ctx, m)
	case m.Type == message.Response && w.passBack(ctx, m):
	default:
		w.mu.Lock()
		bus := w.buses[m.To.Canonical()]
		w.mu.Unlock()
		if (bus == nil || !bus.Deliver(ctx, m)) && m.Type != message.Response {
			return w.route(ctx, m.Refuse(message.CodeNotFound, "nobody is at %s", m.To))
		}
	}
	return nil
}

// pass sends m on with an ID of the world's own, remembering what its answer belongs to.
func (w *world) pass(ctx context.Context, m, request message.Message, answer chan message.Message) {
	w.mu.Lock()
	w.number++
	m.ID = message.NumberID(1<<40 + w.number)
	if answer != nil {
		w.answers[m.ID.String()] = answer
	} else {
		w.waiting[m.ID.String()] = request
	}
	w.mu.Unlock()
	_ = w.route(ctx, m)
}

func (w *world) passBack(ctx context.Context, m message.Message) bool {
	w.mu.Lock()
	request, ok := w.waiting[m.ID.String()]
	answer := w.answers[m.ID.String()]
	delete(w.waiting, m.ID.String())
	delete(w.answers, m.ID.String())
	w.mu.Unlock()
	if ok {
		_ = w.route(ctx, request.RespondBody(m.Body))
	}
	if answer != nil {
		answer <- m
	}
	return ok || answer != nil
}

func (w *world) status(ctx context.Context, m message.Message) {
	var body statusBody
	if err := m.Decode(&body); err != nil {
		w.t.Errorf("a status: %v", err)
	}
	text := body.Value.String()
	if body.Desc != "" {
		text += ": " + body.Desc
	}
	w.mu.Lock()
	code, keep := w.consent(m.From), w.keep
	if code >= 300 && m.From == bobHandler && body.Value == message.Created {
		text += " (refused)"
	}
	w.statuses[m.From] = append(w.statuses[m.From], text)
	w.resource[m.From] = append(w.resource[m.From], body.Resource)
	w.mu.Unlock()
	if code >= 300 {
		_ = w.route(ctx, m.Refuse(code, "no"))
	} else if code != 0 {
		_ = w.route(ctx, m.Respond(code, map[string]bool{"keep": keep}))
	}
}

// keyOf is the key of the runtime that a test calls so.
func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// runtime makes a runtime of that name.
func (w *world) runtime(name string) message.URL {
	key := keyOf(name)
	url := message.URL("hyperty-runtime://example.com/" + proof.RuntimeID(key.Public().(ed25519.PublicKey)))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys[url] = key
	return url
}

// identity signs, as the core does.
func (w *world) identity(ctx context.Context, m message.Message) {
	var body struct{ Params []string }
	_ = m.Decode(&body)
	w.mu.Lock()
	key, signs := w.keys[m.From.Runtime()], w.signs
	w.mu.Unlock()
	if key == nil || len(body.Params) != 4 || body.Params[0] != "p2p" || signs != nil && !signs(m) {
		_ = w.route(ctx, m.Refuse(message.CodeForbidden, "no signature"))
		return
	}
	digest, _ := base64.StdEncoding.DecodeString(body.Params[3])
	text := proof.P2P(proof.Part(body.Params[2]), m.From.Runtime(), message.URL(body.Params[1]), strings.Contains(string(m.From), "/p2prequester/"), digest)
	_ = w.route(ctx, m.Respond(message.CodeOK, map[string][]byte{"key": key.Public().(ed25519.PublicKey), "signature": ed25519.Sign(key, text)}))
}

// manager is the sync managers of all runtimes in one.
func (w *world) manager(ctx context.Context, m message.Message) {
	var body struct {
		Resource  message.URL     `json:"resource"`
		Value     object.Metadata `json:"value"`
		Authorise []message.URL   `json:"authorise"`
	}
	if m.Type != message.Update {
		if err := m.Decode(&body); err != nil {
			w.t.Errorf("%v", err)
		}
	} else {
		var u object.Update
		_ = m.Decode(&u)
		body.Resource = u.Resource
	}
	w.mu.Lock()
	o := w.objects[body.Resource]
	var after []message.Message
	answer := func(body any) message.Message { return m.RespondBody(message.Encode(body)) }
	switch {
	case m.Type == message.Create && len(body.Authorise) == 0:
		w.made++
		url := message.URL(fmt.Sprintf("connection://%s/c%d", m.From.Domain(), w.made))
		body.Value.URL = url
		doc, err := object.Parse(body.Value.Data)
		if err != nil {
			w.t.Errorf("data: %v", err)
		}
		body.Value.Data = nil
		w.objects[url] = &fakeObject{meta: body.Value, doc: doc, reporter: m.From, invited: map[message.URL]bool{}, observers: map[message.URL]message.URL{}}
		after = append(after, answer(map[string]any{"code": 200, "resource": url}))
	case o == nil:
		after = append(after, m.Refuse(message.CodeNotFound, "no object %s", body.Resource))
	case m.Type == message.Create:
		observer := body.Authorise[0]
		o.invited[observer.Canonical()] = true
		invitation := message.Message{Type: message.Create, From: body.Resource.Join("subscription"), To: observer, Source: o.reporter,
			Body: message.Encode(map[string]any{"schema": o.meta.Schema, "value": o.meta})}
		w.mu.Unlock()
		w.pass(ctx, invitation, m, nil)
		return
	case m.Type == message.Subscribe && !o.invited[m.From.Canonical()]:
		after = append(after, m.Refuse(message.CodeForbidden, "not invited"))
	case m.Type == message.Subscribe:
		o.observers[m.From] = m.To
		meta := o.meta
		meta.Data = o.doc.JSON()
		if w.alter != nil {
			meta.Data = w.alter(o.reporter, meta.Data)
		}
		after = append(after, answer(map[string]any{"code": 200, "resource": body.Resource, "value": meta}))
	case m.Type == message.Unsubscribe:
		delete(o.observers, m.From)
		after = append(after, m.Respond(200, nil))
	case m.Type == message.Update:
		var u object.Update
		_ = m.Decode(&u)
		var err error
		if o.doc, err = o.doc.Apply(u.Change()); err != nil {
			w.t.Errorf("an update: %v", err)
		}
		o.meta.Version = *u.Version
		after = append(after, m.Respond(200, nil))
		for observer, sm := range o.observers {
			after = append(after, message.Message{Type: message.Update, From: sm, To: observer, Body: m.Body})
		}
	case m.Type == message.Delete:
		delete(w.objects, body.Resource)
		after = append(after, m.Respond(200, nil))
		for observer, sm := range o.observers {
			after = append(after, message.Message{Type: message.Delete, From: sm, To: observer, Body: m.Body})
		}
	}
	w.mu.Unlock()
	for _, n := range after {
		_ = w.route(ctx, n)
	}
}

// command is an order of the registry of stub's runtime; it returns the answer's code.
func (w *world) command(stub message.URL, typ message.Type, body string) int {
	return w.commandFrom(stub.Runtime().Join("registry"), stub, typ, body)
}

func (w *world) commandFrom(from, stub message.URL, typ message.Type, body string) int {
	answer := make(chan message.Message, 1)
	w.pass(context.Background(), message.Message{Type: typ, From: from, To: stub, Body: json.RawMessage(body)}, message.Message{}, answer)
	select {
	case m := <-answer:
		r, err := m.Result()
		if err != nil {
			w.t.Errorf("the answer to a command: %v", err)
		}
		return r.Code
	case <-time.After(20 * time.Second):
		return 0
	}
}

func execute(method string, target message.URL) string {
	return string(message.Encode(map[string]any{"method": method, "params": []message.URL{target}}))
}

// instance of a stub in a world.
type running struct {
	w     *world
	url   message.URL
	doors *fakeDoors
	end   context.CancelFunc
	done  chan error
	bus   *minibus.MiniBus
}

// start starts an instance; stop ends it and waits.
func (w *world) start(s sdk.Stub, start sdk.Start) *running {
	ctx, end := context.WithCancel(context.Background())
	r := &running{w: w, url: start.URL, doors: &fakeDoors{open: map[message.URL]*fakeDoor{}}, end: end, done: make(chan error, 1)}
	r.bus = minibus.New(minibus.Options{Out: w.route})
	w.mu.Lock()
	w.buses[start.URL.Canonical()] = r.bus
	w.mu.Unlock()
	start.Doors = r.doors
	start.Log = hclog.NewNullLogger()
	go func() { r.done <- s.Run(ctx, r.bus, start) }()
	return r
}

func (r *running) stop() {
	r.end()
	if err := <-r.done; err != nil {
		r.w.t.Errorf("%s: Run: %v", r.url, err)
	}
	r.w.mu.Lock()
	delete(r.w.buses, r.url.Canonical())
	r.w.mu.Unlock()
	r.bus.Close()
	if n := r.doors.count(); n != 0 {
		r.w.t.Errorf("%s: %d doors were left open", r.url, n)
	}
}

// statusesOf is what a stub has posted, as one text.
func (w *world) statusesOf(stub message.URL) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.statuses[stub], ", ")
}

func (w *world) wantStatuses(stub message.URL, want string) {
	w.t.Helper()
	if got := w.statusesOf(stub); got != want {
		w.t.Errorf("statuses of %s:\n got %s\nwant %s", stub, got, want)
	}
}

func (w *world) wantObjects(n int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.objects) != n {
		w.t.Errorf("%d Connection objects are there, want %d", len(w.objects), n)
	}
}
