package transporttest

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/p2p"
)

// testGarbage: each side is given descriptions that are garbage. It refuses them by itself, before its ctx ends, and the
// transport goes on serving others.
func testGarbage(t *testing.T, s Suite) {
	requester, stopA := s.make(t, s.Requester)
	defer stopA()
	handler, stopB := s.make(t, s.Handler)
	defer stopB()
	deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	for _, bad := range []string{``, `null`, `{}`, `[]`, `"x"`, `7`, `{"`, `{"sdp":7,"type":[],"certificate":{},"candidates":"x","token":1}`,
		`{"sdp":"v=0","type":"offer","certificate":"00","token":"","candidates":[]}`, deep, `"` + strings.Repeat("x", 60<<10) + `"`} {
		for _, role := range []p2p.Role{p2p.Requester, p2p.Handler} {
			refusesDescription(t, s, requester, handler, role, bad)
		}
	}
	a, b, err := s.connect(t, requester, handler, 0, 0)
	if err != nil {
		t.Fatalf("after the garbage: %v", err)
	}
	if err := bothWays(a, b, 10, 1); err != nil {
		t.Fatalf("after the garbage: %v", err)
	}
}

// refusesDescription: the side in role gets the text as its peer's description. It has 10 s to refuse it: it
// should at once, but the machine may be busy.
func refusesDescription(t *testing.T, s Suite, requester, handler p2p.Transport, role p2p.Role, text string) {
	t.Helper()
	tr, local, remote := requester, runtimeURL("alice", 0), runtimeURL("bob", 0)
	if role == p2p.Handler {
		tr, local, remote = handler, remote, local
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.Setup)
	defer cancel()
	w := newWire(t, 0)
	w.b.out.put(letter{p2p.Signal{Kind: p2p.Description, Value: json.RawMessage(text)}, time.Time{}})
	r := one(ctx, tr, p2p.Peer{Local: local, Remote: remote, Role: role}, w.a)
	r.close()
	switch shown := text[:min(len(text), 60)]; {
	case r.err == nil:
		t.Errorf("%s takes %s for a description", roleName(role), shown)
	case r.took > soon/2:
		t.Errorf("%s needed %v to refuse %s as a description", roleName(role), r.took, shown)
	}
}

func roleName(r p2p.Role) string {
	if r == p2p.Handler {
		return "the Handler's side"
	}
	return "the Requester's side"
}

// testWrongCertificate: the hash in a description is not that of the certificate which the other side shows. The side that was
// told the wrong hash must not get a channel. The other side may get one for a moment, but no frame passes.
func testWrongCertificate(t *testing.T, s Suite) {
	requester, stopA := s.make(t, s.Requester)
	defer stopA()
	handler, stopB := s.make(t, s.Handler)
	defer stopB()
	began := time.Now()
	if err := echoOnce(t, s, requester, handler); err != nil {
		t.Fatalf("with the right certificates: %v", err)
	}
	// Ten times as long as an honest set-up takes here and now.
	limit := max(2*time.Second, 10*time.Since(began))
	var all sync.WaitGroup
	for i, deceived := range []p2p.Role{p2p.Handler, p2p.Requester} {
		all.Go(func() { s.refusesCertificate(t, requester, handler, 1+i, deceived, limit) })
	}
	all.Wait()
}

func echoOnce(t *testing.T, s Suite, requester, handler p2p.Transport) error {
	a, b, err := s.connect(t, requester, handler, 0, 0)
	if err != nil {
		return err
	}
	defer b.Close()
	defer a.Close()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	return echo(ctx, a, b, []byte("right"))
}

// refusesCertificate is the i-th set-up between the transports; within the limit the deceived side gets no channel.
func (s Suite) refusesCertificate(t *testing.T, requester, handler p2p.Transport, i int, deceived p2p.Role, limit time.Duration) {
	w := newWire(t, 0)
	liar := w.a
	if deceived == p2p.Requester {
		liar = w.b
	}
	changed := false
	liar.spoil = func(d json.RawMessage) json.RawMessage {
		out := s.Spoil(bytes.Clone(d))
		changed = !bytes.Equal(out, d)
		return out
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	a, b := s.both(ctx, requester, handler, runtimeURL("alice", i), runtimeURL("bob", i), w)
	if !changed {
		t.Error("no certificate hash was found in the description: set Suite.Spoil")
	}
	if deceived == p2p.Requester {
		a, b = b, a
	}
	if b.err == nil {
		t.Errorf("%s connects with a certificate that was not signalled", roleName(deceived))
	}
	if a.err == nil {
		if err := recvError(a.channel, s.Dead); err == nil {
			t.Errorf("%s was refused and its channel lives", roleName(1-deceived))
		}
	}
	a.close()
	b.close()
}
