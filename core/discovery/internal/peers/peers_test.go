package peers

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const bob message.URL = "hyperty-runtime://b.example/bob"

func newPeers() *Peers { return New(Options{Life: "life", Max: 3, Grace: 5 * time.Second}) }

// kinds are those of the events after a version.
func kinds(p *Peers, after uint64) string {
	var list []hyperty.EventKind
	for _, e := range p.News(after) {
		list = append(list, e.Kind)
	}
	return fmt.Sprint(list)
}

func TestNewestEventOfEach(t *testing.T) {
	p := newPeers()
	if p.Node(noon, "a.example", false) {
		t.Error("a node that was never there is away")
	}
	if !p.Node(noon, "a.example", true) || p.Node(noon, "a.example", true) {
		t.Error("a node that has come is told once")
	}
	p.Reached(noon, bob, false)
	p.Reached(noon, bob, true)
	version := p.After(p.Version())
	p.Node(noon.Add(time.Second), "a.example", false)
	if got := kinds(p, 0); got != "[peer direct node away]" {
		t.Error(got)
	}
	if got := kinds(p, version); got != "[node away]" {
		t.Error(got)
	}
	if e := p.News(version)[0]; e.Since != noon.Add(time.Second) || e.Domain != "a.example" || e.Peer != "" {
		t.Errorf("%+v", e)
	}
}

func TestUnreachable(t *testing.T) {
	p := newPeers()
	if p.Unreachable(noon, bob, "") {
		t.Error("a runtime that was never reached is unreachable")
	}
	p.Reached(noon, bob, true)
	p.Lost(noon, bob)
	if p.Tick(noon.Add(4 * time.Second)) {
		t.Error("too early")
	}
	p.Reached(noon, bob, true) // another path of the same kind
	if _, due := p.Next(); due || p.Tick(noon.Add(time.Minute)) {
		t.Error("it is reached")
	}
	p.Lost(noon, bob)
	if at, due := p.Next(); !due || at != noon.Add(5*time.Second) || !p.Tick(at) || p.Tick(at) {
		t.Errorf("due at %v", at)
	}
	if missing := p.Missing(); !missing[bob].Equal(noon.Add(5 * time.Second)) {
		t.Error(missing)
	}
	if p.Unreachable(noon.Add(time.Minute), bob, "again") || !p.Reached(noon, bob, false) || len(p.Missing()) != 0 {
		t.Error("it is not told once, or does not end")
	}
	p.Forget(bob)
	if got := kinds(p, 0); got != "[]" {
		t.Error(got)
	}
}

func TestNoMoreThanThereIsRoomFor(t *testing.T) {
	p := newPeers()
	for i := range 100 {
		p.Reached(noon, bob.Join(fmt.Sprint(i)), false)
		p.Node(noon, "a.example", i%2 == 0)
	}
	if len(p.by) != 3 || len(p.News(0)) != 3 {
		t.Errorf("%d are known", len(p.by))
	}
}
