package changes

import (
	"slices"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

const (
	maxEarly      = 1024
	maxEarlyBytes = 2 << 20

	askAgain      = 100 * time.Millisecond
	retryAsk      = 2 * time.Second
	maxAskRetries = 3
)

// Names stores the addresses of a list.
type Names interface {
	List(url message.URL) bool // false: the address is not accepted
	Unlist(url message.URL)
}

// Subscription is a follower's state: what it has received of a remote runtime's list. The zero value follows nothing.
type Subscription struct {
	on      bool
	asking  bool // a subscribe is on its way
	again   bool // after its answer another one must be sent
	synced  bool // a complete list has come
	tries   int  // attempts without an answer, in a row
	version uint64
	listed  map[message.URL]struct{} // addresses that are in the list and were accepted
	early   []Change                 // updates that came before the list; maxEarly of them, or maxEarlyBytes
	size    int                      // bytes of early
}

// Ask says whether to subscribe (again), and after which pause. The answer is passed to [Subscription.Subscribed] or
// [Subscription.Refused].
type Ask struct {
	Wanted bool
	Pause  time.Duration
}

// Synced tells whether this side has the complete list.
func (s *Subscription) Synced() bool { return s.synced }

// Version is the version of the list as this side has it.
func (s *Subscription) Version() uint64 { return s.version }

// Listed is the number of its addresses.
func (s *Subscription) Listed() int { return len(s.listed) }

// Has tells whether an address is in the list, and was accepted.
func (s *Subscription) Has(url message.URL) bool {
	_, ok := s.listed[url]
	return ok
}

// Begin starts to follow the list. It is called each time a connection becomes live: the answer heals what was missed.
func (s *Subscription) Begin() Ask {
	s.on, s.tries = true, 0
	return s.ask(0)
}

// Again asks for the list anew, because a part of it could not be read.
func (s *Subscription) Again() Ask { return s.ask(askAgain) }

// On tells whether the list is followed.
func (s *Subscription) On() bool { return s.on }

func (s *Subscription) ask(pause time.Duration) Ask {
	switch {
	case !s.on:
		return Ask{}
	case s.asking:
		s.again = true
		return Ask{}
	}
	s.asking = true
	return Ask{Wanted: true, Pause: pause}
}

// Subscribed handles the answer to a subscription: the list. left is how many of its addresses were not accepted.
func (s *Subscription) Subscribed(list Change, names Names, live bool) (ask Ask, left int) {
	early, again := s.answered()
	if !s.on { // switched off while the answer was on its way
		return Ask{}, 0
	}
	s.tries = 0
	list.Operation = ""
	ask, left = s.Apply(list, names)
	slices.SortStableFunc(early, func(a, b Change) int { return int(min(max(int64(a.Version-b.Version), -1), 1)) })
	for _, c := range early {
		more, also := s.Apply(c, names)
		left += also
		if more.Wanted {
			ask = more
		}
	}
	if again && live {
		if more := s.ask(askAgain); more.Wanted {
			ask = more
		}
	}
	return ask, left
}

// Refused says that a subscription was not answered with a list; late: that there was no answer in time. It is no error if a
// remote runtime does not answer, or refuses.
func (s *Subscription) Refused(late, live bool) Ask {
	_, again := s.answered()
	if !s.on {
		return Ask{}
	}
	s.tries++
	if live && (again || late && s.tries < maxAskRetries) {
		return s.ask(retryAsk)
	}
	return Ask{}
}

func (s *Subscription) answered() (early []Change, again bool) {
	early, again = s.early, s.again
	s.asking, s.again, s.early, s.size = false, false, nil, 0
	return early, again
}

// Apply applies a change, if it is the next version. left is how many addresses of a complete list were not accepted.
func (s *Subscription) Apply(c Change, names Names) (ask Ask, left int) {
	switch {
	case !s.on:
	case s.asking:
		if size := c.size(); len(s.early) < maxEarly && s.size+size <= maxEarlyBytes {
			s.early, s.size = append(s.early, c), s.size+size
		} else {
			s.again = true
		}
	case c.Operation == "":
		left = s.replace(c.URLs, names)
		s.version, s.synced = c.Version, true
	case !s.synced || c.Version <= s.version: // older than the list, or part of it
	case c.Version > s.version+1:
		return s.ask(askAgain), 0
	default:
		s.version = c.Version
		for _, u := range c.URLs {
			if c.Operation == Add {
				s.add(u, names)
			} else {
				s.Remove(u, names)
			}
		}
	}
	return ask, left
}

func (s *Subscription) add(url message.URL, names Names) bool {
	if !names.List(url) {
		return false
	}
	if s.listed == nil {
		s.listed = map[message.URL]struct{}{}
	}
	s.listed[url] = struct{}{}
	return true
}

// Remove removes an address that the remote runtime has given up.
func (s *Subscription) Remove(url message.URL, names Names) {
	delete(s.listed, url)
	names.Unlist(url)
}

// replace applies a complete list.
func (s *Subscription) replace(urls []message.URL, names Names) (left int) {
	before := s.listed
	s.listed = make(map[message.URL]struct{}, len(urls))
	for _, u := range urls {
		delete(before, u)
		if !s.add(u, names) {
			left++
		}
	}
	for gone := range before {
		names.Unlist(gone)
	}
	return left
}

// End stops following, and forgets the list.
func (s *Subscription) End() { *s = Subscription{} }
