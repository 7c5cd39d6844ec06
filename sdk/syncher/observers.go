package syncher

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/protofly/protofly/sdk/message"
)

// Observers are the components that observe the object, as far as the runtime has told, in the order of their addresses.
func (r *Reporter) Observers() []message.URL {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.observers))
}

// OnObserver has f called after an observer has joined, or has left: it has ended its observation, its application or its runtime has,
// or it was kicked. f must be quick.
func (r *Reporter) OnObserver(f func(ObserverChange)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onObserver = f
}

type kickBody struct {
	Resource   message.URL `json:"resource"`
	Subscriber message.URL `json:"subscriber"`
	Reason     string      `json:"reason,omitempty"`
}

// Kick ends an observer's observation: the observer is told with the reason, for people, of 1,024 bytes at most. It may observe again
// where [Reporter.Allow]'s function lets it. The error is a *message.ResponseError: 404 where it does not observe the object.
func (r *Reporter) Kick(ctx context.Context, observer message.URL, reason string) error {
	a, err := r.s.ask(ctx, message.Unsubscribe, kickBody{r.url, observer, reason})
	if err == nil && len(a.Observers) == 0 {
		err = fmt.Errorf("its runtime is of a version that cannot do that")
	}
	if err != nil {
		return fmt.Errorf("kick %s from %s: %w", observer, r.url, err)
	}
	r.mu.Lock()
	delete(r.invited, observer.Canonical())
	r.mu.Unlock()
	r.left(observer)
	return nil
}

// joined is told that an observer is allowed, which it may have been before.
func (r *Reporter) joined(observer message.URL) {
	r.mu.Lock()
	_, before := r.observers[observer.Canonical()]
	r.observers[observer.Canonical()] = struct{}{}
	f := r.onObserver
	r.mu.Unlock()
	if f != nil && !before {
		f(ObserverChange{Observer: observer, Joined: true})
	}
}

// left is told that an observer is none any more.
func (r *Reporter) left(observer message.URL) {
	r.mu.Lock()
	_, before := r.observers[observer.Canonical()]
	delete(r.observers, observer.Canonical())
	f := r.onObserver
	r.mu.Unlock()
	if f != nil && before {
		f(ObserverChange{Observer: observer})
	}
}

// observedBy is told who observes, all of them.
func (r *Reporter) observedBy(list []message.URL) {
	now := make(map[message.URL]struct{}, len(list))
	for _, u := range list {
		now[u.Canonical()] = struct{}{}
	}
	for _, u := range r.Observers() {
		if _, still := now[u]; !still {
			r.left(u)
		}
	}
	for _, u := range list {
		r.joined(u)
	}
}
