package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// requester is a P2P Requester: one peer, one connection at a time.
type requester struct {
	*instance
	remote message.URL   // canonical
	wake   chan struct{} // holds a token when there is a next

	mu      sync.Mutex
	next    message.URL             // the Handler to connect to in the loop's next turn; "" is none
	cancel  context.CancelCauseFunc // of the connection that is set up or live; nil: there is none
	ending  bool                    // that connection was told to end
	answers chan syncher.Invitation // the set-up that is under way takes them from here; nil: there is none
	handler message.URL             // the Handler from which they must come
}

// runRequester runs until ctx ends.
func runRequester(ctx context.Context, i *instance) error {
	r := &requester{instance: i, remote: i.start.Remote.Runtime(), wake: make(chan struct{}, 1)}
	r.onInvite(r.invited)
	if !r.start.Restarted {
		r.post(ctx, message.Created, r.start.Remote, nil)
		r.next = r.start.Handler
		r.wake <- struct{}{}
	}
	defer r.control(r.command)()
	for {
		select {
		case <-r.wake:
			r.connection(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// command does what the registry asks for.
func (r *requester) command(c command) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case c.Method == "":
		return refuse(message.CodeBadRequest, "a Requester has one door, its own address")
	case c.Target.Runtime() != r.remote:
		return refuse(message.CodeBadRequest, "%s: this Requester is for %s, not for %s", c.Method, r.start.Remote, c.Target)
	case c.Method == "disconnect":
		r.next = ""
		if r.cancel != nil {
			r.ending = true
			r.cancel(errGivenUp)
		}
	case (r.cancel == nil || r.ending) && r.next == "":
		r.next = c.Target
		select {
		case r.wake <- struct{}{}:
		default: // a token of a command that was taken back
		}
	}
	return nil
}

// connection is one connection from its set-up to its end.
func (r *requester) connection(ctx context.Context) {
	trying, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answers := make(chan syncher.Invitation, 4)
	r.mu.Lock()
	handler := r.next
	r.next = ""
	if handler != "" {
		r.cancel, r.ending, r.answers, r.handler = cancel, false, answers, handler
	}
	r.mu.Unlock()
	if handler == "" { // taken back
		return
	}
	s := r.begin(trying, r.start.Remote, handler, Requester)
	channel, err := r.request(ctx, s, handler, answers)
	err = s.end(err)
	r.mu.Lock()
	r.answers = nil
	r.mu.Unlock()
	status := message.Failed
	if err == nil {
		status, err = r.carry(ctx, trying, channel)
	}
	r.mu.Lock()
	r.cancel = nil // from here on it can be told to connect
	r.mu.Unlock()
	r.post(ctx, status, r.start.Remote, err)
	s.forget()
}

// carry opens the door, says live, and carries frames until the connection ends. It returns the status then, and why.
func (r *requester) carry(ctx, trying context.Context, channel Channel) (message.Status, error) {
	door, err := r.start.Doors.Open(r.start.URL)
	if err != nil {
		_ = channel.Close()
		return message.Failed, err
	}
	r.post(ctx, message.Live, r.start.Remote, nil)
	doors := make(chan sdk.Door, 1)
	doors <- door
	return message.Disconnected, pump(trying, doors, channel)
}

// request is the Requester's side of a set-up (specification, "P2P connection set-up", order on the wire).
func (r *requester) request(ctx context.Context, s *setup, handler message.URL, answers <-chan syncher.Invitation) (Channel, error) {
	if err := s.report(""); err != nil {
		return nil, err
	}
	s.connect()
	if err := s.offered(); err != nil {
		return nil, err
	}
	r.post(ctx, message.InProgress, r.start.Remote, nil)
	if err := s.mine.Invite(s.ctx, handler); err != nil {
		var refusal *message.ResponseError
		if errors.As(err, &refusal) && refusal.Code == message.CodeConflict {
			// Glare: the other side's request has precedence. It ends this instance when it comes.
			<-s.ctx.Done()
			return nil, fmt.Errorf("%w; nor has its request come: %w", err, context.Cause(s.ctx))
		}
		return nil, err
	}
	for {
		select {
		case inv := <-answers:
			_, err := s.observe(inv.URL)
			if errors.Is(err, errOtherOffer) {
				continue
			}
			if err != nil {
				return nil, err
			}
			return s.proven()
		case <-s.ctx.Done():
			return nil, s.ctx.Err()
		}
	}
}

// invited takes the invitation to the Handler's object, the answer to this side's.
func (r *requester) invited(ctx context.Context, inv syncher.Invitation) {
	remote, err := r.checkInvitation(inv)
	if err == nil && remote != r.remote {
		err = refuse(message.CodeForbidden, "this Requester is for %s", r.start.Remote)
	}
	if err == nil {
		r.mu.Lock()
		answers, handler := r.answers, r.handler
		r.mu.Unlock()
		switch {
		case answers == nil:
			err = refuse(message.CodeNotFound, "no set-up is under way here")
		case inv.Reporter.Canonical() != handler.Canonical():
			err = refuse(message.CodeForbidden, "this set-up is with %s", handler)
		default:
			select {
			case answers <- inv:
			default:
				err = refuse(message.CodeTooMany, "too many answers to one offer")
			}
		}
	}
	r.answer(ctx, inv, err)
}

// answer answers an invitation: 200, or the *message.ResponseError.
func (i *instance) answer(ctx context.Context, inv syncher.Invitation, err error) {
	var refusal *message.ResponseError
	switch {
	case err == nil:
		err = inv.Accept(ctx)
	case errors.As(err, &refusal):
		i.log.Info("refused an invitation", "from", string(inv.Reporter), "reason", refusal.Description)
		err = inv.Refuse(ctx, refusal.Code, refusal.Description)
	default:
		err = inv.Refuse(ctx, message.CodeError, err.Error())
	}
	if err != nil && ctx.Err() == nil {
		i.log.Warn("answering an invitation", "from", string(inv.Reporter), "error", err)
	}
}
