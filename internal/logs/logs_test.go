package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}

func lines(b *buffer) []string {
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// pass lets time pass, and timers fire.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// A flood of one text leaves other lines alone, and the log says how many were left out.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b buffer
		l := New(Options{Output: &b, Level: hclog.Info}).Named("plugin")
		for i := range 100_000 {
			l.Warn("door refused", "door", i)
		}
		l.Warn("something else")
		if got := lines(&b); len(got) != Burst+1 || !strings.Contains(got[Burst], "something else") {
			t.Fatalf("%d lines, the last %q", len(got), got[len(got)-1])
		}
		b.Reset()
		pass(Told + time.Second)
		if got := lines(&b); len(got) != 1 || !strings.Contains(got[0], fmt.Sprintf("lines=%d of=\"door refused\"", 100_000-Burst)) {
			t.Fatalf("told: %q", got)
		}
		b.Reset()
		pass(time.Minute)
		l.Warn("door refused")
		pass(time.Minute)
		if got := lines(&b); len(got) != 1 || !strings.Contains(got[0], "door refused") {
			t.Errorf("afterwards: %q", got)
		}
	})
}

// Derived loggers share the allowance of their name and text.
func TestDerived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b buffer
		l := New(Options{Output: &b, Level: hclog.Info})
		for i := range 10_000 {
			l.Named("a").With("n", i).Info("text")
		}
		l.Named("b").Info("text")
		if got := lines(&b); len(got) != Burst+1 {
			t.Errorf("%d lines", len(got))
		}
		pass(2 * Told)
	})
}

// Texts that are not constant use up their own logger's table and then one allowance; memory is bounded.
func TestTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b buffer
		l := New(Options{Output: &b, Level: hclog.Info})
		for i := range 50_000 {
			l.Named("stranger").Info("text " + fmt.Sprint(i))
		}
		if got := lines(&b); len(got) != maxTexts+Burst {
			t.Errorf("%d lines", len(got))
		}
		if n := len(l.(*logger).by["stranger"]); n > maxTexts+1 {
			t.Errorf("%d texts are kept", n)
		}
		b.Reset()
		for i := range Burst {
			l.Named("other").Info("text", "n", i)
		}
		if got := lines(&b); len(got) != Burst {
			t.Errorf("%d of %d lines of another logger", len(got), Burst)
		}
		pass(2 * Told)
	})
}

// Names that are not constant are bounded too.
func TestNames(t *testing.T) {
	l := New(Options{Output: io.Discard})
	for i := range 10 * maxNames {
		l.Named(fmt.Sprint(i)).Info("text")
	}
	if n := len(l.(*logger).by); n > maxNames+1 {
		t.Errorf("%d names are kept", n)
	}
}

type address string

func (a address) String() string { return "address " + string(a) }

// Text of strangers stays on its line, and cannot control a terminal.
func TestPrintable(t *testing.T) {
	const bad = "x\n2026-01-01T00:00:00Z [INFO] forged: all is well \x1b[2J\u009b\u202e\xff"
	for _, asJSON := range []bool{false, true} {
		var b buffer
		l := New(Options{Output: &b, Level: hclog.Info, JSON: asJSON})
		l.With(bad, bad).Named(bad).Warn(bad, bad, bad, "error", errors.New(bad), "bytes", []byte(bad), "stringer", address(bad),
			"format", hclog.Fmt("%s", bad), "list", []string{bad}, "plain", textual(bad), bad)
		l.StandardLogger(nil).Print(bad)
		got := lines(&b)
		if len(got) != 2 {
			t.Errorf("%d lines:\n%s", len(got), b.String())
		}
		for _, r := range "\x1b\u009b\u202e" {
			if strings.ContainsRune(b.String(), r) {
				t.Errorf("%U is in %q", r, b.String())
			}
		}
		if asJSON {
			for _, line := range got {
				if !json.Valid([]byte(line)) {
					t.Errorf("no JSON: %q", line)
				}
			}
		}
	}
}

type textual string

func TestLimitTwice(t *testing.T) {
	l := New(Options{Output: io.Discard})
	if Limit(l) != l {
		t.Error("a logger with limits has got them once more")
	}
}

func TestLongValuesAreCut(t *testing.T) {
	var b buffer
	New(Options{Output: &b, Level: hclog.Info}).Info("text", "value", strings.Repeat("\x1b", 1<<20))
	if len(b.String()) > 6*maxValue+200 {
		t.Errorf("%d bytes", len(b.String()))
	}
}

func BenchmarkBelowLevel(b *testing.B) {
	l := New(Options{Output: io.Discard, Level: hclog.Info})
	b.ReportAllocs()
	for b.Loop() {
		l.Debug("text")
	}
}

func BenchmarkLeftOut(b *testing.B) {
	l := New(Options{Output: io.Discard, Level: hclog.Info})
	b.ReportAllocs()
	for b.Loop() {
		l.Info("text")
	}
}
