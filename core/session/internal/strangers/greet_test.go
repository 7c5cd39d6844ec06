package strangers

import (
	"bytes"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/flynn/noise"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/internal/runtimekey"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// side is a runtime and the strangers that it knows.
type side struct {
	url message.URL
	all Strangers
	handshake.Local
}

func someone(t *testing.T, domain string, seed byte, incarnation uint64) *side {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	url := message.URL(message.SchemeRuntime + "://" + domain + "/" + proof.RuntimeID(key.Public().(ed25519.PublicKey)))
	static, err := noise.DH25519.GenerateKeypair(bytes.NewReader(bytes.Repeat([]byte{seed}, handshake.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	l, err := handshake.NewLocal(url, incarnation, handshake.Key{Private: static.Private, Certificate: runtimekey.Certify(key, url, static.Public)})
	if err != nil {
		t.Fatal(err)
	}
	return &side{url: url, Local: l}
}

// greet gives frame to to, as if it came from from, and does what it asks for. It says what goes back.
func greet(t *testing.T, to, from *side, frame []byte, now time.Duration) (a Answer, back []byte) {
	t.Helper()
	h, err := wire.ParseHead(frame)
	if err != nil {
		t.Fatal(err)
	}
	a = to.all.Greet(Caller{Self: to.url, Remote: from.url, Path: relay, Local: &to.Local}, h, frame, now)
	if len(a.Replies) > 0 {
		back = a.Replies[0]
	}
	if a.Task != nil {
		back = a.Task.Run()
	}
	return a, back
}

func step(frame []byte) byte { return frame[wire.HeadSize] }

// Two runtimes that do not know each other end a handshake, whoever speaks first: of a sealed frame the lower one begins, and the
// higher one asks it to.
func TestGreet(t *testing.T) {
	const now = time.Second
	alice, bob := someone(t, "a.example", 1, 1), someone(t, "b.example", 2, 2)
	late := append(wire.AppendHead(nil, wire.Head{Kind: wire.Data, From: 1, To: 9}), make([]byte, wire.TagSize)...)
	_, ask := greet(t, bob, alice, late, now)
	if step(ask) != handshake.StepAsk {
		t.Fatalf("a frame of an old session is answered with %x", ask)
	}
	_, first := greet(t, alice, bob, ask, now)
	if _, again := greet(t, alice, bob, ask, now); !bytes.Equal(again, first) || step(first) != handshake.StepFirst {
		t.Error("a wish that comes twice begins two handshakes")
	}
	_, second := greet(t, bob, alice, first, now)
	if _, again := greet(t, bob, alice, first, now); !bytes.Equal(again, second) || step(second) != handshake.StepSecond {
		t.Error("a first message that comes twice is computed on twice")
	}
	mine, _ := greet(t, alice, bob, second, now)
	if mine.Agreed.Keys == nil || mine.Agreed.Incarnation != 2 || mine.Confirmed || alice.all.Kept() != 0 {
		t.Fatalf("the initiator has %+v", mine)
	}
	third := append(wire.AppendHead(nil, wire.Head{Kind: wire.Hello, From: 1, To: 2}), handshake.StepThird)
	theirs, _ := greet(t, bob, alice, append(third, mine.Agreed.Third...), now)
	if theirs.Agreed.Keys == nil || theirs.Agreed.Incarnation != 1 || !theirs.Confirmed || theirs.Local != &bob.Local || bob.all.Kept() != 0 {
		t.Fatalf("the responder has %+v", theirs)
	}
	if theirs.Agreed.Keys.Out.Key == mine.Agreed.Keys.Out.Key {
		t.Error("both directions have one key")
	}
	if _, back := greet(t, bob, alice, append(third, mine.Agreed.Third...), now); back == nil || step(back) != handshake.StepAsk {
		t.Errorf("a third message of no handshake is answered with %x", back)
	}
	if a, back := greet(t, bob, bob, late[:], now); back == nil || a.Agreed.Keys != nil { // of incarnation 1
		t.Errorf("%+v", a)
	}
	if _, back := greet(t, alice, bob, late, now); back != nil {
		t.Errorf("our own frame, reflected, is answered with %x", back)
	}
}

// Somebody who answers in the name of a runtime whose key it does not have is refused, and the handshake goes on waiting for
// that runtime.
func TestImpostor(t *testing.T) {
	const now = time.Second
	alice, bob, mallory := someone(t, "a.example", 1, 1), someone(t, "b.example", 2, 2), someone(t, "b.example", 3, 3)
	ask := append(wire.AppendHead(nil, wire.Head{Kind: wire.Hello, From: 2}), handshake.StepAsk)
	_, first := greet(t, alice, bob, ask, now)
	real := mallory.url
	mallory.url = bob.url // for what the handshake is bound to
	_, forged := greet(t, mallory, alice, first, now)
	mallory.url = real
	if a, _ := greet(t, alice, bob, forged, now); a.Refused == nil || a.Agreed.Keys != nil {
		t.Errorf("an impostor is answered with %+v", a)
	}
	_, second := greet(t, bob, alice, first, now)
	if a, _ := greet(t, alice, bob, second, now); a.Agreed.Keys == nil || a.Refused != nil {
		t.Errorf("the real one has %+v", a)
	}
}

// Under load a stranger gets a cookie and nothing else, and is computed for when it says it back.
func TestCookieUnderLoad(t *testing.T) {
	const now = time.Second
	alice, bob := someone(t, "a.example", 1, 1), someone(t, "b.example", 2, 2)
	for range OpenHandshakes {
		alice.all.Welcome("hyperty-runtime://z.example/z", relay, nil, now)
	}
	head := wire.AppendHead(nil, wire.Head{Kind: wire.Hello, From: 2})
	a, cookie := greet(t, alice, bob, append(bytes.Clone(head), handshake.StepAsk), now)
	if a.Task != nil || step(cookie) != handshake.StepCookie {
		t.Fatalf("under load: %+v", a)
	}
	if a, _ := greet(t, alice, bob, append(bytes.Clone(head), handshake.Cover(cookie[wire.HeadSize+1:], handshake.StepAsk, nil)...), now); a.Task == nil {
		t.Errorf("with its cookie: %+v", a)
	}
	said, _ := greet(t, bob, alice, cookie, now)
	if _, _, c, ok := handshake.Uncover(said.Replies[0][wire.HeadSize:]); !ok || !bytes.Equal(c, cookie[wire.HeadSize+1:]) {
		t.Errorf("the cookie is said back as %x", said.Replies)
	}
}

// The same runtime is told of once in a while, others meanwhile, and no more are remembered than may be.
func TestRefusals(t *testing.T) {
	var r Refusals
	if !r.Due(alice, 1) || r.Due(alice, toldPause) || !r.Due(bob, 2) || !r.Due(alice, toldPause+1) {
		t.Error("it is told too often, or not at all")
	}
	for n := range 2 * maxRefused {
		r.Due(message.URL(bytes.Repeat([]byte{'x'}, n+1)), toldPause+2)
	}
	if len(r.told) > maxRefused || !r.Due("late", 3*toldPause) {
		t.Errorf("%d are remembered", len(r.told))
	}
}

// Whoever speaks the lower version is to be upgraded; noise is no version.
func TestOtherVersion(t *testing.T) {
	for theirs, want := range map[byte]string{0: "", wire.Version: "", maxVersion + 1: "", wire.Version - 1: "upgrade " + string(bob), wire.Version + 1: "upgrade this runtime"} {
		if why, ok := OtherVersion(bob, theirs); ok != (want != "") || ok && !bytes.HasSuffix([]byte(why), []byte(want)) {
			t.Errorf("version %d: %q, %v", theirs, why, ok)
		}
	}
}
