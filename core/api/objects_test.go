package api

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/syncmanager"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// loop is a house's bus, for its sync manager.
type loop struct {
	house    *house
	requests minibus.Requests
}

func (l *loop) Listen(at message.URL, h message.Handler) func() {
	return l.house.listeners.Listen(at, h)
}

func (l *loop) Forward(message.URL, message.URL) func() { return func() {} }

func (l *loop) Published(context.Context, message.URL) {}

func (l *loop) Post(ctx context.Context, m message.Message) error {
	l.requests.Number(&m)
	if l.requests.Answer(m) {
		return nil
	}
	n, err := l.house.listeners.Deliver(ctx, m.To, m)
	if n == 0 && err == nil && m.Type == message.Subscribe { // to the Message Node, which is not there
		return l.Post(ctx, m.Refuse(message.CodeNotFound, "nobody"))
	}
	return err
}

func (l *loop) Request(ctx context.Context, m message.Message) (message.Message, error) {
	return l.requests.Do(ctx, m, l.Post, nil)
}

// table grants every address that is wished for.
type table struct{}

func (table) RegisterObject(_ context.Context, o registry.Object) (message.URL, error) {
	if o.URL != "" {
		return o.URL, nil
	}
	return "comm://example.com/talk", nil
}

func (table) UnregisterObject(context.Context, message.URL) error { return nil }

// houseWithObjects is a house with a sync manager.
func houseWithObjects(t *testing.T) *house {
	h := newHouse(t)
	h.bus = &loop{house: h}
	t.Cleanup(h.bus.requests.Close)
	sm := syncmanager.New(syncmanager.Options{Runtime: houseURL, Domain: "example.com", Bus: h.bus, Objects: table{}})
	t.Cleanup(sm.Close)
	return h
}

// Data objects work from other processes, and outlive the runtime's restart.
func TestObjectsSurviveTheRuntimesRestart(t *testing.T) {
	t.Parallel()
	socket := socketPath(t)
	server := serve(t, houseWithObjects(t), socket)
	reporting, observing := dial(t, hyperty.Options{Socket: socket}), dial(t, hyperty.Options{Socket: socket})
	alice, bob := register(t, reporting, "alice"), register(t, observing, "bob")
	talk, err := alice.Objects().Create(limit(t), syncher.Object{Scheme: "comm", Name: "talk", Data: json.RawMessage(`{"n":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	invited := make(chan message.URL, 1)
	bob.Objects().OnInvite(func(_ context.Context, inv syncher.Invitation) { invited <- inv.URL })
	if err := talk.Invite(limit(t), bob.URL()); err != nil {
		t.Fatal(err)
	}
	copied, err := bob.Objects().Observe(limit(t), <-invited)
	if err != nil || string(copied.Value()) != `{"n":1}` {
		t.Fatal(err)
	}
	if err := talk.Set(limit(t), "n", 2); err != nil {
		t.Fatal(err)
	}
	if c, err := copied.Next(limit(t)); err != nil || c.Attribute != "n" || string(c.Value) != "2" {
		t.Fatal(c, err)
	}

	if err := server.Close(limit(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both see it", func() bool { return !reporting.State().Connected && !observing.State().Connected })
	serve(t, houseWithObjects(t), socket)
	for ctx := limit(t); ; { // until the reporter has told the new runtime
		err := talk.Set(ctx, "n", 3)
		var refused *message.ResponseError
		if err == nil {
			break
		} else if !errors.As(err, &refused) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the observer has it", func() bool { return string(copied.Value()) == `{"n":3}` })
}
