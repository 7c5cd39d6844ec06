package identity_test

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/safefile"
	"github.com/protofly/protofly/internal/runtimekey"
	"github.com/protofly/protofly/sdk/message"
)

// runtimeURL is the URL of the n-th runtime.
func runtimeURL(n int) message.URL {
	return message.URL(fmt.Sprintf("hyperty-runtime://example.com/%s", strings.Repeat(string(rune('a'+n)), 32)))
}

func TestSessionKey(t *testing.T) {
	dir := t.TempDir()
	var last []byte
	for range 2 { // the same after a restart
		me, err := identity.Open(dir, "example.com")
		if err != nil {
			t.Fatal(err)
		}
		private, certificate, err := me.SessionKey()
		if err != nil {
			t.Fatal(err)
		}
		if last != nil && string(last) != string(private) {
			t.Error("another key after a restart")
		}
		last = private
		key, err := ecdh.X25519().NewPrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		if err := runtimekey.VerifyCertificate(me.URL(), key.PublicKey().Bytes(), certificate); err != nil {
			t.Error(err)
		}
	}
}

func TestTrustCheck(t *testing.T) {
	good := runtimeURL(0)
	for want, trust := range map[string]identity.Trust{
		"":                 {Mode: identity.Pinned, Peers: []message.URL{good}, Pins: map[message.URL]message.URL{"hyperty://a.b/x": good}},
		`mode "some"`:      {Mode: "some"},
		`peers: "nobody"`:  {Peers: []message.URL{"nobody"}},
		"32 letters":       {Peers: []message.URL{"hyperty-runtime://example.com/r-alice"}},
		"no hyperty":       {Pins: map[message.URL]message.URL{"comm://a.b/x": good}},
		"is no runtime's":  {WithoutSessions: identity.WithoutSessions{Peers: []message.URL{"runtime://a.b/r/sm"}}},
		"from a key":       {WithoutSessions: identity.WithoutSessions{Peers: []message.URL{good}}},
		`.domains: "a/b"`:  {WithoutSessions: identity.WithoutSessions{Domains: []string{"a/b"}}},
		"pins: hyperty://": {Pins: map[message.URL]message.URL{"hyperty://a.b/x": good.Join("sm")}},
	} {
		err := trust.Check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%+v: %v, want %q", trust, err, want)
		}
	}
}

