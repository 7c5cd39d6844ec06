package minibus

import (
	"strings"

	"github.com/protofly/protofly/sdk/message"
)

// Answers tells whether a response from the address from counts as the answer to a request that was sent to asked. This rule
// is written only here: every bus, and every other part that has to decide about a response, calls it.
//
//   - the address that was asked answers, in either spelling of its address ([message.URL.Canonical]);
//   - a data object answers for its subscription handler, <object>/subscription, and that one for the object: they are one
//     component, the sync manager of the reporter's runtime, and nobody else may post as either;
//   - a function of a domain's Message Node answers for another function of the same node: domain://msg-node.<d>/sm for
//     domain://registry.<d>. A node may be one component or several.
//
// A response to a request to an address of the scheme global must come from that very address: only the core knows to which
// domain it belongs.
//
// The rule says whose word counts, not that `from` is true. That is the core's part, and it is done before a response
// comes to any bus: what a session brings has a `from` of the remote runtime's; what an application or a plug-in posts
// has its own; and a Message Node's function is believed only where the response came by the stub of the node of that
// very domain. Refusals that a core makes, for an address that is not there or is not to be reached, are in the name of
// the address that was asked: the requester gets them from its own core. Where the core that the message was given to refuses it, that
// says so in the session, of the message itself, and the requester's own core passes it on. Cores of earlier versions, and those that
// are spoken with without a session, send a response in the name of the address.
func Answers(asked, from message.URL) bool {
	if asked == from {
		return asked != ""
	}
	a, f := asked.Canonical(), from.Canonical()
	switch {
	case a == "" || f == "":
		return false
	case a == f:
		return true
	case a.IsBackEnd():
		domain := a.NodeDomain()
		return f.IsBackEnd() && domain != "" && domain == f.NodeDomain()
	}
	return subscriptionOf(a, f) || subscriptionOf(f, a)
}

// subscriptionOf tells whether handler is the subscription handler of object, and object the address of a data object.
// Both are canonical.
func subscriptionOf(object, handler message.URL) bool {
	rest, ok := strings.CutPrefix(string(handler), string(object))
	if !ok || rest != "/subscription" || object.Base() != object || len(object.Path()) < 2 {
		return false
	}
	switch object.Scheme() {
	case message.SchemeRuntime, message.SchemeHyperty, "user":
		return false
	}
	return !object.IsBackEnd()
}
