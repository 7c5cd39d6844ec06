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
// The rule says whose answer counts, not that `from` is true. The core checks that before a response comes to any bus: a
// message of a session must have a `from` of the remote runtime, and one of an application or a plug-in its own; a Message
// Node's function is believed only if the response came by the stub of the node of that very domain. A refusal that a core
// makes, because an address does not exist or cannot be reached, has the address that was asked as its `from`: the requester
// gets it from its own core, or from the core that has, or had, the address.
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
