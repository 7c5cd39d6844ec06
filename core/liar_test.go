package core_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// liar is a Message Node that lies: it stands between a runtime and an honest node and changes the packets that go to the
// runtime, while lie says so. A change must keep the packet's length.
type liar struct {
	change atomic.Pointer[func(packet []byte)]
	lies   atomic.Int64 // packets that were changed
}

// lie replaces before by after, which has the same length, in every packet from now on.
func (l *liar) lie(before, after string) {
	l.say(func(packet []byte) {
		for i := bytes.Index(packet, []byte(before)); i >= 0; i = bytes.Index(packet, []byte(before)) {
			copy(packet[i:], after)
		}
	})
}

func (l *liar) say(change func(packet []byte)) { l.change.Store(&change) }
func (l *liar) honest()                        { l.change.Store(nil) }

// before puts the liar in front of a node.
func (l *liar) before(t *testing.T, node *nodeProcess) *nodeProcess {
	return between(t, node, func(to io.Writer, from io.Reader) { _ = l.pass(to, bufio.NewReader(from)) })
}

// pass copies what a node sends: the head of its HTTP response, and then one WebSocket frame (RFC 6455, section 5.2) after
// the other.
func (l *liar) pass(to io.Writer, from *bufio.Reader) error {
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return err
		}
		if _, err := io.WriteString(to, line); err != nil {
			return err
		}
		if line == "\r\n" {
			break
		}
	}
	for {
		head := make([]byte, 2, 10)
		if _, err := io.ReadFull(from, head); err != nil {
			return err
		}
		size, more := uint64(head[1]&0x7f), 0
		switch size {
		case 126:
			more = 2
		case 127:
			more = 8
		}
		if _, err := io.ReadFull(from, head[2:2+more]); err != nil {
			return err
		}
		if head = head[:2+more]; more > 0 {
			size = binary.BigEndian.Uint64(append(make([]byte, 8-more), head[2:]...))
		}
		if size > 8<<20 {
			return errors.New("no frame of a Message Node")
		}
		packet := make([]byte, size)
		if _, err := io.ReadFull(from, packet); err != nil {
			return err
		}
		if change := l.change.Load(); change != nil {
			before := bytes.Clone(packet)
			if (*change)(packet); !bytes.Equal(packet, before) {
				l.lies.Add(1)
			}
		}
		if _, err := to.Write(append(head, packet...)); err != nil {
			return err
		}
	}
}

// A Message Node changes entries of its Domain Registry: no message goes to where they lead, senders are told why, and as
// soon as the node is honest messages arrive.
func TestNodeThatForgesEntries(t *testing.T) {
	t.Parallel()
	node := startNode(t, "example.com")
	var lying liar
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{lying.before(t, node)}, use: []string{}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: built.transportIDs[:1]})
	eve := startRuntime(t, runtimeOptions{name: "eve", nodes: []*nodeProcess{node}})
	alice, bob, carol := a.register("alice"), b.register("bob"), b.register("carol")
	eves := eve.register("eve")
	for _, h := range []*hyperty.Hyperty{bob, carol, eves} {
		h.Handle(answer)
	}
	// The Domain Registry is not asked twice about one address within a second, so each lie has a name of its own.
	for i, lie := range []struct{ name, before, after, why string }{
		{"no-proof", `"proof":`, `"xroof":`, "proof is missing"},
		{"another-runtime", string(b.URL()), string(eve.URL()), "not the one that"},
		{"another-handler", "/p2phandler/", "/p2phandlex/", "not of this entry"},
		{"another-signature", `"signature":"`, `"signaturf":"`, "a signature of 0"},
		{"another-time", `"issued":1`, `"issued":2`, "is to hold"},
	} {
		target := b.register(lie.name)
		target.Handle(answer)
		a.forget()
		lying.lie(lie.before, lie.after)
		told := lying.lies.Load()
		_, err := alice.Request(t.Context(), target.URL(), message.Read, nil)
		if lying.lies.Load() == told {
			t.Errorf("%s: nothing was changed", lie.name)
		}
		var refused *message.ResponseError
		if !errors.As(err, &refused) || refused.Code != message.CodeNotFound || !strings.Contains(refused.Description, lie.why) ||
			!strings.Contains(refused.Description, "not signed by the runtime that it names") {
			t.Errorf("%s: %v, want 404 with %q", lie.name, err, lie.why)
		}
		if n := a.count(func(e trace.Event) bool { return e.Kind == trace.Untrusted && e.To == target.URL() }); n != 1 {
			t.Errorf("%s: told %d times", lie.name, n)
		}
		if n := a.count(func(e trace.Event) bool { return e.Kind == trace.Forward && e.To == target.URL() }); n != 0 {
			t.Errorf("%s: %d messages left", lie.name, n)
		}
		lying.honest()
		if i == 0 { // others are reached as before
			if _, err := alice.Request(t.Context(), carol.URL(), message.Read, nil); err != nil {
				t.Errorf("%s: another name: %v", lie.name, err)
			}
		}
	}
	deadline := time.Now().Add(waitTime) // a refusal is remembered for a second
	for {
		_, err := alice.Request(t.Context(), "hyperty://example.com/no-proof", message.Read, nil)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("when the node is honest again: %v", err)
		}
	}
}
