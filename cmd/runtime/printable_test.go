package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// Text of strangers and plug-ins, whatever it is, cannot control the terminal, and cannot look like a line of its own.
func TestStrangersTextIsPrintable(t *testing.T) {
	s := newShell(t)
	socket := filepath.Join(s.home, "api.sock")
	startFake(t, socket)
	for _, c := range []struct {
		args string
		code int
	}{
		{"status", 0}, {"status --json", 0},
		{"path hyperty://elsewhere.example/bob", 1},
		{"send hyperty://example.com/evil hello", 1}, {"send --wait hyperty://example.com/evil hello", 1},
		{"send \x1b[2J hello", 2}, {"\x1b[2J\u009b", 2}, {"profile quick --kind \x1b[2J", 2},
		{"status --\x1b[2J\u202e", 2},
	} {
		code, out, errs := s.run(append(strings.Fields(c.args), "--socket", socket)...)
		if code != c.code {
			t.Errorf("%q: exit code %d, want %d: %s%s", c.args, code, c.code, out, errs)
		}
		for _, text := range []string{out, errs} {
			if strings.ContainsAny(text, "\x1b\u009b\u202e\r") {
				t.Errorf("%q: a terminal would obey %q", c.args, text)
			}
			if strings.Contains(text, "\nprotofly: all is well") {
				t.Errorf("%q: a forged line in %q", c.args, text)
			}
		}
	}
}
