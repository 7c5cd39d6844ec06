package message_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

func TestCheckName(t *testing.T) {
	for name, want := range map[string]string{
		"bob": "", "b": "", "0": "", "a.b_c-d": "", strings.Repeat("x", message.MaxName): "",
		"": "empty", "Bob": "capital letter 'B'", "a~b": "character '~'", "a/b": "character '/'", "-a": "begins with '-'", ".": "begins with",
		strings.Repeat("x", message.MaxName+1): "65 bytes", "b\u00f6b": "character",
	} {
		err := message.CheckName(name)
		var no *message.NameError
		if want == "" && err != nil || want != "" && (!errors.As(err, &no) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "a–z")) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// An address has one normal form, whose scheme and domain are in lower case.
func TestCapitalsInAddresses(t *testing.T) {
	for text, want := range map[string]message.URL{
		"hyperty://EXAMPLE.com/bob":              "hyperty://example.com/bob",
		"Hyperty-Runtime://Example.COM/Id/sm":    "hyperty-runtime://example.com/Id/sm",
		"user://Alice@Example.com/x":             "user://Alice@example.com/x",
		"domain://Registry.Example.com":          "domain://registry.example.com",
		"hyperty://example.com/Bob?A=B":          "hyperty://example.com/Bob?A=B",
		"COMM://[2001:DB8::1]:8080/ROOM/changes": "comm://[2001:db8::1]:8080/ROOM/changes",
	} {
		u, err := message.ParseURL(text)
		if err != nil || u != want || u.Check() != nil {
			t.Errorf("%s: %s, %v", text, u, err)
		}
		if err := message.URL(text).Check(); (err != nil) != (text != string(want)) {
			t.Errorf("%s is checked: %v", text, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("hyperty://example.com/bob")
	f.Add("runtime://a/b/c/d")
	f.Add("Hyperty://EXAMPLE.com/Bob")
	f.Add("user://Alice@EXAMPLE.com/x")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := message.ParseURL(s)
		if err != nil {
			return
		}
		if !u.Within(u) || !u.Within(u.Base()) || u.Canonical() != u.Canonical().Canonical() {
			t.Fatalf("%q is not within itself (%q) or its base (%q)", u, u.Canonical(), u.Base())
		}
		if again, err := message.ParseURL(string(u)); err != nil || again != u || u.Check() != nil || len(u) != len(s) || !strings.EqualFold(string(u), s) {
			t.Fatalf("%q has the normal form %q, and that %q: %v", s, u, again, err)
		}
		// Whoever writes the scheme and the domain in another way means the same address.
		if domain := u.Domain(); !strings.Contains(domain, "@") && domain != "" {
			at := len(u) - len(u.Path())
			if same, err := message.ParseURL(strings.ToUpper(string(u[:at])) + string(u[at:])); err != nil || same != u {
				t.Fatalf("%q in capitals is %q: %v", u, same, err)
			}
		}
	})
}
