package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// follow is this runtime's subscription to a remote runtime's /registry/changes. The loop owns it.
type follow struct {
	stop    func() // ends the listener; nil: not following
	asking  bool   // a subscribe is on its way
	again   bool   // and another is to follow it
	synced  bool   // a complete list has come
	tries   int    // without an answer, in a row
	version uint64
	listed  map[message.URL]struct{} // what the remote runtime lists; Options.MaxListed
	early   []change                 // updates that came before the list; maxEarly of maxEarlyBytes
	size    int                      // bytes of these
}

// change is one update, or a list.
type change struct {
	operation string // opAdd, opRemove; "": a complete list
	urls      []message.URL
	version   uint64
}

const (
	maxEarly      = 1024
	maxEarlyBytes = 2 << 20

	maxChangeBytes = maxListBytes + maxListBytes/4 // of a body: what it says takes the loop's time
	askAgain       = 100 * time.Millisecond
	retryAsk       = 2 * time.Second
	maxAskRetries  = 3
)

var errChanges = errors.New("registry changes")

// parseChange reads the body of an update of /registry/changes, or of the answer to the subscription to it.
func parseChange(m *message.Message) (change, error) {
	if len(m.Body) > maxChangeBytes {
		return change{}, fmt.Errorf("%w: %d bytes", errChanges, len(m.Body))
	}
	var body struct {
		Operation string       `json:"operation"`
		Value     message.URLs `json:"value"`
		Version   uint64       `json:"version"`
	}
	if err := m.Decode(&body); err != nil {
		return change{}, fmt.Errorf("%w: %w", errChanges, err)
	}
	if body.Operation != "" && body.Operation != opAdd && body.Operation != opRemove {
		return change{}, fmt.Errorf("%w: operation %.20q is neither %s nor %s", errChanges, body.Operation, opAdd, opRemove)
	}
	return change{body.Operation, body.Value, body.Version}, nil
}

// size is the memory that c takes, about.
func (c *change) size() int {
	size := 0
	for _, u := range c.urls {
		size += len(u) + 16
	}
	return size
}

// follow subscribes to rem's /registry/changes (specification, "P2P Connection Registration for Handler", steps 8 to
// 18). It is called each time a connection with rem becomes live: the answer heals what was missed. It runs in the
// loop. A remote runtime that does not answer or refuses is no error.
func (r *Registry) follow(rem *remote) {
	if !r.following {
		return
	}
	if rem.follow.stop == nil {
		from := rem.url.Join("registry")
		rem.follow.stop = r.opts.Bus.Listen(from.Join("changes"), func(ctx context.Context, m message.Message) {
			if m.Type == message.Response {
				return
			}
			if m.Type != message.Update || m.From.Canonical() != from {
				r.opts.Log.Warn("registry changes from somebody else ignored", "runtime", rem.url, "from", m.From, "type", m.Type)
				return
			}
			c, err := parseChange(&m)
			_ = r.ask(ctx, func() { // and waits for its end: a remote runtime has one such task in the loop's queue
				if err != nil {
					r.opts.Log.Warn("malformed registry changes", "runtime", rem.url, "error", err)
					r.subscribe(rem, askAgain)
					return
				}
				r.apply(rem, c)
			})
		})
	}
	rem.follow.tries = 0
	r.subscribe(rem, 0)
}

// subscribe asks for the complete list, and for the updates from there on. It runs in the loop.
func (r *Registry) subscribe(rem *remote, pause time.Duration) {
	f := &rem.follow
	if f.stop == nil {
		return
	}
	if f.asking {
		f.again = true
		return
	}
	f.asking = true
	r.spawn(func(ctx context.Context) {
		if pause > 0 {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
		}
		body := map[string]any{"subscribe": []message.URL{rem.url.Join("registry", "changes")}}
		answer, err := r.request(ctx, message.Subscribe, rem.url.Join("registry"), body, r.opts.LookupTimeout)
		var list change
		if err == nil {
			list, err = parseChange(&answer)
		}
		r.do(func() { r.subscribed(rem, list, err) })
	})
}

