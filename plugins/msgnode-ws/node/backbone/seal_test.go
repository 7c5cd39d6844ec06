package backbone

import (
	"bytes"
	bin "encoding/binary"
	"fmt"
	"testing"
	"time"
)

var sharedSecret = bytes.Repeat([]byte("s"), MinSecret)

func sealOf(t testing.TB, secret []byte, domain string, now *time.Time) *Seal {
	t.Helper()
	s, err := NewSeal(secret, domain)
	if err != nil {
		t.Fatal(err)
	}
	if now != nil {
		s.now = func() time.Time { return *now }
	}
	return s
}

func TestSeal(t *testing.T) {
	now := time.Now()
	one, two := sealOf(t, sharedSecret, "example.com", &now), sealOf(t, sharedSecret, "example.com", &now)
	signed := one.Sign("pf.a", []byte("message"))
	for name, s := range map[string]*Seal{"another secret": sealOf(t, bytes.Repeat([]byte("x"), MinSecret), "example.com", &now),
		"another domain": sealOf(t, sharedSecret, "other.org", &now)} {
		if _, err := s.Open("pf.a", signed); err != errForged {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := two.Open("pf.b", signed); err != errForged {
		t.Errorf("another subject: %v", err)
	}
	for i := range signed {
		bad := bytes.Clone(signed)
		bad[i] ^= 1
		if _, err := two.Open("pf.a", bad); err != errForged {
			t.Errorf("byte %d changed: %v", i, err)
		}
		if _, err := two.Open("pf.a", signed[:i]); err != errForged {
			t.Errorf("cut off at %d: %v", i, err)
		}
	}
	if len(two.nodes) != 0 {
		t.Error("something is kept of who has proved nothing")
	}
	if got, err := two.Open("pf.a", bytes.Clone(signed)); err != nil || string(got) != "message" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := two.Open("pf.a", signed); err != errAgain {
		t.Errorf("again: %v", err)
	}
	late := one.Sign("pf.a", nil)
	now = now.Add(freshness + 1)
	if _, err := two.Open("pf.a", late); err != errStale {
		t.Errorf("late: %v", err)
	}
	early := one.Sign("pf.a", nil)
	now = now.Add(-2 * freshness)
	if _, err := two.Open("pf.a", early); err != errStale {
		t.Errorf("early: %v", err)
	}
	// Nodes come and go; those that have gone are forgotten.
	for range 100 {
		now = now.Add(time.Minute)
		if _, err := two.Open("x", sealOf(t, sharedSecret, "example.com", &now).Sign("x", nil)); err != nil {
			t.Fatal(err)
		}
	}
	if len(two.nodes) > 3 {
		t.Errorf("%d nodes are remembered", len(two.nodes))
	}
	if got, err := (*Seal)(nil).Open("x", (*Seal)(nil).Sign("x", []byte("m"))); err != nil || string(got) != "m" {
		t.Errorf("%q %v", got, err)
	}
}

// Forged messages cost a node no more than the bound, whatever nodes they name: messages of known nodes are taken as before,
// and a new node becomes known as soon as a key may be computed.
func TestForgingIsBounded(t *testing.T) {
	now := time.Now()
	s, known, fresh := sealOf(t, sharedSecret, "example.com", &now), sealOf(t, sharedSecret, "example.com", &now), sealOf(t, sharedSecret, "example.com", &now)
	if _, err := s.Open("pf.a", known.Sign("pf.a", nil)); err != nil {
		t.Fatal(err)
	}
	forged := make([]byte, trailerSize)
	before := s.derived.TokensAt(now)
	for range 100_000 { // one name again and again
		if _, err := s.Open("pf.a", forged); err != errForged {
			t.Fatal(err)
		}
	}
	if used := before - s.derived.TokensAt(now); used > 1 {
		t.Errorf("%v keys were computed for one node", used)
	}
	derived := 0
	for n := range uint64(100_000) { // and many
		bin.BigEndian.PutUint64(forged, n*0x9e3779b97f4a7c15)
		switch _, err := s.Open("pf.a", forged); err {
		case errForged:
			derived++
		case errBusy:
		default:
			t.Fatal(err)
		}
		if len(s.nodes) != 1 {
			t.Fatal("something is kept of who has proved nothing")
		}
	}
	if derived > derivedBurst+maxUnknown {
		t.Errorf("%d keys were computed within no time", derived)
	}
	if _, err := s.Open("pf.a", known.Sign("pf.a", nil)); err != nil {
		t.Errorf("a known node: %v", err)
	}
	if _, err := s.Open("pf.a", fresh.Sign("pf.a", nil)); err != errBusy {
		t.Errorf("a new node, meanwhile: %v", err)
	}
	now = now.Add(time.Millisecond)
	message := fresh.Sign("pf.a", nil)
	if _, err := s.Open("pf.a", message); err != nil {
		t.Errorf("a new node, a moment later: %v", err)
	}
	if _, err := s.Open("pf.a", message); err != errAgain {
		t.Errorf("its first message again: %v", err)
	}
}

func TestWindow(t *testing.T) {
	var w window
	for _, c := range []struct {
		n    uint64
		want bool
	}{{1, true}, {1, false}, {3, true}, {2, true}, {2, false}, {3, false}, {windowSize + 2, true}, {2, false}, {3, false}, {4, true}, {4, false},
		{windowSize + 1, true}, {windowSize + 2, false}, {10 * windowSize, true}, {9*windowSize + 1, true}, {9 * windowSize, false},
		{windowSize + 3, false}, {1<<64 - 1, true}, {1<<64 - 1, false}, {1<<64 - 2, true}} {
		if got := w.take(c.n); got != c.want {
			t.Errorf("%d: %v", c.n, got)
		}
	}
}

func FuzzSeal(f *testing.F) {
	now := time.Now()
	s := sealOf(f, sharedSecret, "example.com", &now)
	f.Add("pf.a", s.Sign("pf.a", []byte("message"))[7:])
	f.Add("", make([]byte, trailerSize))
	f.Fuzz(func(t *testing.T, subject string, data []byte) {
		if got, err := s.Open(subject, data); err == nil {
			t.Fatalf("%q was taken on %q", got, subject)
		}
	})
}

// BenchmarkForged is what a forged message costs: in the name of one node, and of others each time.
func BenchmarkForged(b *testing.B) {
	for _, name := range []string{"one", "many"} {
		b.Run(name, func(b *testing.B) {
			s := sealOf(b, sharedSecret, "example.com", nil)
			data := make([]byte, 256+trailerSize)
			b.ReportAllocs()
			for n := uint64(0); b.Loop(); n++ {
				if name == "many" {
					bin.BigEndian.PutUint64(data[256:], n*0x9e3779b97f4a7c15)
				}
				if _, err := s.Open("pf.abcdefghij.f.abcdefghijklmnopqrstuvwxyz", data); err == nil {
					b.Fatal("taken")
				}
			}
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	for _, size := range []int{256, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			one, two := sealOf(b, sharedSecret, "example.com", nil), sealOf(b, sharedSecret, "example.com", nil)
			data := make([]byte, size, size+trailerSize)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := two.Open("pf.abcdefghij.f.abcdefghijklmnopqrstuvwxyz", one.Sign("pf.abcdefghij.f.abcdefghijklmnopqrstuvwxyz", data)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
