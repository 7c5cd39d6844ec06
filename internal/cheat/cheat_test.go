package cheat

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, percent int) (*Cheat, Options) {
	t.Helper()
	dir := t.TempDir()
	o := Options{Seed: 1, Percent: percent, Always: true, Record: filepath.Join(dir, "record"), Report: filepath.Join(dir, "report"),
		Names: []string{"hyperty://example.com/alice", "hyperty://example.com/bob"}}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, o
}

// frame makes a frame that looks like a session's.
func frame(counter uint64) []byte {
	f := append([]byte{2, 2}, bytes.Repeat([]byte{7}, 20)...)
	f = binary.BigEndian.AppendUint64(f, counter)
	return append(f, bytes.Repeat([]byte{9}, 100)...)
}

// Every trick is played and counted, and what was seen is on record.
func TestEveryTrick(t *testing.T) {
	c, o := start(t, 100)
	w := c.Way()
	honest, carried := 0, 0
	all := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.report.Cheats) == len(tricks)
	}
	n := uint64(0)
	for ; !all() || n < 1000; n++ {
		f := frame(n)
		c.Saw(f)
		out := w.Pass(f)
		if len(out) == 1 && bytes.Equal(out[0], frame(n)) {
			honest++
		}
		carried += len(out)
		if !bytes.Equal(f, frame(n)) {
			t.Fatal("the frame itself was altered")
		}
	}
	c.Breach("test")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := ReadReport(o.Report)
	if err != nil || r.Total() == 0 || r.Total()+uint64(honest) > n || r.Breaches["test"] != 1 {
		t.Errorf("%d frames, %d honest: %+v, %v", n, honest, r, err)
	}
	record, err := os.ReadFile(o.Record)
	if err != nil || uint64(len(record)) != n*uint64(len(frame(0))+1) {
		t.Errorf("the record has %d bytes, %v", len(record), err)
	}
	if carried == 0 {
		t.Error("nothing was carried")
	}
}

// With a percentage of 0 nothing is done.
func TestHonest(t *testing.T) {
	c, o := start(t, 0)
	w := c.Way()
	for n := range uint64(1000) {
		if out := w.Pass(frame(n)); len(out) != 1 || !bytes.Equal(out[0], frame(n)) {
			t.Fatalf("%x", out)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := ReadReport(o.Report); err != nil || r.Total() != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{}, {Record: "a"}, {Record: "a", Report: "b", Percent: 101}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if r, err := ReadReport(filepath.Join(t.TempDir(), "none")); err != nil || r.Total() != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A cheat carries frames of any length.
func TestShortFrames(t *testing.T) {
	c, _ := start(t, 100)
	defer c.Close()
	w := c.Way()
	for n := range 2 * sealedHead {
		for range 50 {
			w.Pass(make([]byte, n))
		}
	}
}
