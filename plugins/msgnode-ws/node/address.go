package node

import (
	"strings"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// runtimeOf is the runtime that an address is under, or "". The reference implementation's stub addresses have the
// runtime scheme but carry no runtime (specification, "Stub addresses"): they are addresses like any other.
func runtimeOf(u message.URL) message.URL {
	if !u.IsRuntime() {
		return ""
	}
	switch first, _, _ := strings.Cut(strings.TrimPrefix(u.Path(), "/"), "/"); first {
	case "protostub", "p2phandler", "p2prequester":
		return ""
	}
	return u.Runtime()
}

// publication tells whether to is an address of which any number listens, none included: a message to it is not
// answered with 404. Beside those of the runtimes' rule it is the address of a data object's children, which only the object's
// runtime tells from others.
func publication(to message.URL) bool {
	return to.ForSubscribers() || strings.Contains(to.Path()+"/", "/children/")
}

// backEnd splits the address of a node's function: domain://msg-node.example.com/sm is msg-node and /sm.
func backEnd(to message.URL) (element, path string) {
	element, _, _ = strings.Cut(to.Domain(), ".")
	return element, strings.TrimSuffix(to.Path(), "/")
}

// legacyRuntime checks the runtime that an unproven connection claims to be.
func legacyRuntime(text string) (message.URL, *refusal) {
	u, err := message.ParseURL(text)
	if err != nil {
		return "", refuse(message.CodeBadRequest, "%v", err)
	}
	if runtimeOf(u) == "" {
		return "", refuse(message.CodeBadRequest, "%s is not a runtime", u)
	}
	if proof.KeyDerived(u.Runtime()) {
		return "", refuse(message.CodeForbidden, "%s belongs to a key; only %s can prove it", u, wire.Subprotocol)
	}
	return u.Runtime(), nil
}
