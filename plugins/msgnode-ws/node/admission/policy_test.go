package admission

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

const (
	member  = message.URL("hyperty-runtime://example.com/member")
	visitor = message.URL("hyperty-runtime://other.org/visitor")
)

// Each rule admits the runtimes that it names, as members or visitors, and refuses others with its name in the error.
func TestPolicy(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	file := KeyFile{Name: filepath.Join(t.TempDir(), "key.pem"), Make: true}
	token := func(x Token) string {
		text, _, err := Invite("example.com", file, x)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	anyones, fives, members := token(Token{ID: "a"}), token(Token{ID: "five", Uses: 5}), token(Token{Runtime: member})
	invited := Rules{Members: Invited}
	for name, c := range map[string]struct {
		rules   Rules
		runtime message.URL
		token   string
		refused string // a part of the error; "": none
		counted bool
		only    bool // reaches members alone
	}{
		"anyone":                         {Rules{}, member, "", "", false, false},
		"a visitor of an open node":      {Rules{}, visitor, "", "", false, false},
		"revoked":                        {Rules{Revoked: []string{string(member)}}, member, "", "admit.revoked", false, false},
		"not listed":                     {Rules{Members: Listed}, member, anyones, "admit.members: listed", false, false},
		"listed":                         {Rules{Members: Listed, Runtimes: []message.URL{member}}, member, "", "", false, false},
		"no token":                       {invited, member, "", "has shown no token", false, false},
		"a token":                        {invited, member, anyones, "", false, false},
		"a token for five":               {invited, member, fives, "", true, false},
		"a token for it":                 {invited, member, members, "", false, false},
		"another's token":                {invited, "hyperty-runtime://example.com/x", members, "is for", false, false},
		"a revoked token":                {Rules{Members: Invited, Revoked: []string{"a"}}, member, anyones, "admit.revoked", false, false},
		"nonsense":                       {invited, member, "x", "no token at all", false, false},
		"a visitor":                      {invited, visitor, "", "", false, true},
		"a visitor with a token":         {invited, visitor, anyones, "", false, false},
		"a visitor with a token of five": {invited, visitor, fives, "", true, false},
		"a visitor with nonsense":        {invited, visitor, "x", "", false, true},
	} {
		p, err := New("Example.com", c.rules, file)
		if err != nil {
			t.Fatal(name, err)
		}
		v, err := p.Admit(c.runtime, c.token, now)
		if c.refused != "" {
			if !errors.As(err, new(*Refused)) || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v, want %q", name, err, c.refused)
			}
			continue
		}
		only := !v.Guest.MayReach("hyperty://third.net/x")
		if err != nil || (v.Counted != nil) != c.counted || only != c.only || !v.Guest.MayReach("hyperty://example.com/x") {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
		if asks := v.Guest.MayAsk("msg-node", "/address-allocation", message.Create); (asks != nil) != c.only {
			t.Errorf("%s asks for an address: %v", name, asks)
		}
	}
}

// If the key is gone, a token admits nobody, a visitor stays a visitor, and the verdict tells the operator.
func TestPolicyWithoutItsKey(t *testing.T) {
	file := KeyFile{Name: filepath.Join(t.TempDir(), "key.pem"), Make: true}
	p, err := New("example.com", Rules{Members: Invited}, file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file.Name, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Admit(member, "token", time.Now()); err == nil || errors.As(err, new(*Refused)) {
		t.Errorf("a member: %v", err)
	}
	v, err := p.Admit(visitor, "token", time.Now())
	if err != nil || v.Problem == nil || v.Guest.MayReach("hyperty://third.net/x") {
		t.Errorf("a visitor: %+v, %v", v, err)
	}
	if _, err := New("example.com", Rules{Members: Invited}, file); err == nil {
		t.Error("a new node has a policy without a key")
	}
}
