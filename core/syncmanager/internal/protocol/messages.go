package protocol

import (
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Messages makes the messages of the sync manager at an address, <runtime>/sm.
type Messages struct{ Self message.URL }

// Forward asks the reporter whether the observer may do that with its object, or tells it that it does it no more
// (specification, "Subscribe": forward).
func (m Messages) Forward(t message.Type, reporter, url, observer message.URL) message.Message {
	return message.Message{Type: message.Forward, From: m.Self, To: reporter, Body: message.Encode(map[string]any{
		"type": t, "from": observer, "to": url,
	})}
}

// ForwardChild asks the reporter whether it lets an observer make, change or remove a child object.
func (m Messages) ForwardChild(t message.Type, reporter, url, observer message.URL, child Child) message.Message {
	return message.Message{Type: message.Forward, From: m.Self, To: reporter, Body: message.Encode(map[string]any{
		"type": t, "from": observer, "to": url, "child": child,
	})}
}

// Invitation invites an observer to the object that meta describes (specification, "Invite"). p2p is what the reporter wants
// of the way that it goes.
func Invitation(meta object.Metadata, observer message.URL, p2p message.Tristate) message.Message {
	if meta.URL.Scheme() == message.SchemeConnection {
		p2p = message.No // what sets a direct path up does not ask for one
	}
	return message.Message{
		Type: message.Create, From: object.Subscription(meta.URL), To: observer, Source: meta.Reporter, P2P: p2p,
		Body: message.Encode(struct {
			Schema message.URL     `json:"schema,omitempty"`
			Value  object.Metadata `json:"value"`
			Mutual bool            `json:"mutual"`
		}{meta.Schema, meta, false}),
	}
}

// Subscribe asks the reporter's side for an observer of this runtime.
func (m Messages) Subscribe(url, observer message.URL) message.Message {
	msg := message.Message{Type: message.Subscribe, From: m.Self, To: object.Subscription(url), Source: observer, Body: subscriber(observer)}
	if url.Scheme() == message.SchemeConnection {
		msg.P2P = message.No
	}
	return msg
}

// Unsubscribe tells the reporter's side that an observer of this runtime has ended.
func (m Messages) Unsubscribe(url, observer message.URL) message.Message {
	return message.Message{Type: message.Unsubscribe, From: m.Self, To: object.Subscription(url), Source: observer, P2P: message.No, Body: subscriber(observer)}
}

func subscriber(observer message.URL) []byte {
	return message.Encode(map[string]message.URL{"subscriber": observer})
}

// Gone tells an observer of this runtime that an object is gone.
func (m Messages) Gone(url, observer message.URL, end End) message.Message {
	return message.Message{Type: message.Delete, From: m.Self, To: observer, Body: message.Encode(Ended{url, "", end})}
}

// Life tells an observer of this runtime that the reporter of an object is away, or is back. An application of an earlier version
// refuses it, which nobody waits for.
func (m Messages) Life(url, observer message.URL, away string) message.Message {
	return message.Message{Type: message.Forward, From: m.Self, To: observer, Body: message.Encode(LifeOf(url, away))}
}

// Ask asks a remote runtime's sync manager whether it is there, and what was missed since what was heard. One of an earlier version
// refuses that.
func (m Messages) Ask(runtime message.URL, heard Heard) message.Message {
	return message.Message{Type: message.Read, From: m.Self, To: runtime.Join("sm"), P2P: message.No, Body: message.Encode(struct {
		Resource
		Heard
	}{Heard: heard})}
}

// Published is the object that a message tells other runtimes of: of its change, its end, its reporter, or that one observes it no more;
// "" where it is another message. Connection objects are left out: those who observe them do not ask.
func Published(msg *message.Message) message.URL {
	url := msg.From.Base()
	if msg.Type == message.Response || url.Scheme() == message.SchemeConnection || !IsObject(url) {
		return ""
	}
	toAll := msg.To == object.Changes(url)
	toOne := msg.From == object.Subscription(url) && msg.To == msg.To.Runtime().Join("sm")
	if !toAll && !toOne {
		return ""
	}
	return url
}

// Kicked tells a remote runtime that one of its observers is none any more.
func Kicked(url, runtime, observer message.URL, end End) message.Message {
	return message.Message{Type: message.Delete, From: object.Subscription(url), To: runtime.Join("sm"), P2P: message.No,
		Body: message.Encode(Ended{url, observer, end})}
}

// Announce asks a domain's Message Node to send this runtime what is addressed to the addresses, or no more: for peers
// without sessions (specification, "Subscription manager"). member is the name of the list: the specification has two.
func (m Messages) Announce(t message.Type, domain string, owner message.URL, member string, addresses []message.URL) message.Message {
	return message.Message{
		Type: t, From: m.Self, To: message.SubscriptionAddress(domain), Source: owner, P2P: message.No,
		Body: message.Encode(map[string][]message.URL{member: addresses}),
	}
}

// Accepted answers a subscribe that is under way.
func Accepted(msg message.Message, body Request) message.Message {
	return msg.RespondBody(message.Encode(Value{Code: message.CodeAccepted, Schema: body.Schema, Resource: body.Resource, Children: []string{}}))
}

// Created answers the create of an object, or of one that its reporter goes on with.
func Created(msg message.Message, url message.URL, children []string, observers message.URLs) message.Message {
	return msg.RespondBody(message.Encode(Value{Code: message.CodeOK, Resource: url, Children: children, Observers: observers}))
}

// ReadValue reads the value in the answer to the subscribe to an object. What it names as its own address has to be that.
func ReadValue(url message.URL, answer message.Message) (object.Metadata, object.Document, error) {
	value, err := answer.OK()
	if err != nil {
		return object.Metadata{}, object.Document{}, err
	}
	meta, doc, err := object.ParseWhole(value)
	if err == nil && meta.URL != "" && meta.URL.Canonical() != url.Canonical() {
		err = Refuse(message.CodeError, "the answer is about another object")
	}
	meta.URL, meta.Childrens = url, Names(meta.Childrens)
	return meta, doc, err
}
