package syncmanager

import (
	"bytes"
	"context"
	gort "runtime"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// A peer that changes its Connection object often has nobody read and write all of it for each change; a while after the last
// change it takes little memory, and can be changed again.
func TestConnectionObjectsAtRest(t *testing.T) {
	run(t, func(w *world) {
		a, b := w.by["a.example"], w.by["b.example"]
		alice, bob := a.component("alice"), b.component("bob")
		defer alice.close()
		defer bob.close()
		invited := make(chan syncher.Invitation, 1)
		bob.OnInvite(func(_ context.Context, inv syncher.Invitation) { invited <- inv })
		what := obj(`{"iceCandidates":[]}`)
		what.Scheme = message.SchemeConnection
		r := must[*syncher.Reporter](t)(alice.Create(w.ctx, what))
		check(t, r.Invite(w.ctx, bob.url))
		o := must[*syncher.Observer](t)(bob.Observe(w.ctx, (<-invited).URL))
		const count, size = 64, 2 << 10
		candidate := map[string]string{"candidate": strings.Repeat("c", size)}
		var before, after gort.MemStats
		gort.ReadMemStats(&before)
		for range count {
			check(t, r.Add(w.ctx, "iceCandidates", candidate))
		}
		time.Sleep(time.Second / 2)
		gort.ReadMemStats(&after)
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(100*count*size); got > most {
			t.Errorf("%d changes of %d bytes took %d bytes of memory, want at most %d", count, size, got, most)
		}
		time.Sleep(time.Minute)
		if r.Version() != count || o.Version() != count || !bytes.Equal(r.Value(), o.Value()) {
			t.Errorf("versions %d and %d", r.Version(), o.Version())
		}
		check(t, r.Add(w.ctx, "iceCandidates", candidate))
		time.Sleep(time.Second / 2)
		if o.Version() != count+1 || !bytes.Equal(r.Value(), o.Value()) {
			t.Errorf("after a rest: version %d", o.Version())
		}
	}, "a.example", "b.example")
}
