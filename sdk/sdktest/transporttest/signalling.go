package transporttest

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
	"github.com/protofly/protofly/sdk/proof"
)

// signalling is two runtimes as far as a P2P set-up needs them, by role: their buses, joined, and what answers there.
type signalling struct {
	keys     [2]ed25519.PrivateKey
	runtimes [2]message.URL
	stubs    [2]message.URL
	buses    [2]*minibus.MiniBus
	said     [2]*letters // what each side signals
	impostor *impostor   // nil: there is none

	mu      sync.Mutex
	changed chan struct{} // closed when there is a new status or object
	posted  [2][]string   // statuses, with their descriptions
	objects [2]*seen      // the Connection object of each side
	passed  map[string]message.Message
	number  uint64
}

// seen is a Connection object as the other side sees it.
type seen struct {
	meta     object.Metadata
	doc      object.Document
	observer message.URL
	manager  message.URL // the observer's
}

func newSignalling() *signalling {
	w := &signalling{changed: make(chan struct{}), passed: map[string]message.Message{}, said: [2]*letters{newLetters(), newLetters()}}
	for role, name := range []string{"alice", "bob"} {
		seed := sha256.Sum256([]byte(name))
		w.keys[role] = ed25519.NewKeyFromSeed(seed[:])
		public, _ := w.keys[role].Public().(ed25519.PublicKey)
		w.runtimes[role] = message.URL("hyperty-runtime://example.com/" + proof.RuntimeID(public))
		w.buses[role] = minibus.New(minibus.Options{Out: w.route})
	}
	w.stubs = [2]message.URL{w.runtimes[0].Join("p2prequester", "q"), w.runtimes[1].Join("p2phandler", "under-test")}
	return w
}

// attentive is a bus that tells when its stub listens.
type attentive struct {
	*minibus.MiniBus
	once    sync.Once
	listens chan struct{}
}

func (b *attentive) Listen(at message.URL, h message.Handler) (stop func()) {
	stop = b.MiniBus.Listen(at, h)
	b.once.Do(func() { close(b.listens) })
	return stop
}

// run runs a stub of the transport in that role, until stop is called. It returns when the stub listens: a message that
// nobody listens to is lost.
func (w *signalling) run(t *testing.T, s Suite, role p2p.Role) (stop func()) {
	start := sdk.Start{URL: w.stubs[role], Runtime: w.runtimes[role], Role: sdk.RoleHandler, Config: s.Handler, Doors: doors{}, Log: s.Log}
	if role == p2p.Requester {
		start.Role, start.Config, start.Remote, start.Handler = sdk.RoleRequester, s.Requester, w.runtimes[1], w.stubs[1]
	}
	ctx, cancel := context.WithCancel(context.Background())
	bus := &attentive{MiniBus: w.buses[role], listens: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- p2p.Stub(s.New).Run(ctx, bus, start) }()
	select {
	case <-bus.listens:
	case err := <-done:
		t.Errorf("%s has ended at once: %v", roleName(role), err)
		done <- err
	}
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", roleName(role), err)
		}
		w.buses[role].Close()
	}
}

// doors are those of a core that sends nothing.
type doors struct{}

func (doors) Open(message.URL) (sdk.Door, error) { return &door{closed: make(chan struct{})}, nil }

type door struct {
	once   sync.Once
	closed chan struct{}
}

func (d *door) Recv(ctx context.Context) ([]sdk.Frame, error) {
	select {
	case <-d.closed:
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *door) Send(context.Context, ...sdk.Frame) error { return nil }

func (d *door) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

func (w *signalling) statuses(role p2p.Role) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.posted[role], "\n")
}

// tell wakes those that wait for a change. w.mu is held.
func (w *signalling) tell() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// roleOf returns the role of the side to which an address belongs.
func (w *signalling) roleOf(u message.URL) p2p.Role {
	if u.Within(w.runtimes[p2p.Handler]) {
		return p2p.Handler
	}
	return p2p.Requester
}

// route takes a message of a stub to its place.
func (w *signalling) route(ctx context.Context, m message.Message) error {
	role := w.roleOf(m.From)
	switch to := string(m.To); {
	case m.Type == message.Response:
		w.mu.Lock()
		request, ok := w.passed[m.ID.String()]
		delete(w.passed, m.ID.String())
		w.mu.Unlock()
		if ok {
			w.deliver(ctx, request.RespondBody(m.Body))
		}
	case strings.HasSuffix(to, "/identity"):
		w.deliver(ctx, w.sign(role, m))
	case strings.HasSuffix(to, "/status"):
		var body struct{ Value, Desc string }
		_ = m.Decode(&body)
		w.mu.Lock()
		w.posted[role] = append(w.posted[role], body.Value+" "+body.Desc)
		w.tell()
		w.mu.Unlock()
		w.deliver(ctx, m.Respond(message.CodeOK, nil))
	case strings.HasSuffix(to, "/sm"):
		w.manage(ctx, role, m)
	}
	return nil
}

