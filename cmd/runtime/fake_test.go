package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// evil is text that a stranger or a plug-in wrote: it clears the screen and pretends to be another line.
const evil = "x\x1b[2J\u009b31m\u202e\nprotofly: all is well\r"

// fake is a runtime that only knows its own hyperties.
type fake struct {
	listeners *minibus.Listeners
	server    *api.Server
}

const fakeURL message.URL = "hyperty-runtime://example.com/fake"

func startFake(t *testing.T, socket string) *fake {
	f := &fake{listeners: minibus.NewListeners(0)}
	var err error
	if f.server, err = api.Serve(api.Options{Backend: f, Socket: socket}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close(context.Background()) })
	return f
}

func (f *fake) URL() message.URL { return fakeURL }

func (f *fake) Close(ctx context.Context) error {
	err := f.server.Close(ctx)
	f.listeners.Close()
	return err
}

type place struct {
	f    *fake
	url  message.URL
	stop func()
}

func (p *place) URL() message.URL                  { return p.url }
func (p *place) Withdraw(context.Context) error    { return nil }
func (p *place) Close(context.Context) error       { p.stop(); return nil }
func (p *place) Release(ctx context.Context) error { return p.Close(ctx) }
func (p *place) Lost()                             {}
func (p *place) Post(ctx context.Context, m message.Message) error {
	if strings.HasSuffix(string(m.To), "/evil") {
		return &message.ResponseError{Code: 403, From: m.To, Description: evil}
	}
	n, err := p.f.listeners.Deliver(ctx, m.To, m)
	if n == 0 && err == nil {
		return &message.ResponseError{Code: 404, Description: "nobody has the address " + string(m.To)}
	}
	return err
}

// TryPost leaves everything to Post.
func (p *place) TryPost(message.Message) error { return message.ErrWouldBlock }
func (p *place) TryPostTracked(message.Message, func(hyperty.Outcome)) error {
	return message.ErrWouldBlock
}

func (p *place) PostTracked(ctx context.Context, m message.Message, tell func(hyperty.Outcome)) error {
	if err := p.Post(ctx, m); err != nil {
		return err
	}
	tell(hyperty.Outcome{State: hyperty.Delivered})
	return nil
}

func (f *fake) Attach(_ context.Context, r hyperty.Registration, deliver minibus.TakingHandler) (api.Attachment, error) {
	if r.Name == "" {
		r.Name = "somebody"
	}
	url := message.URL("hyperty://example.com/" + r.Name)
	return &place{f, url, f.listeners.ListenTaking(url, deliver)}, nil
}

func (f *fake) Status(context.Context) (api.Status, error) {
	return api.Status{Runtime: fakeURL, Version: "1.2", Started: time.Now().Add(-time.Minute),
		Hyperties: []api.Hyperty{{URL: "hyperty://example.com/bob", Since: time.Now().Add(-time.Second)}},
		Connections: []api.Connection{{Remote: "hyperty-runtime://example.com/other", Plugin: "quick", State: message.Live,
			Door: "hyperty-runtime://example.com/fake/p2prequester/1", Addresses: 3, Why: evil}},
		Stubs:           []api.Stub{{URL: "hyperty-runtime://example.com/fake/protostub/example.com", Plugin: "msgnode-ws", Why: evil}},
		Plugins:         []api.Plugin{{Name: "quick", Version: evil, LastError: evil, User: "root: user 21 cannot read /x: do this" + evil}, {Name: "msgnode-ws", User: "22"}},
		WithoutSessions: []api.WithoutSession{{Remote: "hyperty-runtime://example.com/plain", Session: api.NoSession, Sent: 3, Received: 5}},
	}, nil
}

func (f *fake) Reload(_ context.Context, plugin string, restart bool) (api.Reloaded, error) {
	if plugin == "broken" {
		return api.Reloaded{}, errors.New("reload broken: wrong checksum; the process that ran before goes on")
	}
	cut := 0
	if restart {
		cut = 1
	}
	return api.Reloaded{Plugin: plugin, Cut: cut, Running: plugin != "idle", OldVersion: "1.0", NewVersion: "2.0", OldPID: 11, NewPID: 12, HandOver: 0.05, Drain: 0.6}, nil
}

func (f *fake) Profile(_ context.Context, plugin, kind string, _ int) ([]byte, error) {
	if plugin == "foreign" {
		return nil, errors.New("the plug-in foreign takes no profiles")
	}
	return []byte("a profile of " + plugin + ": " + kind), nil
}

func (f *fake) Path(_ context.Context, to message.URL) (api.Path, error) {
	if to.Domain() != "example.com" {
		return api.Path{}, &message.ResponseError{Code: 404, From: to, Description: "nobody has this address" + evil}
	}
	p := api.Path{To: to, Way: api.WayRelay, Why: "no connection yet"}
	if to == "hyperty://example.com/plain" {
		p.Session = api.NoSession
	}
	return p, nil
}

func (f *fake) Watch(trace.Func, bool) func() { return func() {} }
