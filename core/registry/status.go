package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/protofly/protofly/core/registry/connections"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// statusEvent is what a stub posts to <stub>/status (specification, "Status").
type statusEvent struct {
	Value    message.Status
	Resource message.URL // of a P2P stub: the remote runtime, canonical
	Desc     string
}

const maxDesc = 512

var errStatus = errors.New("status event")

// parseStatus reads a status event: the specification's "create", or the "update" of later code.
func parseStatus(m *message.Message) (statusEvent, error) {
	var body struct {
		Value    string          `json:"value"`
		Resource string          `json:"resource"`
		Desc     json.RawMessage `json:"desc"`
	}
	if m.Type != message.Update && m.Type != message.Create {
		return statusEvent{}, fmt.Errorf("%w: an update is wanted, not a %s", errStatus, m.Type)
	}
	if err := m.Decode(&body); err != nil {
		return statusEvent{}, fmt.Errorf("%w: %w", errStatus, err)
	}
	var ev statusEvent
	var err error
	if ev.Value, err = message.ParseStatus(body.Value); err != nil {
		return statusEvent{}, fmt.Errorf("%w: %w", errStatus, err)
	}
	if body.Resource != "" {
		url, err := message.ParseURL(body.Resource)
		if err == nil && url.Runtime() == "" {
			err = fmt.Errorf("%s is no runtime", url)
		}
		if err != nil {
			return statusEvent{}, fmt.Errorf("%w: resource: %w", errStatus, err)
		}
		ev.Resource = url.Runtime()
	}
	if json.Unmarshal(body.Desc, &ev.Desc) == nil {
		ev.Desc = ev.Desc[:min(len(ev.Desc), maxDesc)]
	}
	return ev, nil
}

// receiveStatus handles a message to <stub>/status. It ignores all but the stub's own.
func (r *Registry) receiveStatus(ctx context.Context, s *stub, m message.Message) {
	if m.Type == message.Response {
		return
	}
	if m.From.Canonical() != s.URL.Canonical() {
		r.opts.Log.Warn("status of a stub from somebody else refused", "stub", s.URL, "from", m.From)
		r.call.Reply(m.Refuse(message.CodeForbidden, "only %s posts its status", s.URL))
		return
	}
	ev, err := parseStatus(&m)
	if err != nil {
		r.opts.Log.Warn("malformed status refused", "stub", s.URL, "error", err)
		r.call.Reply(m.Refuse(message.CodeBadRequest, "%v", err))
		return
	}
	r.loop.Do(func() {
		if known, ok := r.stubs.get(s.URL); !ok || known != s {
			return // undeployed meanwhile
		}
		r.opts.Trace.Message(trace.Status, m, trace.Event{Peer: ev.Resource, Via: s.URL, Value: ev.Value.String()})
		switch {
		case s.Role == sdk.RoleNode:
			r.nodeStatus(s, ev)
		case s.Role == sdk.RoleHandler && ev.Resource == "": // about the Handler itself
			s.to(ev.Value, ev.Desc)
		case s.Role == sdk.RoleHandler && ev.Value == message.Created:
			r.invited(s, ev, m)
		default:
			r.peerStatus(s, ev)
		}
	})
}

// peerStatus handles a status event about a P2P connection. It runs in the loop.
func (r *Registry) peerStatus(s *stub, ev statusEvent) {
	known := false
	switch {
	case s.Role == sdk.RoleHandler:
		known = r.peers.HandlerStatus(time.Now(), ev.Resource, s.URL, ev.Value, ev.Desc)
	case ev.Resource == "" || ev.Resource == s.Remote:
		known = r.peers.RequesterStatus(time.Now(), s.Remote, s.URL, ev.Value, ev.Desc)
	}
	if !known {
		r.opts.Log.Debug("status of a connection that is no more", "stub", s.URL, "peer", ev.Resource, "status", ev.Value)
	}
	r.fulfilAll()
}

// invited handles a Handler's "new P2P connection" event: the remote runtime wants to connect. It answers the Handler with
// 200, or with 409 where this side's own request goes on. It runs in the loop.
func (r *Registry) invited(s *stub, ev statusEvent, m message.Message) {
	if ev.Resource == r.opts.Runtime {
		r.call.Reply(m.Refuse(message.CodeBadRequest, "a P2P connection of a runtime with itself"))
		return
	}
	if _, kept := r.directory.Meet(ev.Resource); !kept {
		r.call.Reply(m.Refuse(message.CodeTooMany, "%d remote runtimes are known already", r.opts.Cache.MaxRuntimes))
		return
	}
	answer := r.peers.Invited(time.Now(), ev.Resource, s.URL, s.Plugin)
	r.fulfilAll()
	switch answer {
	case connections.KeepOwn:
		r.call.Reply(m.Refuse(message.CodeConflict, "both sides requested at once: %s keeps its own request", r.opts.Runtime))
	case connections.AcceptKeep:
		r.call.Reply(m.Respond(message.CodeOK, map[string]bool{"keep": true}))
	default:
		r.call.Reply(m.Respond(message.CodeOK, nil))
	}
}

// nodeStatus handles a status event of a Message Node's stub. It runs in the loop.
func (r *Registry) nodeStatus(s *stub, ev statusEvent) {
	back := ev.Value == message.Live && s.lost()
	s.to(ev.Value, ev.Desc)
	own := s.Domain == r.opts.Domain
	if own {
		r.own.Set(ev.Value == message.Live)
	}
	if r.opts.Nodes.State != nil {
		r.opts.Nodes.State(s.Domain, ev.Value == message.Live)
	}
	if back {
		r.loop.Go(func(context.Context) { r.opts.Nodes.Back(s.URL) })
	}
	if back && own { // the node may have marked this runtime's entries as disconnected
		r.loop.After(r.opts.P2P.Jitter(time.Second), r.refreshNow)
		r.loop.After(r.opts.P2P.Jitter(time.Second), r.releaseOwed)
	}
}

// AddStub adds a stub that the wiring has deployed: this runtime's Message Node stub, which Resolve uses from then on, or a
// Handler that is not in Options. The Registry listens to its status.
func (r *Registry) AddStub(s Stub) {
	_ = r.ask(context.Background(), func() {
		r.stubs.add(s, message.Deployed)
		if s.Role == sdk.RoleNode {
			r.tellReached(r.nodes.Add(s.Domain, s.URL))
		}
	})
}

// Stub returns the state of a stub; false if there is no such stub.
func (r *Registry) Stub(url message.URL) (StubStatus, bool) {
	s, ok := r.stubs.get(url)
	if !ok {
		return StubStatus{}, false
	}
	var state StubStatus
	if r.ask(context.Background(), func() { state = s.status() }) != nil {
		return StubStatus{}, false
	}
	return state, true
}
