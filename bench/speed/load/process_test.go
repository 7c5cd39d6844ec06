package load

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func begin(t *testing.T, role string) *Process {
	t.Helper()
	p, err := Start(t.Context(), "a child", "role", role)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

// A child does what it is asked, line by line, and an error ends nothing.
func TestChild(t *testing.T) {
	p := begin(t, "both")
	if p.Addr != "there" {
		t.Errorf("address %q", p.Addr)
	}
	for _, c := range []Command{
		{Do: "stream", Size: 100}, {Do: "stream", Size: maxSize}, {Do: "trips", Size: MinSize}, {Do: "paced", Size: 100, Rate: 1000}, {Do: "paced", Size: 100, Rate: 1},
	} {
		c.For = 20 * time.Millisecond
		r, err := p.Do(t.Context(), c)
		if err != nil || r.Messages == 0 || r.Seconds <= 0 || c.Do != "stream" && r.P50 <= 0 {
			t.Errorf("%+v: %+v, %v", c, r, err)
		}
	}
	for _, c := range []Command{
		{Do: "nothing that it knows", Size: 100, For: 1}, {Do: "stream", Size: MinSize - 1, For: 1}, {Do: "stream", Size: maxSize + 1, For: 1},
		{Do: "trips", Size: 100}, {Do: "trips", Size: 100, For: -1}, {Do: "paced", Size: 100, For: 1}, {},
	} {
		if r, err := p.Do(t.Context(), c); err == nil {
			t.Errorf("%+v: %+v", c, r)
		}
	}
	if r, err := p.Do(t.Context(), Command{Do: "own", Text: "<ä>\n"}); err != nil || r.Text != "<ä>\n" {
		t.Errorf("a command of its own: %+v, %v", r, err)
	}
	u, err := p.Usage(t.Context())
	if err != nil || u.Mallocs == 0 || u.Bytes == 0 || u.Heap == 0 || !slices.Equal(u.PIDs, []int{p.cmd.Process.Pid, os.Getpid()}) {
		t.Errorf("used %+v, %v", u, err)
	}
}

// A receiver reports its usage, and sends nothing.
func TestReceiver(t *testing.T) {
	p := begin(t, "receiver")
	if r, err := p.Do(t.Context(), Command{Do: "stream", Size: 100, For: 1}); err == nil {
		t.Errorf("%+v", r)
	}
	if u, err := p.Usage(t.Context()); err != nil || len(u.PIDs) != 1 {
		t.Errorf("%+v, %v", u, err)
	}
}

// If a child cannot be started, the error says why, and nothing is left.
func TestNotStarted(t *testing.T) {
	if _, err := Start(t.Context(), "the refusing one", "role", "refuses"); err == nil || !strings.Contains(err.Error(), errRefused.Error()) || !strings.Contains(err.Error(), "the refusing one") {
		t.Errorf("a child that ends: %v", err)
	}
	if _, err := StartProgram(t.Context(), "none", nil, "/no/such/program"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, "the silent one", "role", "silent"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a child that says nothing: %v", err)
	}
}

// A child that hangs is killed when the context ends.
func TestHangs(t *testing.T) {
	p := begin(t, "both")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.Do(ctx, Command{Do: "hangs"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it was given up with %v", err)
	}
	if _, err := p.Do(t.Context(), Command{Do: "usage"}); err == nil {
		t.Error("it still answers")
	}
}

// Input that is not a command ends a child with an error.
func TestNoCommand(t *testing.T) {
	for _, text := range []string{"{\n", "[]\n", strings.Repeat("x", 2<<20)} {
		var out bytes.Buffer
		if err := (&Child{}).Serve(t.Context(), "", strings.NewReader(text), &out); err == nil {
			t.Errorf("%.10q was taken: %s", text, out.Bytes())
		}
	}
}

func TestUse(t *testing.T) {
	if runtime.GOOS != "linux" {
		if _, err := CPU(os.Getpid()); !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
		return
	}
	for began := time.Now(); time.Since(began) < 10*time.Second; {
		if cpu, err := CPU(os.Getpid()); err != nil {
			t.Fatal(err)
		} else if cpu > 0 {
			break
		}
	}
	if cpu, err := CPU(os.Getpid()); err != nil || cpu <= 0 || cpu > time.Hour {
		t.Errorf("%v, %v", cpu, err)
	}
	now, peak, err := Memory(os.Getpid())
	if err != nil || now < 1<<20 || peak < now {
		t.Errorf("%d and at most %d bytes, %v", now, peak, err)
	}
	const nobody = 1 << 30
	if _, err := CPU(nobody); err == nil {
		t.Error("nobody has used CPU")
	}
	if _, _, err := Memory(nobody); err == nil {
		t.Error("nobody has memory")
	}
}

func TestTail(t *testing.T) {
	var w tailWriter
	for range 100 {
		if n, err := w.Write(bytes.Repeat([]byte("x"), 999)); n != 999 || err != nil {
			t.Fatal(n, err)
		}
	}
	_, _ = w.Write([]byte(" the end\n"))
	if s := w.String(); len(s) > 2*keptTail || !strings.HasSuffix(s, "x the end") {
		t.Errorf("%d bytes kept, the last of them %q", len(s), s[max(0, len(s)-10):])
	}
}
