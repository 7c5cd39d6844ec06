package registry

import (
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// A name that no application of this runtime has now is answered alike before and after its Domain Registry knows that: nobody is away.
func TestANameOfThisRuntimeThatNobodyHas(t *testing.T) {
	inWorld(t, func(w *world) {
		b, c := w.signed(2, nil), w.signed(3, unconnected)
		bob, _ := b.hyperty("bob")
		live := w.entry(bob)
		if err := b.reg.Unregister(w.ctx, bob); err != nil {
			t.Fatal(err)
		}
		_, err := c.resolve(bob)
		wantCode(t, err, message.CodeTimeout)
		_, err = b.resolve(bob)
		wantCode(t, err, message.CodeNotFound)
		settle(2 * time.Second) // a refusal is remembered for one
		w.change(func() {
			w.entries[bob] = message.Encode(live)
			delete(w.gone, bob)
		})
		_, err = b.resolve(bob)
		wantCode(t, err, message.CodeNotFound)
	})
}

// Of an address that was given up nobody is said to be away: there is none. What was sent from there before is its runtime's still.
func TestAnAddressThatWasGivenUp(t *testing.T) {
	inWorld(t, func(w *world) {
		b, c, d := w.signed(2, nil), w.signed(3, unconnected), w.signed(4, unconnected)
		bob, _ := b.hyperty("bob")
		if err := b.reg.Unregister(w.ctx, bob); err != nil {
			t.Fatal(err)
		}
		_, err := c.resolve(bob)
		wantCode(t, err, message.CodeTimeout)
		e := w.entry(bob)
		e["released"] = true
		w.change(func() { w.entries[bob] = message.Encode(e) })
		settle(2 * time.Second) // a refusal is remembered for one
		_, err = c.resolve(bob)
		wantCode(t, err, message.CodeNotFound)
		began := time.Now()
		if err := c.reg.Verify(w.ctx, b.url, bob); err != nil || time.Since(began) > time.Second {
			t.Errorf("what comes late is refused after %v: %v", time.Since(began), err)
		}
		wantCode(t, d.reg.Verify(w.ctx, c.url, bob), message.CodeForbidden)
	})
}