// subscribed takes the answer to a subscription. It runs in the loop.
func (r *Registry) subscribed(rem *remote, list change, err error) {
	f := &rem.follow
	early, again := f.early, f.again
	f.asking, f.again, f.early, f.size = false, false, nil, 0
	if f.stop == nil { // switched off meanwhile
		return
	}
	live := rem.conn != nil && rem.conn.state == message.Live
	if err != nil {
		r.opts.Log.Debug("no registry changes", "runtime", rem.url, "error", err)
		f.tries++
		late := isCode(err, message.CodeTimeout) || isCode(err, message.CodeUnavailable)
		if live && (again || late && f.tries < maxAskRetries) {
			r.subscribe(rem, retryAsk)
		}
		return
	}
	f.tries, f.synced = 0, true
	list.operation = ""
	r.apply(rem, list)
	slices.SortStableFunc(early, func(a, b change) int { return int(min(max(int64(a.version-b.version), -1), 1)) })
	for _, c := range early {
		r.apply(rem, c)
	}
	if again && live {
		r.subscribe(rem, askAgain)
	}
}

// apply takes a change in the order of versions. It runs in the loop.
func (r *Registry) apply(rem *remote, c change) {
	f := &rem.follow
	switch {
	case f.stop == nil:
	case f.asking:
		if size := c.size(); len(f.early) < maxEarly && f.size+size <= maxEarlyBytes {
			f.early, f.size = append(f.early, c), f.size+size
		} else {
			f.again = true
		}
	case c.operation == "":
		r.replaceList(rem, c.urls)
		f.version, f.synced = c.version, true
	case !f.synced || c.version <= f.version: // before the list, or in it
	case c.version > f.version+1:
		r.opts.Log.Debug("a gap in the registry changes", "runtime", rem.url, "have", f.version, "got", c.version)
		r.subscribe(rem, askAgain)
	default:
		f.version = c.version
		for _, u := range c.urls {
			if c.operation == opAdd {
				r.list(rem, addressKey(u))
			} else {
				r.unlist(rem, addressKey(u))
			}
		}
	}
}

// list enters an address that rem says lives there. It runs in the loop.
func (r *Registry) list(rem *remote, key message.URL) bool {
	f := &rem.follow
	if key.IsRuntime() || key.IsBackEnd() || r.isLocal(key) {
		return false
	}
	if f.listed == nil {
		f.listed = map[message.URL]struct{}{}
	}
	if _, known := f.listed[key]; !known && len(f.listed) >= r.opts.MaxListed || !r.learn(rem, key, listed) {
		return false
	}
	f.listed[key] = struct{}{}
	var door message.URL
	if rem.conn != nil {
		door = rem.conn.door
	}
	r.opts.Trace.Emit(trace.Event{Kind: trace.Listed, To: key, Peer: rem.url, Via: door})
	return true
}

// unlist forgets an address that rem has given up. It runs in the loop.
func (r *Registry) unlist(rem *remote, key message.URL) {
	delete(rem.follow.listed, key)
	if a, ok := r.addresses.get(key); ok && a.remote == rem {
		r.givenUp.add(key, rem.url, time.Now())
		r.forget(key)
	}
}

// replaceList runs in the loop.
func (r *Registry) replaceList(rem *remote, urls []message.URL) {
	before := rem.follow.listed
	rem.follow.listed = make(map[message.URL]struct{}, len(urls))
	left := 0
	for _, u := range urls {
		key := addressKey(u)
		delete(before, key)
		if !r.list(rem, key) {
			left++
		}
	}
	for gone := range before {
		r.unlist(rem, gone)
	}
	if left > 0 {
		r.opts.Log.Warn("addresses that a runtime lists were not taken: another's, or too many", "runtime", rem.url, "number", left)
	}
}

// unfollow ends the listener. It runs in the loop.
func (r *Registry) unfollow(rem *remote) {
	stop := rem.follow.stop
	rem.follow = follow{}
	if stop != nil {
		r.spawn(func(context.Context) { stop() })
	}
}

// unsubscribe ends the subscription, and tells the remote runtime where it can be told. It runs in the loop.
func (r *Registry) unsubscribe(rem *remote, tell bool) {
	r.unfollow(rem)
	if !tell {
		return
	}
	r.spawn(func(ctx context.Context) {
		body := map[string]any{"unsubscribe": []message.URL{rem.url.Join("registry", "changes")}}
		if _, err := r.request(ctx, message.Unsubscribe, rem.url.Join("registry"), body, r.opts.LookupTimeout); err != nil && ctx.Err() == nil {
			r.opts.Log.Debug("not unsubscribed", "runtime", rem.url, "error", err)
		}
	})
}
