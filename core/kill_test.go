package core_test

import (
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/internal/longtest"
	"github.com/protofly/protofly/sdk/message"
)

// directAgain is how soon there must be a direct path again after a plug-in was killed.
const directAgain = 20 * time.Second

// In the middle of traffic both ways the plug-in of the Handler's side is killed, then the Requester's, then the Message
// Node. Traffic goes on, each killed process is started again, and in the end no message is lost and no process left.
func TestKillsInTheMiddleOfTraffic(t *testing.T) { killsInTheMiddleOfTraffic(t, oneTransport(t)) }

// The same with the other transports.
func TestLongKillsInTheMiddleOfTraffic(t *testing.T) {
	longtest.Skip(t)
	otherTransports(t, killsInTheMiddleOfTraffic)
}

func killsInTheMiddleOfTraffic(t *testing.T, transport string) {
	node := startNode(t, "example.com")
	before := children(t)
	start := func(name string) *running {
		return startRuntime(t, runtimeOptions{name: name, nodes: []*nodeProcess{node}, use: []string{transport},
			change: func(c *core.Config) { c.Socket = filepath.Join(c.DataDir, "api") }})
	}
	a, b := start("a"), start("b")
	alice, bob := a.register("alice"), b.register("bob")
	flow := startTraffic(t, alice, bob, 2*time.Millisecond)
	a.live(b)
	b.live(a)
	requester, handler := mutual(t, a, b)
	flow.flows(100)

	killPlugin(t, flow, handler, requester, transport)
	requester, handler = mutual(t, a, b)
	killPlugin(t, flow, requester, handler, transport)
	killNode(t, flow, node, a, b)

	mutual(t, a, b)
	flow.finish()
	dirs := []string{a.dir, b.dir}
	closeAll([]*running{a, b})
	before[strconv.Itoa(node.cmd.Process.Pid)] = true // it was started again
	nothingLeft(t, before, dirs...)
}

// killPlugin kills the plug-in's process at one runtime.
func killPlugin(t *testing.T, flow *traffic, at, other *running, transport string) {
	t.Helper()
	old := at.pid(transport)
	oldDoor := at.connections(other)[0].Door
	since := time.Now()
	kill(t, old)
	// Until there is a direct path again traffic goes over the Message Node. At the latest then both sides have got messages.
	flow.flows(100)
	carried := time.Since(since)
	anew := func(r, peer *running) func() bool {
		return func() bool {
			c := r.connections(peer)
			return len(c) == 1 && c[0].State == message.Live && c[0].Since.After(since)
		}
	}
	at.until("a new direct path at the killed side", time.Until(since.Add(directAgain)), anew(at, other))
	other.until("a new direct path at the other side", time.Until(since.Add(directAgain)), anew(other, at))
	t.Logf("killed at the side of %s: 100 messages both ways after %v, direct again after %v", oldDoor.Path(), carried, time.Since(since))
	if pid := at.pid(transport); pid == 0 || pid == old {
		t.Errorf("the plug-in's process is %d, was %d", pid, old)
	}
	mutual(t, at, other)
	flow.flows(100)
	for _, r := range []*running{at, other} {
		c := r.connections(map[*running]*running{at: other, other: at}[r])[0]
		if c.Addresses < 1 {
			t.Errorf("%s: no address behind the new connection: %+v", r.URL(), c)
		}
	}
}

// killNode kills the Message Node and starts it again.
func killNode(t *testing.T, flow *traffic, node *nodeProcess, a, b *running) {
	t.Helper()
	nodeState := func(r *running) (state message.Status) {
		for _, s := range r.status().Stubs {
			if s.Role == "node" {
				state = s.State
			}
		}
		return state
	}
	node.kill()
	for _, r := range []*running{a, b} {
		r.until("the Message Node's stub is disconnected", waitTime, func() bool { return nodeState(r) == message.Disconnected })
	}
	flow.flows(200) // directly
	mutual(t, a, b)
	node.start()
	for _, r := range []*running{a, b} {
		r.until("the Message Node's stub is live again", waitTime, func() bool { return nodeState(r) == message.Live })
	}
	carol := b.register("carol-" + string(filepath.Base(a.dir))) // the node works: allocation and Domain Registry
	if err := carol.Close(t.Context()); err != nil {
		t.Errorf("close a hyperty: %v", err)
	}
}
