package entries

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

const bob message.URL = "hyperty://example.com/bob"

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// signer is the n-th runtime that signs its entries.
type signer struct {
	url message.URL
	key ed25519.PrivateKey
}

func runtime(n byte) signer {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	return signer{message.URL("hyperty-runtime://example.com/" + proof.RuntimeID(key.Public().(ed25519.PublicKey))), key}
}

// entry is a Domain Registry's entry: url is at the runtime, signed at a time and valid for a day.
func (s signer) entry(url message.URL, signed time.Time, status string) json.RawMessage {
	e := proof.Entry{URL: url, Runtime: s.url, Resources: []string{}, DataSchemes: []string{}}
	return message.Encode(struct {
		proof.Entry
		Status string            `json:"status"`
		Proof  *proof.EntryProof `json:"proof"`
	}{e, status, e.Sign(s.key, signed, signed.Add(24*time.Hour))})
}

func choose(t *testing.T, b *Beliefs, now time.Time, value any) Choice {
	t.Helper()
	list, err := Parse(bob, message.Encode(value))
	if err != nil {
		t.Fatal(err)
	}
	return b.Choose(now, bob, list)
}

func (c Choice) must(t *testing.T, want signer) {
	t.Helper()
	if c.Entry == nil || c.Entry.Runtime != want.url {
		t.Errorf("chosen %+v, want %s", c, want.url)
	}
}

func TestTheNewestThatIsSignedIsBelieved(t *testing.T) {
	b := NewBeliefs(Options{CacheTime: time.Minute})
	one, two := runtime(1), runtime(2)
	older, newer := one.entry(bob, noon.Add(-time.Hour), "live"), two.entry(bob, noon.Add(-time.Minute), "live")
	choose(t, b, noon, []any{older, newer}).must(t, two)
	c := choose(t, b, noon, older) // somebody brings the old entry back
	if c.Entry != nil || !errors.Is(c.Fault, proof.ErrEntry) || !strings.Contains(c.Fault.Error(), "later") {
		t.Errorf("%+v", c)
	}
	choose(t, b, noon, one.entry(bob, noon, "live")).must(t, one) // it moves back
	if c := choose(t, b, noon.Add(72*time.Hour), newer); c.Entry != nil {
		t.Error("an entry is believed when its time is over")
	}
	choose(t, b, noon.Add(72*time.Hour), two.entry(bob, noon.Add(71*time.Hour), "live")).must(t, two)
}

func TestWhatIsDisconnected(t *testing.T) {
	b := NewBeliefs(Options{})
	one, two := runtime(1), runtime(2)
	c := choose(t, b, noon, []any{one.entry(bob, noon.Add(-time.Hour), "disconnected"), two.entry(bob, noon.Add(-time.Minute), "disconnected")})
	if c.Entry != nil || !c.Disconnected || c.Owner != two.url {
		t.Errorf("%+v", c)
	}
	choose(t, b, noon, []any{one.entry(bob, noon.Add(-time.Hour), "live"), two.entry(bob, noon.Add(-time.Minute), "disconnected")}).must(t, one)
	if c.Released {
		t.Error("nobody has said that the address was given up")
	}
	var last map[string]any
	if err := json.Unmarshal(two.entry(bob, noon.Add(-time.Minute), "disconnected"), &last); err != nil {
		t.Fatal(err)
	}
	last["released"] = true // the node's word, which the proof is not of
	for _, list := range [][]any{{last}, {last, one.entry(bob, noon.Add(-time.Hour), "disconnected")}} {
		if c := choose(t, b, noon, list); !c.Disconnected || !c.Released || c.Owner != two.url {
			t.Errorf("%+v", c)
		}
	}
	first := one.entry(bob, noon, "disconnected")
	if c := choose(t, b, noon, []any{last, first}); !c.Disconnected || c.Released {
		t.Errorf("the newest does not decide: %+v", c)
	}
}

func TestWhoseEntriesNeedNoSignature(t *testing.T) {
	const plain message.URL = "hyperty-runtime://example.com/reference"
	entry := map[string]any{"url": bob, "runtime": plain, "status": "live"}
	if c := choose(t, NewBeliefs(Options{}), noon, entry); c.Entry != nil || !errors.Is(c.Fault, proof.ErrEntry) {
		t.Errorf("%+v", c)
	}
	b := NewBeliefs(Options{Unsigned: func(message.URL) bool { return true }})
	if c := choose(t, b, noon, entry); c.Entry == nil || c.Entry.Runtime != plain {
		t.Errorf("%+v", c)
	}
	entry["runtime"] = runtime(1).url
	if c := choose(t, b, noon, entry); c.Entry != nil || c.Fault == nil {
		t.Errorf("one that has a key need not sign: %+v", c)
	}
	var changed map[string]any
	if err := json.Unmarshal(runtime(1).entry(bob, noon, "live"), &changed); err != nil {
		t.Fatal(err)
	}
	changed["resources"] = []string{"chat"}
	if c := choose(t, b, noon, changed); c.Entry != nil || c.Fault == nil {
		t.Errorf("a changed entry is believed: %+v", c)
	}
}

