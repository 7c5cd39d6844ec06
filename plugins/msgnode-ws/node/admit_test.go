package node

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/admission"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/web"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// tryJoin joins as a runtime of a domain, with a token or without.
func (r *running) tryJoin(t testing.TB, of string, n int, token string) (*client, *wire.Refused) {
	t.Helper()
	return r.tryGreetIn(t, dial(t, r.url+wire.Path, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}}), of, n, token)
}

// refusedBy checks that a refusal names its rule, and says that it is not worth trying again at once.
func refusedBy(t *testing.T, refused *wire.Refused, words ...string) {
	t.Helper()
	if refused == nil {
		t.Fatalf("admitted, want a refusal with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(refused.Reason, w) {
			t.Errorf("%q, want %q in it", refused.Reason, w)
		}
	}
	if refused.Code != 403 || refused.Retry < 30 {
		t.Errorf("code %d, again after %d s", refused.Code, refused.Retry)
	}
}

func TestAdmitListed(t *testing.T) {
	alice, _ := identity(1)
	bob, _ := identity(2)
	n := start(t, Options{Legacy: true, Admit: Admit{Members: Listed, Visitors: Listed, Runtimes: []message.URL{alice, bob}, Revoked: []string{string(bob)}}})
	n.join(t, 1).sync()
	_, refused := n.tryJoin(t, domain, 2, "")
	refusedBy(t, refused, "not admitted (admit.revoked): ", string(bob))
	_, refused = n.tryJoin(t, domain, 3, "")
	refusedBy(t, refused, "not admitted (admit.members: listed): ", "admit.runtimes")
	_, refused = n.tryJoin(t, "other.org", 1, "")
	refusedBy(t, refused, "not admitted (admit.visitors: listed): ")
	r, err := http.Get("http://" + n.Addr().String() + web.PathPlain + "?runtimeURL=runtime://example.com/r1")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer r.Body.Close()
	if text, _ := io.ReadAll(r.Body); r.StatusCode != 403 || !strings.Contains(string(text), "proves no key cannot be on a list") {
		t.Errorf("a runtime that proves nothing: %s %s", r.Status, text)
	}
}

