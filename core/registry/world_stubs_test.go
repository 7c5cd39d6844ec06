package registry

import (
	"context"
	"slices"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Deploy starts a stub that behaves.
func (s *side) Deploy(ctx context.Context, d Deployment) error {
	time.Sleep(5 * time.Millisecond)
	s.mu.Lock()
	s.deployed = append(s.deployed, d)
	err := cmpErr(s.deployErr[d.Plugin], s.deployErr[d.Domain])
	s.mu.Unlock()
	if err != nil || d.Role == sdk.RoleNode {
		return err
	}
	s.bus.Listen(d.URL, func(ctx context.Context, m message.Message) {
		if m.Type == message.Execute {
			s.w.wait.Go(func() { s.execute(d, m) })
		}
	})
	s.w.wait.Go(func() {
		s.status(d.URL, message.Created, d.Remote)
		s.request(d)
	})
	return nil
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (s *side) Undeploy(_ context.Context, url message.URL) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, url)
	return nil
}

func (s *side) hasEnded(url message.URL) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.ended, url)
}

// status posts a status event of a stub.
func (s *side) status(stub message.URL, value message.Status, remote message.URL) {
	if s.hasEnded(stub) {
		return
	}
	err := s.bus.From(s.w.ctx, stub, statusMessage(stub, value, remote))
	if err != nil && s.w.ctx.Err() == nil && !isCode(err, message.CodeForbidden) { // forbidden: just undeployed
		s.w.t.Errorf("status %s of %s: %v", value, stub, err)
	}
}

func statusMessage(stub message.URL, value message.Status, remote message.URL) message.Message {
	body := map[string]any{"value": value.String()}
	if remote != "" {
		body["resource"] = remote
	}
	return message.Message{Type: message.Update, From: stub, To: stub.Join("status"), Body: message.Encode(body)}
}

// request does a Requester's set-up: an invitation from a Connection object, and then an exchange that stands for the rest of
// the signalling.
func (s *side) request(d Deployment) {
	if s.mute {
		return
	}
	c, err := s.reg.RegisterObject(s.w.ctx, Object{Scheme: "connection", Reporter: d.URL, Private: true})
	if err != nil {
		if s.w.ctx.Err() == nil {
			s.status(d.URL, message.Failed, d.Remote)
		}
		return
	}
	s.status(d.URL, message.InProgress, d.Remote)
	for _, typ := range []message.Type{message.Create, message.Read} {
		answer, err := s.bus.Request(s.w.ctx, message.Message{Type: typ, From: c.Join("subscription"), To: d.Handler,
			Body: message.Encode(map[string]any{"value": map[string]any{"runtime": s.url}})})
		if err == nil {
			_, err = answer.OK()
		}
		if err != nil {
			if s.w.ctx.Err() == nil {
				s.status(d.URL, message.Failed, d.Remote)
			}
			return
		}
	}
	s.status(d.URL, message.Live, d.Remote)
}

func (s *side) execute(d Deployment, m message.Message) {
	s.mu.Lock()
	lost := s.lost > 0
	if lost {
		s.lost--
	}
	s.mu.Unlock()
	if lost {
		return
	}
	s.bus.Post(s.w.ctx, m.Respond(message.CodeOK, nil))
	var body executeBody
	m.Decode(&body)
	switch body.Method {
	case "connect":
		s.mu.Lock()
		s.reconnects++
		s.mu.Unlock()
		s.request(d)
	case "disconnect":
		s.status(d.URL, message.Disconnected, d.Remote)
	}
}

// handler is a P2P Handler.
func (s *side) handler(url message.URL, m message.Message) {
	remote := message.URL("")
	if m.Type != message.Response {
		var body struct {
			Value struct {
				Runtime message.URL `json:"runtime"`
			} `json:"value"`
			Peer      message.URL   `json:"peer"`
			Subscribe []message.URL `json:"subscribe"`
			Method    string        `json:"method"`
			Params    []message.URL `json:"params"`
		}
		m.Decode(&body)
		remote = body.Value.Runtime
		switch {
		case s.deaf:
			return
		case m.Type == message.Create:
			answer, err := s.bus.Request(s.w.ctx, statusMessage(url, message.Created, remote))
			if err == nil {
				_, err = answer.OK()
			}
			if err != nil {
				s.bus.Post(s.w.ctx, m.Refuse(message.CodeConflict, "%v", err))
				return
			}
			s.bus.Post(s.w.ctx, m.Respond(message.CodeOK, nil))
			s.status(url, message.InProgress, remote)
		case m.Type == message.Read:
			s.status(url, message.Live, remote)
			s.bus.Post(s.w.ctx, m.Respond(message.CodeOK, nil))
		case m.Type == message.Subscribe && s.noDoor:
			s.bus.Post(s.w.ctx, m.Refuse(message.CodeError, "no"))
		case m.Type == message.Subscribe:
			s.mu.Lock()
			s.doors[body.Peer] = body.Subscribe[0]
			s.mu.Unlock()
			s.bus.Post(s.w.ctx, m.Respond(message.CodeOK, nil))
		case m.Type == message.Execute:
			s.bus.Post(s.w.ctx, m.Respond(message.CodeOK, nil))
		}
	}
}
