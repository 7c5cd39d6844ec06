package nodes

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

const (
	self  message.URL = "hyperty-runtime://example.com/a"
	alice message.URL = "hyperty-runtime://far.example/alice"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func domain(i int) string { return fmt.Sprintf("d%d.example", i) }

func some(max int) *Nodes {
	return New(Options{Self: self, Domain: "example.com", Max: max, Named: func(d string) bool { return d == "named.example" },
		Pause: func(n int) time.Duration { return time.Duration(n) * time.Second }})
}

// reached is a stub that runs.
func reached(t *testing.T, s *Nodes, domain string, c Cause) *Node {
	t.Helper()
	p, err := s.Reach(noon, domain, c)
	if err != nil || !p.Deploy {
		t.Fatalf("%s: %+v, %v", domain, p, err)
	}
	s.Deployed(noon, p.Node, nil)
	return p.Node
}

func TestReachOnceUntilItFails(t *testing.T) {
	s := some(4)
	p, err := s.Reach(noon, "far.example", Ours)
	if err != nil || !p.Deploy || p.Node.URL != self.Join("protostub", "far.example") {
		t.Fatalf("%+v, %v", p, err)
	}
	if again, err := s.Reach(noon, "far.example", Ours); err != nil || again.Deploy || again.Node != p.Node {
		t.Errorf("while it goes on: %+v, %v", again, err)
	}
	p.Node.Want(alice)
	if _, ok := s.Now("far.example", Ours); ok {
		t.Error("it runs before it was deployed")
	}
	if remotes := s.Deployed(noon, p.Node, errors.New("no process")); remotes != nil {
		t.Errorf("%v have a way", remotes)
	}
	<-p.Node.Ready
	if !s.Begun(noon.Add(time.Second-1), "far.example") || s.Begun(noon.Add(time.Second), "far.example") {
		t.Error("not tried again after a second")
	}
	p, _ = s.Reach(noon.Add(time.Second), "far.example", Ours)
	if remotes := s.Deployed(noon, p.Node, nil); !slices.Equal(remotes, []message.URL{alice}) {
		t.Errorf("%v have a way", remotes)
	}
	if url, ok := s.Now("far.example", Ours); !ok || url != p.Node.URL || !p.Node.Runs() {
		t.Errorf("%s, %v", url, ok)
	}
	if p, err := s.Reach(noon, "no domain/", Ours); err == nil {
		t.Errorf("%+v", p)
	}
	if _, err := New(Options{Self: self, NoDeployer: true}).Reach(noon, "far.example", Ours); err == nil {
		t.Error("deployed by nobody")
	}
}

func TestOthersHaveHalf(t *testing.T) {
	s := some(4)
	reached(t, s, domain(1), Theirs)
	broken, _ := s.Reach(noon, domain(2), Theirs)
	if _, err := s.Reach(noon, domain(3), Theirs); err == nil {
		t.Error("a third because of others")
	}
	s.Deployed(noon, broken.Node, errors.New("no process"))
	p, err := s.Reach(noon, domain(3), Theirs)
	if err != nil || len(p.Drop) != 1 || p.Drop[0].Stub != broken.Node.URL || p.Drop[0].Undeploy {
		t.Fatalf("the one that failed makes no room: %+v, %v", p, err)
	}
	s.Deployed(noon, p.Node, nil)
	reached(t, s, domain(4), Ours)
	reached(t, s, domain(5), Ours)
	if p, err := s.Reach(noon, domain(6), Ours); err == nil {
		t.Errorf("a fifth: %+v", p)
	}
	if _, err := s.Turn(noon, domain(6), time.Hour); err == nil {
		t.Error("others have a turn where they have half")
	}
	s.Now(domain(1), Ours) // it is this runtime's own from now on
	if _, err := s.Turn(noon, domain(6), time.Hour); err != nil {
		t.Error(err)
	}
}

func TestWhatNobodyUsesIsLeft(t *testing.T) {
	s := some(8)
	reached(t, s, domain(1), Theirs)
	reached(t, s, domain(2), Ours)
	busy := reached(t, s, domain(3), Theirs)
	going, _ := s.Reach(noon, domain(4), Theirs)
	inUse := func(stub message.URL) bool { return stub == busy.URL }
	if dropped := s.Idle(inUse); dropped != nil {
		t.Errorf("%v: they were used a moment ago", dropped)
	}
	want := []Dropped{{domain(1), self.Join("protostub", domain(1)), true}}
	if dropped := s.Idle(inUse); !slices.Equal(dropped, want) {
		t.Errorf("%v, want %v", dropped, want)
	}
	if _, ok := s.Now(domain(1), Ours); ok {
		t.Error("it is in use")
	}
	if n, ok := s.Get(domain(4)); !ok || n != going.Node {
		t.Error("one that is being deployed was left")
	}
}

func TestTurnsOfOthers(t *testing.T) {
	s := some(64)
	for i := range turnBurst + 1 {
		if wait, err := s.Turn(noon, domain(i), time.Hour); err != nil || wait != 0 {
			t.Fatalf("number %d waits %v, %v", i, wait, err)
		}
	}
	if wait, err := s.Turn(noon, domain(99), time.Hour); err != nil || wait != turnPause {
		t.Errorf("the next one waits %v, %v", wait, err)
	}
	if _, err := s.Turn(noon, domain(99), turnPause); err == nil {
		t.Error("it waits for longer than it wants to")
	}
	if s.TurnNow(noon) || !s.TurnNow(noon.Add(time.Hour)) {
		t.Error("turns without a wait")
	}
}

func TestWhoseCause(t *testing.T) {
	s := some(4)
	for domain, want := range map[string]Cause{"example.com": Ours, "named.example": Ours, "far.example": Theirs} {
		if got := s.At(domain, Theirs); got != want {
			t.Errorf("%s: %v", domain, got)
		}
	}
}

func TestAddTakesThePlaceOfWhatFailed(t *testing.T) {
	s := some(4)
	p, _ := s.Reach(noon, "far.example", Ours)
	p.Node.Want(alice)
	s.Deployed(noon, p.Node, errors.New("no process"))
	if remotes := s.Add("far.example", self.Join("protostub", "1")); !slices.Equal(remotes, []message.URL{alice}) {
		t.Errorf("%v have a way", remotes)
	}
	if url, ok := s.Now("far.example", Ours); !ok || url != self.Join("protostub", "1") {
		t.Error(url, ok)
	}
}

// A runtime is told once that it has a way, whoever deploys the stub after that.
func TestWhoHasAWayIsToldOnce(t *testing.T) {
	s := some(4)
	p, _ := s.Reach(noon, "far.example", Ours)
	p.Node.Want(alice)
	p.Node.Want(alice)
	if remotes := s.Deployed(noon, p.Node, nil); !slices.Equal(remotes, []message.URL{alice}) {
		t.Errorf("%v have a way", remotes)
	}
	if remotes := s.Add("far.example", self.Join("protostub", "1")); remotes != nil {
		t.Errorf("%v have a way again", remotes)
	}
}

// How many runtimes wait for one stub is bounded.
func TestThoseWhoWaitAreBounded(t *testing.T) {
	s := some(4)
	p, _ := s.Reach(noon, "far.example", Ours)
	for i := range 2 * maxWanted {
		p.Node.Want(message.URL(fmt.Sprint("hyperty-runtime://far.example/", i)))
	}
	if remotes := s.Deployed(noon, p.Node, nil); len(remotes) != maxWanted {
		t.Errorf("%d have a way", len(remotes))
	}
}

// Without options there is room for 64 stubs, half of them because of others, nobody's domain is named but the runtime's own, and a
// stub that could not be deployed is tried again after a second.
func TestDefaults(t *testing.T) {
	s := New(Options{Self: self, Domain: "example.com"})
	if s.At("named.example", Theirs) != Theirs || s.At("example.com", Theirs) != Ours {
		t.Error("whose cause it is")
	}
	for i := range 32 {
		reached(t, s, domain(i), Theirs)
	}
	if _, err := s.Reach(noon, domain(99), Theirs); err == nil {
		t.Error("a 33rd because of others")
	}
	p, err := s.Reach(noon, domain(99), Ours)
	if err != nil {
		t.Fatal(err)
	}
	s.Deployed(noon, p.Node, errors.New("no process"))
	if !s.Begun(noon.Add(time.Second-1), domain(99)) || s.Begun(noon.Add(time.Second), domain(99)) {
		t.Error("not tried again after a second")
	}
}