// inviter makes tokens.
func inviter(t *testing.T, o Options) func(Token) string {
	return func(token Token) string {
		t.Helper()
		text, _, err := Invite(o, token)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

func TestAdmitInvited(t *testing.T) {
	data := t.TempDir()
	o := Options{Data: data, Domain: domain, Legacy: true, Admit: Admit{Members: Invited, Revoked: []string{"gone"}}}
	invite := inviter(t, o)
	early := invite(Token{Uses: 1}) // before the node has ever run
	n := start(t, o)
	alice, _ := identity(1)
	soon := time.Now().Add(time.Hour)
	named := invite(Token{Runtime: alice, Expires: soon})
	_, refused := n.tryJoin(t, domain, 2, named)
	refusedBy(t, refused, "not admitted (admit.members: invited): ", "the token is for "+string(alice))
	for range 2 {
		if _, refused = n.tryJoin(t, domain, 1, named); refused != nil {
			t.Fatal(refused)
		}
	}
	if _, refused = n.tryJoin(t, domain, 3, early); refused != nil { // the first that uses it
		t.Fatal(refused)
	}
	_, refused = n.tryJoin(t, domain, 4, early)
	refusedBy(t, refused, "has been used by 1 runtimes")
	for i := range 5 {
		if _, refused = n.tryJoin(t, domain, 10+i, invite(Token{ID: "everybody"})); refused != nil {
			t.Fatal(refused)
		}
	}
	_, refused = n.tryJoin(t, domain, 5, "")
	refusedBy(t, refused, "not admitted (admit.members: invited): ", "protofly-node admit", "stubs.msgnode-ws.token")
	_, refused = n.tryJoin(t, domain, 5, invite(Token{Expires: time.Now().Add(-time.Minute)}))
	refusedBy(t, refused, "expired at")
	_, refused = n.tryJoin(t, domain, 5, invite(Token{ID: "gone"}))
	refusedBy(t, refused, "the token gone is revoked")
	other := o
	other.Domain = "other.org"
	text, _, err := Invite(other, Token{})
	if err != nil {
		t.Fatal(err)
	}
	_, refused = n.tryJoin(t, domain, 5, text)
	refusedBy(t, refused, "another domain's node")
	forger := o
	forger.Data = t.TempDir()
	if text, _, err = Invite(forger, Token{}); err != nil {
		t.Fatal(err)
	}
	_, refused = n.tryJoin(t, domain, 5, text)
	refusedBy(t, refused, "not signed with this node's key")
}

// A restart changes nothing about which runtimes have used a token; a new key takes back everything.
func TestTokensOutliveARestart(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	o := Options{Data: data, Domain: domain, Legacy: true, Admit: Admit{Members: Invited}}
	invite := inviter(t, o)
	alice, _ := identity(1)
	named, early := invite(Token{Runtime: alice}), invite(Token{Uses: 1})
	n := start(t, o)
	_, refused := n.tryJoin(t, domain, 3, early)
	if refused != nil {
		t.Fatal(refused)
	}
	n.stop()
	n = start(t, o)
	if _, refused = n.tryJoin(t, domain, 3, early); refused != nil {
		t.Error(refused)
	}
	_, refused = n.tryJoin(t, domain, 4, early)
	refusedBy(t, refused, "has been used by 1 runtimes")
	if err := os.Remove(filepath.Join(data, "admission-key.pem")); err != nil {
		t.Fatal(err)
	}
	_, refused = n.tryJoin(t, domain, 1, named)
	refusedBy(t, refused, "not signed with this node's key")
	n.legacyToken(t, invite(Token{}))
}

// legacyToken: the reference's dialects have tokens in the request's URL.
func (r *running) legacyToken(t *testing.T, token string) {
	t.Helper()
	defer http.DefaultClient.CloseIdleConnections()
	for query, want := range map[string]int{"": 403, "&token=nonsense": 403, "&token=" + token: 426} {
		answer, err := http.Get("http://" + r.Addr().String() + web.PathPlain + "?runtimeURL=runtime://example.com/r1" + query)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%.20s: %s, want %d", query, answer.Status, want)
		}
	}
	s := &js{t, dial(t, r.url+web.PathSession, nil)}
	s.ask(403, `{"id":1,"type":"open","from":"runtime://example.com/r2","to":"mn:/session"}`)
	s = &js{t, dial(t, r.url+web.PathSession+"?token="+token, nil)}
	s.ask(200, `{"id":1,"type":"open","from":"runtime://example.com/r2","to":"mn:/session"}`)
}

// While not every member is admitted, visitors reach members and nobody else, and get nothing of the domain's.
func TestVisitors(t *testing.T) {
	bob, _ := identity(2)
	n := start(t, Options{Admit: Admit{Members: Listed, Runtimes: []message.URL{bob}}})
	member := n.join(t, 2)
	visitor, refused := n.tryJoin(t, "other.org", 1, "")
	if refused != nil {
		t.Fatal(refused)
	}
	third, refused := n.tryJoin(t, "third.org", 3, "")
	if refused != nil {
		t.Fatal(refused)
	}
	address := member.allocate(`{"value":{"number":1}}`)[0]
	member.must(message.Create, lookups, entryOf(member.runtime, address, ""))
	if code, text := visitor.ask(message.Read, lookups, fmt.Sprintf(`{"resource":%q}`, address)); code != 200 {
		t.Errorf("a look-up: %d %s", code, text)
	}
	if code, text := visitor.ask(message.Subscribe, manager, `{"resources":["comm://example.com/x/changes"]}`); code != 200 {
		t.Errorf("a subscription: %d %s", code, text)
	}
	for to, body := range map[message.URL]string{allocator: `{"value":{"number":1}}`, lookups: entryOf(visitor.runtime, visitor.runtime, "")} {
		if code, text := visitor.ask(message.Create, to, body); code != 403 {
			t.Errorf("%s: %d %s", to, code, text)
		}
	}
	if code, text := visitor.ask(message.Create, third.runtime, `{}`); code != 403 {
		t.Errorf("a message to a third party: %d %s", code, text)
	}
	visitor.write(wire.AppendData(nil, third.runtime, []byte("x")))
	if kind, body := visitor.frame(); kind != wire.KindRefused || !strings.Contains(string(body), "403") {
		t.Errorf("data for a third party: frame %d %s", kind, body)
	}
	for _, pair := range [][2]*client{{visitor, member}, {member, visitor}} {
		pair[0].write(wire.AppendData(nil, pair[1].runtime, []byte("x")))
		if kind, body := pair[1].frame(); kind != wire.KindData {
			t.Errorf("between visitor and member: frame %d %s", kind, body)
		}
	}
}

// A visitor with a token has more rights than a visitor; with a bad token it is still a visitor.
func TestVisitorsWithTokens(t *testing.T) {
	o := Options{Data: t.TempDir(), Domain: domain, Admit: Admit{Members: Invited}}
	n := start(t, o)
	for token, code := range map[string]int{inviter(t, o)(Token{}): 200, "nonsense": 403} {
		c, refused := n.tryJoin(t, "other.org", 1, token)
		if refused != nil {
			t.Fatal(refused)
		}
		if got, text := c.ask(message.Create, allocator, `{"value":{"number":1}}`); got != code {
			t.Errorf("%.10s: %d %s, want %d", token, got, text, code)
		}
	}
}

func TestAdmissionIsChecked(t *testing.T) {
	for _, a := range []Admit{{Members: "all"}, {Visitors: "x"}, {Runtimes: []message.URL{"hyperty://x/y"}}, {Runtimes: []message.URL{"hyperty-runtime://example.com/x"}}} {
		if (Options{Domain: domain, Data: "d", Admit: a}).Check() == nil {
			t.Errorf("%+v was accepted", a)
		}
	}
}

// Nodes of a domain that share a key take the same tokens, and count a token's uses together. A node that has only the public
// key takes them, and makes none.
func TestTokensInACluster(t *testing.T) {
	nats := cluster(t, t.TempDir(), 0)
	key := filepath.Join(t.TempDir(), "key.pem")
	private, err := admission.KeyFile{Name: key, Make: true}.Private()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := filepath.Join(t.TempDir(), "public.pem")
	if err := os.WriteFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	o := Options{Domain: domain, NATS: nats.ClientURL(), NATSKey: testSecret, Admit: Admit{Members: Invited, Key: key}}
	one := start(t, o)
	token := inviter(t, o)(Token{Uses: 1})
	o.Admit.Key = public
	two := start(t, o)
	if _, _, err := Invite(o, Token{}); err == nil || !strings.Contains(err.Error(), "no Ed25519 private key") {
		t.Errorf("a token made with a public key: %v", err)
	}
	if _, refused := one.tryJoin(t, domain, 1, token); refused != nil {
		t.Fatal(refused)
	}
	_, refused := two.tryJoin(t, domain, 2, token)
	refusedBy(t, refused, "has been used by 1 runtimes")
	if _, refused := two.tryJoin(t, domain, 1, token); refused != nil {
		t.Fatal(refused)
	}
}
