package changes

import (
	"time"

	"github.com/protofly/protofly/sdk/message"
)

const (
	maxFollowers = 1 << 14
	listPause    = 50 * time.Millisecond // between two complete lists for one runtime: each is made of all addresses here
	maxListed    = 1024                  // runtimes whose last complete list is remembered; then those whose pause is over are forgotten
)

// Publisher is this runtime's list. Make it with [NewPublisher].
type Publisher struct {
	registry  message.URL // <runtime>/registry
	list      func() []message.URL
	out       *Outbox
	off       bool
	followers map[message.URL]struct{}  // remote runtimes with a P2P connection; maxFollowers
	listed    map[message.URL]time.Time // when a runtime was last sent the complete list
	version   uint64                    // of the list; counts up with each update
}

// NewPublisher makes a Publisher for the Registry at that address. list returns the addresses as they are now; it must not be
// nil.
func NewPublisher(registry message.URL, on bool, out *Outbox, list func() []message.URL) *Publisher {
	return &Publisher{registry: registry, off: !on, out: out, list: list, followers: map[message.URL]struct{}{}, listed: map[message.URL]time.Time{}}
}

// Followers is their number.
func (p *Publisher) Followers() int { return len(p.followers) }

// Version is the list's version.
func (p *Publisher) Version() uint64 { return p.version }

// Follows tells whether a runtime is a follower.
func (p *Publisher) Follows(remote message.URL) bool {
	_, ok := p.followers[remote]
	return ok
}

// Admit makes a remote runtime a follower that subscribes with m, or answers m with a refusal and returns false. connected:
// there is a P2P connection with it, or one is being set up. The caller then arranges that updates reach the follower, and
// calls [Publisher.Answer].
func (p *Publisher) Admit(now time.Time, remote message.URL, m *message.Message, connected bool) bool {
	switch {
	case p.off:
		p.out.answer(m.Refuse(message.CodeForbidden, "registry changes are switched off in %s", p.registry.Runtime()))
		return false
	case !connected:
		p.out.answer(m.Refuse(message.CodeForbidden, "registry changes are for runtimes with a P2P connection"))
		return false
	case !p.Follows(remote) && len(p.followers) >= maxFollowers:
		p.out.answer(m.Refuse(message.CodeTooMany, "%d runtimes follow already", maxFollowers))
		return false
	case now.Sub(p.listed[remote]) < listPause:
		p.out.answer(m.Refuse(message.CodeUnavailable, "the list was asked for a moment ago; try again"))
		return false
	}
	p.remember(now, remote)
	p.followers[remote] = struct{}{}
	return true
}

// Answer answers the subscription m of a follower with the list.
func (p *Publisher) Answer(m *message.Message) {
	first, rest := cut(p.list())
	p.out.answer(m.RespondBody(message.Encode(Body{Code: message.CodeOK, Value: first, Version: p.version})))
	for len(rest) > 0 {
		var part []message.URL
		part, rest = cut(rest)
		p.version++
		if p.out.update(p.update(Add, part)) {
			p.replace()
			return
		}
	}
}

func (p *Publisher) remember(now time.Time, remote message.URL) {
	if len(p.listed) >= maxListed {
		for who, at := range p.listed {
			if now.Sub(at) >= listPause {
				delete(p.listed, who)
			}
		}
	}
	p.listed[remote] = now
}

// Unsubscribe ends a remote runtime's subscription, and answers m, which asks for that. It tells whether the runtime was a
// follower.
func (p *Publisher) Unsubscribe(remote message.URL, m *message.Message) (dropped bool) {
	dropped = p.Drop(remote)
	p.out.answer(m.Respond(message.CodeOK, nil))
	return dropped
}

// Drop ends a runtime's subscription. It tells whether the runtime was a follower.
func (p *Publisher) Drop(remote message.URL) bool {
	follows := p.Follows(remote)
	delete(p.followers, remote)
	return follows
}

// Switch says whether runtimes may follow. It returns those that are followers no more.
func (p *Publisher) Switch(on bool) (dropped []message.URL) {
	if p.off = !on; on {
		return nil
	}
	for remote := range p.followers {
		dropped = append(dropped, remote)
	}
	clear(p.followers)
	return dropped
}

// Announce makes an update: addresses are in the list now (Add), or not any more (Remove).
func (p *Publisher) Announce(operation string, urls ...message.URL) {
	p.version++
	if len(p.followers) > 0 && p.out.update(p.update(operation, urls)) {
		p.replace()
	}
}

// replace queues the complete list, in place of the updates that the outbox has dropped.
func (p *Publisher) replace() {
	first, rest := cut(p.list())
	p.out.stay(p.update("", first))
	for len(rest) > 0 {
		var part []message.URL
		part, rest = cut(rest)
		p.version++
		p.out.stay(p.update(Add, part))
	}
}

func (p *Publisher) update(operation string, urls []message.URL) message.Message {
	body := Body{Operation: operation, Value: urls, Version: p.version}
	return message.Message{Type: message.Update, From: p.registry, To: p.registry.Join("changes"), Body: message.Encode(body)}
}