func (w *signalling) deliver(ctx context.Context, m message.Message) {
	w.buses[w.roleOf(m.To)].Deliver(ctx, m)
}

// sign signs as the core does.
func (w *signalling) sign(role p2p.Role, m message.Message) message.Message {
	var body struct{ Params []string }
	if m.Decode(&body) != nil || len(body.Params) != 4 {
		return m.Refuse(message.CodeBadRequest, "no signature")
	}
	digest, _ := base64.StdEncoding.DecodeString(body.Params[3])
	text := proof.P2P(proof.Part(body.Params[2]), w.runtimes[role], message.URL(body.Params[1]), role == p2p.Requester, digest)
	public, _ := w.keys[role].Public().(ed25519.PublicKey)
	return m.Respond(message.CodeOK, map[string][]byte{"key": public, "signature": ed25519.Sign(w.keys[role], text)})
}

// manage is both runtimes' sync managers.
func (w *signalling) manage(ctx context.Context, role p2p.Role, m message.Message) {
	var body struct {
		Value     object.Metadata `json:"value"`
		Authorise []message.URL   `json:"authorise"`
	}
	_ = m.Decode(&body)
	w.mu.Lock()
	mine, theirs := w.objects[role], w.objects[1-role]
	switch {
	case m.Type == message.Create && len(body.Authorise) == 0:
		o := &seen{meta: body.Value}
		o.meta.URL = message.URL("connection://example.com/" + []string{"offer", "answer"}[role])
		o.doc, _ = object.Parse(body.Value.Data)
		o.meta.Data = nil
		w.objects[role] = o
		w.tell()
		w.mu.Unlock()
		w.deliver(ctx, m.RespondBody(message.Encode(map[string]any{"code": message.CodeOK, "resource": o.meta.URL})))
	case m.Type == message.Create && mine != nil:
		w.number++
		invitation := message.Message{ID: message.NumberID(1<<40 + w.number), Type: message.Create, From: mine.meta.URL.Join("subscription"),
			To: body.Authorise[0], Source: mine.meta.Reporter, Body: message.Encode(map[string]any{"schema": mine.meta.Schema, "value": mine.meta})}
		w.passed[invitation.ID.String()] = m
		w.mu.Unlock()
		w.deliver(ctx, invitation)
	case m.Type == message.Subscribe && theirs != nil:
		theirs.observer, theirs.manager = m.From, m.To
		meta := theirs.meta
		meta.Data = theirs.doc.JSON()
		w.mu.Unlock()
		w.deliver(ctx, m.RespondBody(message.Encode(map[string]any{"code": message.CodeOK, "resource": meta.URL, "value": meta})))
	case m.Type == message.Update && mine != nil:
		w.mu.Unlock()
		w.report(role, m)
		w.deliver(ctx, m.Respond(message.CodeOK, nil))
	default:
		w.mu.Unlock()
		w.deliver(ctx, m.Respond(message.CodeOK, nil))
	}
}

// report takes a change of a side's object: the other side sees it, unless somebody else signals in its place.
func (w *signalling) report(role p2p.Role, m message.Message) {
	var u object.Update
	if m.Decode(&u) != nil {
		return
	}
	c := u.Change()
	sig := p2p.Signal{Kind: p2p.Description, Value: c.Value}
	attribute, _, _ := strings.Cut(c.Attribute, ".")
	if attribute == "iceCandidates" {
		sig.Kind = p2p.Candidate
	} else if attribute != "connectionDescription" {
		w.change(role, c)
		return
	}
	w.said[role].put(letter{signal: sig})
	if w.impostor == nil || w.impostor.plays != role {
		w.change(role, c)
	}
}

// change makes a change of what is seen of a side's object, and tells the observer.
func (w *signalling) change(role p2p.Role, c object.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.apply(role, c)
}

// apply is change for callers that hold w.mu.
func (w *signalling) apply(role p2p.Role, c object.Change) {
	o := w.objects[role]
	if o == nil {
		return
	}
	o.doc, _ = o.doc.Apply(c)
	o.meta.Version++
	if o.observer != "" {
		u := object.NewUpdate(c, o.meta.Version, object.Now())
		u.Resource = o.meta.URL
		w.deliver(context.Background(), message.Message{Type: message.Update, From: o.manager, To: o.observer, Body: message.Encode(u)})
	}
}

// pretend shows a signal as one of role's side, when there is an object for it.
func (w *signalling) pretend(ctx context.Context, role p2p.Role, sig p2p.Signal) error {
	w.mu.Lock()
	for w.objects[role] == nil {
		changed := w.changed
		w.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
		w.mu.Lock()
	}
	defer w.mu.Unlock()
	c := w.objects[role].doc.Replacement("connectionDescription", sig.Value)
	if sig.Kind == p2p.Candidate {
		c = w.objects[role].doc.Addition("iceCandidates", sig.Value)
	}
	w.apply(role, c)
	return nil
}
