package invites

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/admission"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rates"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/writes"
	"github.com/protofly/protofly/sdk/message"
)

const (
	domain              = "example.com"
	alice   message.URL = "hyperty-runtime://example.com/alice"
	visitor message.URL = "hyperty-runtime://other.org/visitor"
)

// world is an operator's key, the state of a node on a disk, and the node's log.
type world struct {
	*Invites
	t    *testing.T
	key  admission.KeyFile
	nats *backbone.NATS
	log  bytes.Buffer
}

// begin makes the invites of a node with rules.
func begin(t *testing.T, rules admission.Rules) *world {
	t.Helper()
	w := &world{t: t, key: admission.KeyFile{Name: filepath.Join(t.TempDir(), "key.pem"), Make: true}}
	policy, err := admission.New(domain, rules, w.key)
	if err != nil {
		t.Fatal(err)
	}
	w.nats, err = backbone.Start(backbone.Options{Domain: domain, Data: t.TempDir(), Log: hclog.NewNullLogger(), Lost: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.nats.Close)
	log := hclog.New(&hclog.LoggerOptions{Output: &w.log})
	wr := &writes.Writes{Rates: rates.New(limits.Defaults()), NATS: w.nats, Log: log}
	w.Invites = &Invites{Policy: policy, State: w.open(), Writes: wr, Log: log}
	return w
}

// open reads the state from the disk, as a node does that starts.
func (w *world) open() *state.State {
	w.t.Helper()
	s, err := state.Open(w.t.Context(), state.Options{Domain: domain, NATS: w.nats, Invites: true, Log: hclog.NewNullLogger()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(s.Close)
	return s
}

// token is one that the operator makes.
func (w *world) token(t admission.Token) string {
	w.t.Helper()
	text, _, err := admission.Invite(domain, w.key, t)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// numbered is the n-th runtime of the domain.
func numbered(n int) message.URL {
	return message.URL(fmt.Sprint("hyperty-runtime://example.com/r", n))
}

// limited tells whether a guest is a visitor, who reaches the domain's addresses alone.
func limited(g admission.Guest) bool { return !g.MayReach("hyperty://third.net/x") }

// wantRefused checks a refusal: its code, and a part of its text.
func wantRefused(t *testing.T, what string, no *refusal.Refusal, code int, text string) {
	t.Helper()
	if no == nil || no.Code != code || !strings.Contains(no.Text, text) {
		t.Errorf("%s: %+v, want %d %q", what, no, code, text)
	}
}

// What the rules refuse is refused with 403 and their reason, and is no matter for the operator's log.
func TestRulesRefuse(t *testing.T) {
	w := begin(t, admission.Rules{Members: admission.Listed, Runtimes: []message.URL{alice}, Revoked: []string{string(visitor)}})
	if g, no := w.Admit(t.Context(), alice, ""); no != nil || limited(g) {
		t.Errorf("a listed runtime: %+v, %+v", g, no)
	}
	_, no := w.Admit(t.Context(), numbered(1), "")
	wantRefused(t, "one that is not listed", no, message.CodeForbidden, "admit.members: listed")
	_, no = w.Admit(t.Context(), visitor, "")
	wantRefused(t, "a revoked one", no, message.CodeForbidden, "admit.revoked")
	_, no = w.AdmitUnproved(t.Context(), alice, "")
	wantRefused(t, "one that only says that it is listed", no, message.CodeForbidden, "proves no key")
	if g, no := w.AdmitUnproved(t.Context(), "hyperty-runtime://other.org/x", ""); no != nil || !limited(g) {
		t.Errorf("an unproved visitor: %+v, %+v", g, no)
	}
	if w.log.Len() > 0 {
		t.Errorf("the log: %s", &w.log)
	}
}

// A token for two runtimes admits the first two that come, as often as they come, also after the node was started again. What
// another token has admitted does not count.
func TestTokenForANumberOfRuntimes(t *testing.T) {
	w := begin(t, admission.Rules{Members: admission.Invited})
	two, other := w.token(admission.Token{ID: "two", Uses: 2}), w.token(admission.Token{ID: "other", Uses: 1})
	if _, no := w.Admit(t.Context(), numbered(9), other); no != nil {
		t.Fatal(no.Text)
	}
	for range 2 {
		for _, i := range []int{1, 2, 1, 1} {
			if g, no := w.Admit(t.Context(), numbered(i), two); no != nil || limited(g) {
				t.Fatalf("runtime %d: %+v, %+v", i, g, no)
			}
		}
		_, no := w.Admit(t.Context(), numbered(3), two)
		wantRefused(t, "a third runtime", no, message.CodeForbidden, "has been used by 2 runtimes")
		_, no = w.AdmitUnproved(t.Context(), numbered(3), two)
		wantRefused(t, "a third runtime that proves nothing", no, message.CodeForbidden, "has been used by 2 runtimes")
		w.State = w.open()
	}
}

// However many come at the same moment, a token admits as many as it is for.
func TestTokenIsNotUsedTooOften(t *testing.T) {
	w := begin(t, admission.Rules{Members: admission.Invited})
	three := w.token(admission.Token{ID: "three", Uses: 3})
	refused := make(chan *refusal.Refusal, 12)
	var wg sync.WaitGroup
	for i := range cap(refused) {
		wg.Go(func() {
			_, no := w.Admit(t.Context(), numbered(i), three)
			refused <- no
		})
	}
	wg.Wait()
	close(refused)
	admitted := 0
	for no := range refused {
		if no == nil {
			admitted++
		} else if no.Code != message.CodeForbidden {
			t.Error(no.Text)
		}
	}
	if used := w.State.Redeemed.Get(backbone.Hash("three")); admitted != 3 || used == nil || len(used.Runtimes) != 3 {
		t.Errorf("%d are admitted, and %+v are noted", admitted, used)
	}
}

// Where members need a token and visitors do not, a visitor that shows one is more than a visitor; with one that is used up it
// is a visitor, and not refused.
func TestVisitorsWithTokens(t *testing.T) {
	w := begin(t, admission.Rules{Members: admission.Invited})
	one := w.token(admission.Token{ID: "one", Uses: 1})
	if g, no := w.Admit(t.Context(), visitor, ""); no != nil || !limited(g) {
		t.Errorf("without a token: %+v, %+v", g, no)
	}
	if g, no := w.Admit(t.Context(), visitor, one); no != nil || limited(g) {
		t.Errorf("with a token: %+v, %+v", g, no)
	}
	if g, no := w.Admit(t.Context(), visitor+"2", one); no != nil || !limited(g) {
		t.Errorf("with one that is used up: %+v, %+v", g, no)
	}
}

// Where a use cannot be written down, a token admits no member, and a visitor stays one; tokens that are not counted admit.
func TestUsesThatCannotBeCounted(t *testing.T) {
	w := begin(t, admission.Rules{Members: admission.Invited})
	counted, anyones := w.token(admission.Token{Uses: 5}), w.token(admission.Token{})
	w.nats.Close()
	g, no := w.Admit(t.Context(), alice, counted)
	if wantRefused(t, "a member", no, message.CodeError, "cannot be written"); limited(g) {
		t.Errorf("a member: %+v", g)
	}
	if g, no := w.Admit(t.Context(), visitor, counted); no != nil || !limited(g) {
		t.Errorf("a visitor: %+v, %+v", g, no)
	}
	if _, no := w.Admit(t.Context(), alice, anyones); no != nil {
		t.Errorf("a token for any number: %+v", no)
	}
}

// Where the key cannot be read, the operator's log says why, and those who come are not told.
func TestKeyThatCannotBeRead(t *testing.T) {
	w := begin(t, admission.Rules{Members: admission.Invited})
	anyones := w.token(admission.Token{})
	if err := os.WriteFile(w.key.Name, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, no := w.Admit(t.Context(), alice, anyones)
	if wantRefused(t, "a member", no, message.CodeError, "cannot check tokens now"); strings.Contains(no.Text, w.key.Name) {
		t.Error("a stranger is told the key's file: ", no.Text)
	}
	if !strings.Contains(w.log.String(), w.key.Name) {
		t.Errorf("the log: %s", &w.log)
	}
	w.log.Reset()
	if g, no := w.Admit(t.Context(), visitor, anyones); no != nil || !limited(g) {
		t.Errorf("a visitor: %+v, %+v", g, no)
	}
	if !strings.Contains(w.log.String(), w.key.Name) {
		t.Errorf("the log, for a visitor: %s", &w.log)
	}
}

// Who used a token is forgotten an hour after the token has expired, and never where it does not expire.
func TestExpire(t *testing.T) {
	w := begin(t, admission.Rules{Members: admission.Invited})
	ends := time.Now().Add(time.Minute).Truncate(time.Second)
	for _, x := range []admission.Token{{ID: "ends", Uses: 1, Expires: ends}, {ID: "later", Uses: 1, Expires: ends.Add(time.Minute)}, {ID: "stays", Uses: 1}} {
		if _, no := w.Admit(t.Context(), alice, w.token(x)); no != nil {
			t.Fatal(x.ID, no.Text)
		}
	}
	kept := func() (ids []string) {
		for _, id := range []string{"ends", "later", "stays"} {
			if w.State.Redeemed.Get(backbone.Hash(id)) != nil {
				ids = append(ids, id)
			}
		}
		return ids
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	w.Expire(t.Context(), ends.Add(time.Hour-time.Nanosecond))
	w.Expire(ended, ends.AddDate(10, 0, 0))
	if got := kept(); len(got) != 3 {
		t.Errorf("before the hour is over, and after the node's end: %v", got)
	}
	w.Expire(t.Context(), ends.Add(time.Hour))
	if got := kept(); !slices.Equal(got, []string{"later", "stays"}) {
		t.Errorf("an hour after the first token: %v", got)
	}
	w.Expire(t.Context(), ends.AddDate(100, 0, 0))
	if got := kept(); !slices.Equal(got, []string{"stays"}) {
		t.Errorf("long after: %v", got)
	}
	if w.log.Len() > 0 {
		t.Errorf("the log: %s", &w.log)
	}
	w.State = state.InMemory(domain) // of a node where no tokens are counted
	w.Expire(t.Context(), ends)
}
