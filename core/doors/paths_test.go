package doors

import (
	"errors"
	"testing"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

const (
	distant message.URL = "hyperty-runtime://b.example/k"
	relayed message.URL = "hyperty-runtime://a.example/r/protostub/b.example"
)

// switches stands for a Registry and sessions, and notes the paths that pass between them.
type switches struct {
	route bus.Route
	err   error
	used  session.Path
	came  session.Path
}

func (s *switches) RouteTo(message.URL) (bus.Route, error)  { return s.route, s.err }
func (s *switches) UsePath(_ message.URL, p session.Path)   { s.used = p }
func (s *switches) Came(r message.URL) (session.Path, bool) { return s.came, r == distant }
func (s *switches) Has(stub message.URL, role sdk.Role) bool {
	return stub == relayed && role == sdk.RoleNode
}

// A route of the Registry becomes a path of a session, and a path a route.
func TestPaths(t *testing.T) {
	s := &switches{route: bus.Route{Door: "d", Stub: "s", Direct: true}}
	p := Paths{Best: s, Sessions: s, Stubs: s}
	want := session.Path{Door: "d", Stub: "s", Direct: true}
	if got, ok := p.To(distant); got != want || !ok {
		t.Errorf("%+v, %v", got, ok)
	}
	if p.Changed(distant, s.route); s.used != want {
		t.Errorf("used: %+v", s.used)
	}
	s.err = errors.New("no way")
	if _, ok := p.To(distant); ok {
		t.Error("a path where there is no way")
	}
}

// Came names a Message Node's stub only if the last frame came through one that is deployed.
func TestCameByNode(t *testing.T) {
	for _, c := range []struct {
		what   string
		remote message.URL
		path   session.Path
		ok     bool
	}{
		{"by the node", distant, session.Path{Door: relayed, Stub: relayed}, true},
		{"by a node's stub that has ended", distant, session.Path{Door: "s", Stub: "s"}, false},
		{"directly", distant, session.Path{Door: "d", Stub: relayed, Direct: true}, false},
		{"never", "hyperty-runtime://b.example/other", session.Path{Door: relayed, Stub: relayed}, false},
	} {
		s := &switches{came: c.path}
		p := Paths{Best: s, Sessions: s, Stubs: s}
		if stub, ok := p.Came(c.remote); ok != c.ok || ok && stub != relayed {
			t.Errorf("%s: %s, %v", c.what, stub, ok)
		}
	}
}
