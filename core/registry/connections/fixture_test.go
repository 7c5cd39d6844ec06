package connections

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/sdk/message"
)

const (
	low   message.URL = "hyperty-runtime://example.com/a" // in glare the lower one stays requester
	self  message.URL = "hyperty-runtime://example.com/m"
	high  message.URL = "hyperty-runtime://example.com/z"
	stub              = self + "/p2phandler/alpha"
	other             = self + "/p2phandler/beta"
	to    message.URL = "hyperty://example.com/bob"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// bench is Peers with a clock that a test moves.
type bench struct {
	*Peers
	t   *testing.T
	now time.Time
}

// begin makes Peers that know the others' Handlers. They use no random numbers.
func begin(t *testing.T, o Options) *bench {
	o.Self = self
	if o.Prefer == nil {
		o.Prefer = []string{"alpha", "beta"}
	}
	names := 0
	o.Name = func() string { names++; return fmt.Sprint("n", names) }
	o.Jitter = func(d time.Duration) time.Duration { return d }
	b := &bench{Peers: New(o), t: t, now: noon}
	for _, remote := range []message.URL{low, high} {
		b.Offered(b.now, remote, []directory.Handler{{Name: "beta", URL: remote.Join("p2phandler", "beta")}, {Name: "alpha", URL: remote.Join("p2phandler", "alpha")}})
	}
	return b
}

// later moves the clock, and calls Tick for everything that is due until then.
func (b *bench) later(d time.Duration) {
	end := b.now.Add(d)
	for next, ok := b.Next(); ok && !next.After(end); next, ok = b.Next() {
		b.now = next
		b.Tick(b.now)
	}
	b.now = end
	b.Tick(b.now)
}

// wanted returns the wants since the last call, of some kinds; without kinds: all but those that only show something.
func (b *bench) wanted(kinds ...Kind) (list []Want) {
	for _, w := range b.Take() {
		shown := w.Kind == ShowState || w.Kind == RefreshWay || w.Kind == SayFailed || w.Kind == SayNotRenewed
		if len(kinds) == 0 && !shown || slices.Contains(kinds, w.Kind) {
			list = append(list, w)
		}
	}
	return list
}

// must is wanted, and checks that these are the kinds, in this order.
func (b *bench) must(kinds ...Kind) []Want {
	b.t.Helper()
	list := b.wanted()
	got := []Kind{}
	for _, w := range list {
		got = append(got, w.Kind)
	}
	if !slices.Equal(got, kinds) && len(got)+len(kinds) > 0 {
		b.t.Fatalf("wants %v, want %v", got, kinds)
	}
	return list
}

func (b *bench) current(remote message.URL, state message.Status) Connection {
	b.t.Helper()
	c, ok := b.Current(remote)
	if !ok && state != 0 || ok && c.State != state {
		b.t.Fatalf("connection with %s: %v %v (%s), want %v", remote, ok, c.State, c.Desc, state)
	}
	return c
}

// requested is a live connection that this side has requested.
func (b *bench) requested(remote message.URL) Connection {
	b.t.Helper()
	b.Consider(b.now, remote, to)
	c := b.must(AddRequester, Deploy)[1].Connection
	b.says(c, message.InProgress, message.Live)
	b.must(Began)
	return b.current(remote, message.Live)
}

// says posts states of the connection's stub.
func (b *bench) says(c Connection, states ...message.Status) {
	b.t.Helper()
	for _, state := range states {
		if known := b.RequesterStatus(b.now, c.Remote, c.Stub, state, ""); !known {
			b.t.Fatalf("%v of %s: nobody knows it", state, c.Stub)
		}
	}
}

// accepted is a live connection that the other side has requested.
func (b *bench) accepted(remote message.URL) Connection {
	b.t.Helper()
	if got := b.Invited(b.now, remote, stub, "alpha"); got != Accept {
		b.t.Fatalf("answer %v", got)
	}
	b.HandlerStatus(b.now, remote, stub, message.InProgress, "")
	b.HandlerStatus(b.now, remote, stub, message.Live, "")
	w := b.must(OpenDoor)[0]
	b.Opened(b.now, remote, w.Connection.Number, nil)
	b.must(Began)
	return b.current(remote, message.Live)
}
