package main

import (
	"os"
	"strings"
	"testing"

	"github.com/protofly/protofly/bench/rig"
)

// judged is what the soak says of the books of two applications.
func judged(t *testing.T, alice, bob string) *result {
	t.Helper()
	s := &soak{bed: &bed{result: &result{}, house: rig.House{Dir: t.TempDir()}, say: t.Logf}, events: map[string]int{}}
	for name, text := range map[string]string{"alice": alice, "bob": bob} {
		a := &soaker{name: name, life: 1}
		s.apps = append(s.apps, a)
		if err := os.WriteFile(s.book(a), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.judgeBooks()
	return s.result
}

// What the books must not say is found.
func TestBooks(t *testing.T) {
	for name, c := range map[string]struct{ alice, bob, want string }{
		"all is well":     {"sent bob 1\noutcome bob 1 delivered 0\nsent bob 2\noutcome bob 2 refused 404 gone\nquiet\n", "handled alice 1 1\n", ""},
		"killed sender":   {"sent bob 1\n", "", ""},
		"no outcome":      {"sent bob 1\nend\n", "", "nobody says"},
		"waited for long": {"sent bob 1\noutcome bob 1 none deadline\n", "", "nobody says"},
		"two outcomes":    {"sent bob 1\noutcome bob 1 delivered 0\noutcome bob 1 delivered 0\n", "handled alice 1 1\n", "2 outcomes"},
		"claimed":         {"sent bob 1\noutcome bob 1 delivered 0\n", "", "claimed"},
		"refused, came":   {"sent bob 1\noutcome bob 1 refused 404\n", "handled alice 1 1\n", "refused, and"},
		"twice":           {"sent bob 1\n", "handled alice 1 1\nhandled alice 1 1\n", "2 times"},
		"out of order":    {"sent bob 1\nsent bob 2\n", "handled alice 1 2\nhandled alice 1 1\n", "came after 2"},
		"another value":   {"set comm://example.com/alice 7\n", "seen comm://example.com/alice 6\n", "observes 6"},
		"the same value":  {"set comm://example.com/alice 7\n", "seen comm://example.com/alice 6\nseen comm://example.com/alice 7\n", ""},
		"its own words":   {"wrong answer 1, want 2\n", "", "answer 1"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(judged(t, c.alice, c.bob).wrong, "; ")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("it says %q, want %q", got, c.want)
			}
		})
	}
}

// A figure may grow by 5 % and its room; log lines have a bound of their own.
func TestFigures(t *testing.T) {
	b := &bed{result: &result{}, say: t.Logf}
	b.compareFigures(figures{"a: sessions": {is: 2}, "a: threads": {100, 6}, "a: log lines a minute": {is: 50}},
		figures{"a: sessions": {is: 2}, "a: threads": {111, 6}, "a: log lines a minute": {is: 10}})
	if len(b.result.slow) > 0 {
		t.Errorf("within bounds: %v", b.result.slow)
	}
	b.compareFigures(figures{"a: sessions": {is: 2}, "a: threads": {100, 6}, "b: memory bytes": {is: 1}},
		figures{"a: sessions": {is: 3}, "a: threads": {112, 6}, "a: log lines a minute": {is: 11}})
	if len(b.result.slow) != 3 || len(b.result.wrong) != 1 {
		t.Errorf("beyond bounds: %v, %v", b.result.slow, b.result.wrong)
	}
}

// An application is quiet that says so behind what it has sent last, also if it has sent nothing.
func TestQuiet(t *testing.T) {
	s := &soak{bed: &bed{house: rig.House{Dir: t.TempDir()}}}
	a := &soaker{name: "alice", life: 1}
	for text, want := range map[string]bool{"quiet\n": true, "seen x 1\nquiet\nseen x 2\n": true, "sent bob 1\n": false, "sent bob 1\nquiet\n": true,
		"quiet\nsent bob 1\n": false, "": false} {
		if err := os.WriteFile(s.book(a), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s.isQuiet(a) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