func TestAllowLists(t *testing.T) {
	for name, c := range map[string]struct {
		trust identity.Trust
		url   message.URL
		may   bool
	}{
		"everybody":                           {identity.Trust{}, runtimeURL(1), true},
		"a peer":                              {identity.Trust{Peers: []message.URL{runtimeURL(1)}}, runtimeURL(1), true},
		"in another form":                     {identity.Trust{Peers: []message.URL{runtimeURL(1)}}, message.URL(strings.TrimPrefix(string(runtimeURL(1)), "hyperty-")) + "/", true},
		"another peer":                        {identity.Trust{Peers: []message.URL{runtimeURL(1)}}, runtimeURL(2), false},
		"of two peers":                        {identity.Trust{Peers: []message.URL{runtimeURL(2), runtimeURL(1)}}, runtimeURL(1), true},
		"of neither":                          {identity.Trust{Peers: []message.URL{runtimeURL(2), runtimeURL(3)}}, runtimeURL(1), false},
		"the peer's key under another domain": {identity.Trust{Peers: []message.URL{runtimeURL(1)}}, message.URL(strings.Replace(string(runtimeURL(1)), "example.com", "example.org", 1)), false},
		"pinned, no lists":                    {identity.Trust{Mode: identity.Pinned}, runtimeURL(2), true},
	} {
		p, err := c.trust.Policy(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Runtime(c.url); (err == nil) != c.may || err != nil && (!errors.Is(err, identity.ErrNotListed) || !strings.Contains(err.Error(), "trust.peers")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Messages with a runtime that cannot prove its address are exchanged only if the operator allows it; one that can must have
// a session.
func TestWithoutSession(t *testing.T) {
	w := identity.WithoutSessions{Domains: []string{"old.example"}, Peers: []message.URL{"runtime://example.com/r1"}}
	for name, c := range map[string]struct {
		trust identity.Trust
		url   message.URL
		may   bool
	}{
		"by default":         {identity.Trust{}, "hyperty-runtime://old.example/r1", false},
		"of a domain":        {identity.Trust{WithoutSessions: w}, "runtime://old.example/r9", true},
		"a component":        {identity.Trust{WithoutSessions: w}, "runtime://old.example/r9/sm", true},
		"a peer":             {identity.Trust{WithoutSessions: w}, "hyperty-runtime://example.com/r1", true},
		"another peer":       {identity.Trust{WithoutSessions: w}, "hyperty-runtime://example.com/r2", false},
		"below the domain":   {identity.Trust{WithoutSessions: w}, "hyperty-runtime://x.old.example/r1", false},
		"with a key":         {identity.Trust{WithoutSessions: identity.WithoutSessions{Domains: []string{"example.com"}}}, runtimeURL(1), false},
		"no runtime":         {identity.Trust{WithoutSessions: w}, "hyperty://old.example/x", false},
		"allowed a session":  {identity.Trust{}, "hyperty-runtime://example.com/r1", false},
		"only without, list": {identity.Trust{Peers: []message.URL{runtimeURL(1)}, WithoutSessions: w}, "hyperty-runtime://example.com/r1", true},
	} {
		p, err := c.trust.Policy(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.WithoutSession(c.url); (err == nil) != c.may || err != nil && !errors.Is(err, identity.ErrNoSession) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.Domains = append(w.Domains, "example.com")
	p, err := identity.Trust{Mode: identity.Pinned, WithoutSessions: w}.Policy(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const bob, ann message.URL = "hyperty://example.com/bob", "hyperty://example.com/ann"
	if err := errors.Join(p.Name(ann, "hyperty-runtime://example.com/r1", true), p.Name(bob, runtimeURL(1), true)); err != nil {
		t.Error(err)
	}
	if err := p.Name(bob, "hyperty-runtime://example.com/r1", true); !errors.Is(err, identity.ErrOtherOwner) {
		t.Errorf("a known name at a runtime without a session: %v", err)
	}
	for domain, want := range map[string]bool{"example.com": true, "old.example": true, "xample.com": false, "": false} {
		if p.HomeWithoutSessions(domain) != want {
			t.Errorf("%q: %v", domain, !want)
		}
	}
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	const bob, carol message.URL = "hyperty://example.com/bob", "hyperty://example.com/carol"
	decide := func(trust identity.Trust) *identity.Policy {
		t.Helper()
		p, err := trust.Policy(dir)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	must := func(what string, err error, may bool) {
		t.Helper()
		if may && err != nil || !may && !errors.Is(err, identity.ErrOtherOwner) {
			t.Errorf("%s: %v", what, err)
		}
	}
	pinned := identity.Trust{Mode: identity.Pinned}
	p := decide(pinned)
	must("a claim before the Domain Registry has said anything", p.Name(bob, runtimeURL(1), false), false)
	must("the first", p.Name(bob, runtimeURL(1), true), true)
	must("the first again", p.Name(bob.Join("x"), runtimeURL(1), false), true)
	must("another", p.Name(bob, runtimeURL(2), true), false)
	must("another's claim", p.Name(bob, runtimeURL(2), false), false)
	must("one that cannot prove its address", p.Name(carol, "hyperty-runtime://example.com/r", true), false)
	must("what is no hyperty", p.Name("comm://example.com/1", runtimeURL(2), false), true)
	p = decide(pinned)
	must("another after a restart", p.Name(bob, runtimeURL(2), true), false)
	must("the first after a restart", p.Name(bob, runtimeURL(1), true), true)
	must("without pinning", decide(identity.Trust{}).Name(bob, runtimeURL(2), true), true)
	configured := identity.Trust{Pins: map[message.URL]message.URL{carol: runtimeURL(3)}}
	must("the configured owner", decide(configured).Name(carol, runtimeURL(3), false), true)
	err := decide(configured).Name(carol, runtimeURL(1), true)
	if must("not the configured owner", err, false); !strings.Contains(err.Error(), "trust.pins") {
		t.Error(err)
	}
	file := filepath.Join(dir, identity.KnownFile)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	text, _ := os.ReadFile(file)
	text, sealed, err := safefile.Unseal(identity.KnownFile, text)
	if want := string(bob) + " " + string(runtimeURL(1)) + "\n"; string(text) != want || !sealed || err != nil {
		t.Errorf("%s has %q, %v, %v; want %q", file, text, sealed, err, want)
	}

	// In a file of an earlier version a crash cut the last line off; it is forgotten, and the next one is whole.
	if err := os.WriteFile(file, append(text, "hyperty://example.com/da"...), 0o600); err != nil {
		t.Fatal(err)
	}
	p = decide(pinned)
	must("after a crash", p.Name(carol, runtimeURL(3), true), true)
	p = decide(pinned)
	must("after a crash and a restart", p.Name(carol, runtimeURL(1), true), false)
	if err := os.WriteFile(file, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pinned.Policy(dir); err == nil || !strings.Contains(err.Error(), identity.KnownFile+":1") {
		t.Errorf("a damaged line: %v", err)
	}
}

// FuzzKnown: whatever is in the file, reading it ends with an error or with names that belong to one runtime each.
func FuzzKnown(f *testing.F) {
	f.Add([]byte("hyperty://a.b/c " + string(runtimeURL(1)) + "\n"))
	f.Add([]byte("\n\nx y z\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, identity.KnownFile), text, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := identity.Trust{Mode: identity.Pinned}.Policy(dir)
		if err != nil {
			return
		}
		one, two := p.Name("hyperty://a.b/c", runtimeURL(1), true), p.Name("hyperty://a.b/c", runtimeURL(2), true)
		if one == nil && two == nil {
			t.Fatal("two owners")
		}
	})
}

// Pinned names are found again, or the runtime does not start: it never starts as if nothing had been pinned.
func TestDamagedPins(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, identity.KnownFile)
	pinned := identity.Trust{Mode: identity.Pinned}
	const bob, carol message.URL = "hyperty://example.com/bob", "hyperty://example.com/carol"
	p, err := pinned.Policy(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Name(bob, runtimeURL(1), true), p.Name(carol, runtimeURL(2), true)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	older := fmt.Sprintf("%s %s\n%s %s\n", bob, runtimeURL(1), carol, runtimeURL(2))
	damaged := map[string][]byte{"NULs": make([]byte, len(whole)), "an earlier version's, cut in its first line": []byte(older)[:20], "an earlier version's with NULs": append([]byte(older), 0, 0)}
	for n := range whole {
		damaged[fmt.Sprint("the first ", n)] = whole[:n]
	}
	for name, text := range damaged {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := pinned.Policy(dir); err == nil || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "remove it") || !strings.Contains(err.Error(), file) {
			t.Fatalf("%s: %v", name, err)
		}
		if now, err := os.ReadFile(file); err != nil || string(now) != string(text) {
			t.Fatalf("%s: the file was changed", name)
		}
	}
	// The file of an earlier version is accepted, and sealed.
	if err := os.WriteFile(file, []byte(older), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err = pinned.Policy(dir); err != nil {
		t.Fatal(err)
	}
	if err := p.Name(carol, runtimeURL(1), true); !errors.Is(err, identity.ErrOtherOwner) {
		t.Error(err)
	}
	if now, err := os.ReadFile(file); err != nil || string(now) != string(whole) {
		t.Errorf("it was not sealed: %q %v", now, err)
	}
}
