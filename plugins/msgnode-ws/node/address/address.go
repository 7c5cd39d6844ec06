// Package address reads what an address says: which runtime it is under, whether it is a publication, and which function of a
// node it names. It keeps nothing.
package address

import (
	"strings"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// Runtime is the runtime that an address is under, or "". The reference implementation's stub addresses have the
// runtime scheme but carry no runtime (specification, "Stub addresses"): they are addresses like any other.
func Runtime(u message.URL) message.URL {
	if !u.IsRuntime() {
		return ""
	}
	switch first, _, _ := strings.Cut(strings.TrimPrefix(u.Path(), "/"), "/"); first {
	case "protostub", "p2phandler", "p2prequester":
		return ""
	}
	return u.Runtime()
}

// Publication tells whether to is an address with any number of listeners, perhaps none: a message to it is not answered with
// 404. Besides those that message.Message.Publication knows, these are the addresses of a data object's children, which only
// the object's runtime can tell from others.
func Publication(to message.URL) bool {
	return to.ForSubscribers() || strings.Contains(to.Path()+"/", "/children/")
}

// Function splits the address of a node's function: domain://msg-node.example.com/sm is msg-node and /sm.
func Function(to message.URL) (element, path string) {
	element, _, _ = strings.Cut(to.Domain(), ".")
	return element, strings.TrimSuffix(to.Path(), "/")
}

// Unproved checks the runtime that an unproven connection claims to be.
func Unproved(text string) (message.URL, *refusal.Refusal) {
	u, err := message.ParseURL(text)
	if err != nil {
		return "", refusal.New(message.CodeBadRequest, "%v", err)
	}
	if Runtime(u) == "" {
		return "", refusal.New(message.CodeBadRequest, "%s is not a runtime", u)
	}
	if proof.KeyDerived(u.Runtime()) {
		return "", refusal.New(message.CodeForbidden, "%s belongs to a key; only %s can prove it", u, wire.Subprotocol)
	}
	return u.Runtime(), nil
}