func TestTheOwnerDecides(t *testing.T) {
	no := errors.New("pinned elsewhere")
	one, two := runtime(1), runtime(2)
	b := NewBeliefs(Options{Owner: func(_, runtime message.URL, _ bool) error {
		if runtime != one.url {
			return no
		}
		return nil
	}})
	c := choose(t, b, noon, two.entry(bob, noon, "live"))
	if c.Entry != nil || !errors.Is(c.Strange, no) || len(c.Complaints) != 1 {
		t.Errorf("%+v", c)
	}
	choose(t, b, noon, []any{two.entry(bob, noon, "live"), one.entry(bob, noon.Add(-time.Hour), "live")}).must(t, one)
	if c := choose(t, b, noon, two.entry(bob, noon, "disconnected")); c.Owner != "" {
		t.Errorf("%+v", c)
	}
}

func TestAFaultIsToldOnceInAWhile(t *testing.T) {
	b := NewBeliefs(Options{})
	entry := map[string]any{"url": bob, "runtime": runtime(1).url, "status": "live"}
	for _, x := range []struct {
		after time.Duration
		told  int
	}{{0, 1}, {time.Minute, 0}, {complainAgain - 1, 0}, {complainAgain, 1}} {
		if c := choose(t, b, noon.Add(x.after), entry); len(c.Complaints) != x.told {
			t.Errorf("after %v: %+v", x.after, c.Complaints)
		}
	}
}

func TestReadLately(t *testing.T) {
	b := NewBeliefs(Options{})
	if b.ReadLately(noon, bob) {
		t.Error("it was not read")
	}
	choose(t, b, noon, runtime(1).entry(bob, noon, "live"))
	if !b.ReadLately(noon.Add(claimRecheck-1), bob) || b.ReadLately(noon.Add(claimRecheck), bob) {
		t.Error("not for its time")
	}
}

// What is remembered is bounded, and entries that are signed for longer are not forgotten for those that end sooner.
func TestEntriesThatAreSeenAreBounded(t *testing.T) {
	b := NewBeliefs(Options{CacheTime: time.Minute, Unsigned: func(message.URL) bool { return true }})
	choose(t, b, noon, runtime(1).entry(bob, noon, "live"))
	for i := range maxSeen + 100 {
		key := message.URL("hyperty://example.com/" + strconv.Itoa(i))
		b.Choose(noon, key, []Entry{{Runtime: "hyperty-runtime://example.com/reference", Status: "live"}})
	}
	for i := range 2 * maxComplaints {
		key := message.URL("hyperty://example.com/" + strconv.Itoa(i))
		b.Choose(noon, key, []Entry{{Runtime: runtime(1).url, Status: "live"}})
	}
	if len(b.seen) != maxSeen || len(b.complaints) > maxComplaints {
		t.Errorf("%d entries, %d complaints", len(b.seen), len(b.complaints))
	}
	if _, ok := b.seen[bob]; !ok {
		t.Error("a signed entry made room for unsigned ones")
	}
}

// Of unsigned entries none is older than another: an address may move from one runtime without a key to another one.
func TestUnsignedEntriesMayMove(t *testing.T) {
	b := NewBeliefs(Options{CacheTime: time.Minute, Unsigned: func(message.URL) bool { return true }})
	for _, plain := range []message.URL{"hyperty-runtime://example.com/r1", "hyperty-runtime://example.com/r2", "hyperty-runtime://example.com/r1"} {
		if c := choose(t, b, noon, map[string]any{"url": bob, "runtime": plain, "status": "live"}); c.Entry == nil || c.Entry.Runtime != plain {
			t.Errorf("%s: %+v", plain, c)
		}
	}
}

// Two runtimes that have signed for an address at the same moment: the one that has been believed keeps it.
func TestSignedAtTheSameMoment(t *testing.T) {
	b := NewBeliefs(Options{})
	one, two := runtime(1), runtime(2)
	choose(t, b, noon, one.entry(bob, noon, "live")).must(t, one)
	if c := choose(t, b, noon, two.entry(bob, noon, "live")); c.Entry != nil || c.Fault == nil {
		t.Errorf("%+v", c)
	}
	choose(t, b, noon, one.entry(bob, noon, "live")).must(t, one)
}
