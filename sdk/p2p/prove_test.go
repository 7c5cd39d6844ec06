package p2p

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/sdk"
)

// meddledChannel changes the first frame that its side sends.
type meddledChannel struct {
	Channel
	first  func(ctx context.Context, frame []byte) [][]byte
	passed bool
}

func (c *meddledChannel) Send(ctx context.Context, frames ...[]byte) error {
	if !c.passed {
		c.passed = true
		frames = c.first(ctx, bytes.Clone(frames[0]))
	}
	return c.Channel.Send(ctx, frames...)
}

// TestChannelProof: what the other end of a channel must say first, and when.
func TestChannelProof(t *testing.T) {
	flip := func(i int) func([]byte) [][]byte {
		return func(f []byte) [][]byte { f[i] ^= 1; return [][]byte{f} }
	}
	var earlier []byte
	var others chan []byte // the other side's proof
	for _, c := range []struct {
		name string
		does func(frame []byte) [][]byte
		why  string // "": it is good
	}{
		{"good", func(f []byte) [][]byte { earlier = f; return [][]byte{f} }, ""},
		{"of another set-up", func([]byte) [][]byte { return [][]byte{earlier} }, "wrong signature: it is not"},
		{"of the other side", func([]byte) [][]byte { return [][]byte{<-others} }, "wrong signature: it is not"},
		{"altered", flip(len(proofHeader) + 7), "wrong signature: it is not"},
		{"another header", flip(0), "is no proof"},
		{"too large", func(f []byte) [][]byte { return [][]byte{append(f, make([]byte, sdk.MaxFrame-len(f))...)} }, "is no proof"},
		{"cut off", func(f []byte) [][]byte { return [][]byte{f[:len(f)-1]} }, "is no proof"},
		{"empty", func([]byte) [][]byte { return [][]byte{{}} }, "is no proof"},
		{"missing", func([]byte) [][]byte { return nil }, "within 5s"},
		{"a message first", func(f []byte) [][]byte { return [][]byte{[]byte("a message"), f} }, "is no proof"},
		{"just in time", func(f []byte) [][]byte { time.Sleep(proofTime - time.Second); return [][]byte{f} }, ""},
		{"late", func(f []byte) [][]byte { time.Sleep(proofTime + time.Second); return [][]byte{f} }, "within 5s"},
	} {
		for _, liar := range []Role{Handler, Requester} {
			synctest.Test(t, func(t *testing.T) {
				others = make(chan []byte, 1)
				b := newBed(t, func(b *bed) {
					liars, honest := b.tb, b.ta
					if liar == Requester {
						liars, honest = b.ta, b.tb
					}
					honest.meddle = func(ch Channel, _ Role) Channel {
						return &meddledChannel{Channel: ch, first: func(_ context.Context, f []byte) [][]byte {
							others <- bytes.Clone(f)
							return [][]byte{f}
						}}
					}
					liars.meddle = func(ch Channel, _ Role) Channel {
						return &meddledChannel{Channel: ch, first: func(_ context.Context, f []byte) [][]byte {
							return c.does(f)
						}}
					}
				})
				b.request()
				time.Sleep(setupTime)
				synctest.Wait()
				deceived := aliceRequester
				if liar == Requester {
					deceived = bobHandler
				}
				got := b.statusesOf(deceived)
				if c.why == "" != strings.Contains(got, "live") || !strings.Contains(got, c.why) {
					t.Errorf("%s, by role %d: %s", c.name, liar, got)
				}
				b.stopAll()
			})
		}
	}
}

func FuzzParseProofFrame(f *testing.F) {
	f.Add(append([]byte(proofHeader), make([]byte, ed25519.SignatureSize)...))
	f.Add([]byte(proofHeader))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if s, err := parseProofFrame(frame); err == nil && (len(s) != ed25519.SignatureSize || string(frame) != proofHeader+string(s)) {
			t.Errorf("%q is taken", frame)
		}
	})
}
