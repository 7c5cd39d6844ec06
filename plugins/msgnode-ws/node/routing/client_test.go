package routing

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

const alice message.URL = "hyperty-runtime://example.com/alice"

// stillUntil makes a router without NATS, the rates of its connections, and a connection of alice's, without a WebSocket, in a
// dialect; all until cancel is called.
func stillUntil(t *testing.T, d conn.Dialect) (*Router, *rates.Rates, *Client, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	l := limits.Defaults()
	conns, all := conn.NewSet(ctx, conn.Options{Queue: l.Queue, Log: hclog.NewNullLogger()}), rates.New(l)
	r := &Router{o: Options{Conns: conns, Limits: l}, subjects: backbone.NewSubjects("example.com"), state: state.InMemory("example.com")}
	c := conns.New(quota.Source{}, d)
	c.SetRuntime(alice)
	return r, all, NewClient(c, rates.NewSpending(ctx, all, quota.Source{}, c.ID), nil), cancel
}

// The peers that a connection speaks with count as memory that is kept for it, also where some are forgotten.
func TestPeersAreCounted(t *testing.T) {
	r, _, c, _ := stillUntil(t, conn.Binary)
	kept := int64(0)
	for i := range 40_000 {
		if _, err := r.Peer(c, fmt.Append(nil, "hyperty-runtime://example.com/", i)); err != nil {
			t.Fatal(err)
		}
		if kept = c.Remembered(); kept <= 0 || kept > 9<<20 || r.o.Conns.Memory.Kept() != kept {
			t.Fatalf("%d bytes are kept for the connection, %d by the node", kept, r.o.Conns.Memory.Kept())
		}
	}
	if kept < 1<<20 {
		t.Errorf("%d bytes are kept for thousands of peers", kept)
	}
}

// However many uninvited messages wait, the responses to a runtime's own requests are taken, each once.
func TestOwnAnswersAreInvited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, c, cancel := stillUntil(t, conn.PlainJSON)
		hyperty := c.Runtime().Join("chat")
		cancel()
		c.Send(nil)
		synctest.Wait() // its writer, which the first packet has started, has ended: it takes none of the others
		for !c.Crowded() {
			c.Send(make([]byte, 64<<10))
		}
		for i := range uint64(10) {
			c.asked.Put(&message.Message{ID: message.NumberID(i), Type: message.Read, From: hyperty, To: "hyperty://example.com/bob"})
		}
		response := func(id uint64, kind message.Type) []byte {
			return wire.AppendMessage(nil, &message.Message{ID: message.NumberID(id), Type: kind, From: "hyperty://example.com/bob", To: hyperty})
		}
		for name, want := range map[string]struct {
			frame     []byte
			uninvited []bool
		}{
			"an answer":           {response(3, message.Response), []bool{false, true, true}},
			"to nothing":          {response(10, message.Response), []bool{true}},
			"a request like that": {response(4, message.Create), []bool{true, true}},
		} {
			for i, uninvited := range want.uninvited {
				if r.uninvited(c, want.frame) != uninvited {
					t.Errorf("%s, %d: uninvited is %v", name, i, !uninvited)
				}
			}
		}
	})
}

// A connection whose request is refused, and which is therefore read slowly, does not keep its turn meanwhile.
func TestRefusedHaveNoTurn(t *testing.T) {
	_, all, mallory, cancel := stillUntil(t, conn.Binary)
	if err := mallory.Begin(); err != nil {
		t.Fatal(err)
	}
	no := refusal.TryAgain(time.Second, "too many")
	no.Pause = time.Hour
	read := make(chan struct{})
	go func() {
		defer close(read)
		mallory.Refuse(message.Message{Type: message.Response}, no)
	}()
	waiting, late := context.WithTimeout(t.Context(), time.Minute)
	defer late()
	if err := all.Turns.Take(waiting, quota.Asker{From: quota.Source{Prefix: netip.MustParsePrefix("192.0.2.2/32")}}); err != nil {
		t.Errorf("another one's turn: %v", err)
	}
	cancel()
	<-read
}
