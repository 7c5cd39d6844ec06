package discovery

import (
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// How many questions may wait.
const (
	maxAsked = 64   // of a hyperty
	maxPolls = 4096 // of all hyperties
)

// poll is a question that waits until there is something new.
type poll struct {
	m         message.Message
	who       message.URL   // the hyperty that asks
	addresses []message.URL // nil: it asks for events
	after     uint64
	until     time.Time
}

// polls are the questions that wait. They are guarded by Discovery's lock.
type polls struct {
	all map[*poll]bool
	at  map[message.URL]map[*poll]bool // by address; "": those for events
	by  map[message.URL]map[*poll]bool // by hyperty
}

func newPolls() polls {
	return polls{all: map[*poll]bool{}, at: map[message.URL]map[*poll]bool{}, by: map[message.URL]map[*poll]bool{}}
}

// add adds a question, if there is room for it.
func (s *polls) add(p *poll) bool {
	if len(s.all) >= maxPolls || len(s.by[p.who]) >= maxAsked {
		return false
	}
	s.all[p] = true
	into(s.by, p.who, p)
	for _, u := range p.about() {
		into(s.at, u, p)
	}
	return true
}

// drop takes a question out.
func (s *polls) drop(p *poll) {
	if !s.all[p] {
		return
	}
	delete(s.all, p)
	outOf(s.by, p.who, p)
	for _, u := range p.about() {
		outOf(s.at, u, p)
	}
}

// about is by what a question is found.
func (p *poll) about() []message.URL {
	if p.addresses == nil {
		return []message.URL{""}
	}
	return p.addresses
}

// of are the questions about an address; "": for events.
func (s *polls) of(u message.URL) []*poll { return list(s.at[u]) }

// waits tells whether a hyperty waits for news of an address.
func (s *polls) waits(who, u message.URL) bool {
	for p := range s.at[u] {
		if p.who == who {
			return true
		}
	}
	return false
}

// leave drops the questions of a hyperty.
func (s *polls) leave(who message.URL) {
	for _, p := range list(s.by[who]) {
		s.drop(p)
	}
}

// events is how many questions for events there are.
func (s *polls) events() int { return len(s.at[""]) }

// expired are the questions whose time is over.
func (s *polls) expired(now time.Time) (over []*poll) {
	for p := range s.all {
		if !p.until.After(now) {
			over = append(over, p)
		}
	}
	return over
}

// next is when the time of one is over; false: there is none.
func (s *polls) next() (at time.Time, ok bool) {
	for p := range s.all {
		if !ok || p.until.Before(at) {
			at, ok = p.until, true
		}
	}
	return at, ok
}

func into(m map[message.URL]map[*poll]bool, key message.URL, p *poll) {
	if m[key] == nil {
		m[key] = map[*poll]bool{}
	}
	m[key][p] = true
}

func outOf(m map[message.URL]map[*poll]bool, key message.URL, p *poll) {
	if delete(m[key], p); len(m[key]) == 0 {
		delete(m, key)
	}
}

func list(set map[*poll]bool) []*poll {
	all := make([]*poll, 0, len(set))
	for p := range set {
		all = append(all, p)
	}
	return all
}
