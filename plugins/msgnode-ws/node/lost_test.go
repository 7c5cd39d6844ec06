package node

import (
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/nats-io/nats.go"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
)

// Where NATS had to drop what came on a subject, those who wanted it are told by a close, and nobody else.
func TestLostAtNATS(t *testing.T) {
	n := start(t, Options{})
	alice, bob := n.join(t, 1), n.join(t, 2)
	alice.sync()
	messages := n.nats.Messages
	failed := messages.ErrorHandler()
	failed(messages, &nats.Subscription{Subject: backbone.NewSubjects(domain).Address(bob.runtime)}, nats.ErrBadSubscription)
	failed(messages, nil, nats.ErrSlowConsumer)
	failed(messages, &nats.Subscription{Subject: backbone.NewSubjects(domain).Address(alice.runtime)}, nats.ErrSlowConsumer)
	if code, reason := alice.closed(); code != websocket.StatusTryAgainLater || reason != "the node is overloaded and lost messages for you" {
		t.Errorf("%d %s", code, reason)
	}
	bob.sync()
}

// NATS may say that it had to drop something while the router is being made: nobody waits for anything then.
func TestLostBeforeThereIsARouter(t *testing.T) {
	n := start(t, Options{})
	var l losses
	l.lost("any")
	var telling sync.WaitGroup
	telling.Go(func() {
		for range 1000 {
			l.lost("any")
		}
	})
	l.tell(n.router)
	telling.Wait()
	bob := n.join(t, 2)
	l.lost(backbone.NewSubjects(domain).Address(bob.runtime))
	if code, _ := bob.closed(); code != websocket.StatusTryAgainLater {
		t.Errorf("closed with %d", code)
	}
}
