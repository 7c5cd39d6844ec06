package hyperty

import (
	"fmt"
	"maps"
	"slices"

	"github.com/protofly/protofly/sdk/message"
)

// receipt is what is kept of a message to tell its poster that it failed.
type receipt struct {
	id       message.ID
	kind     message.Type
	from, to message.URL
	cost     int
	by       *int // see window.by
	track    bool
}

// refuse is the response that says what became of the message: a [message.StateRefused] and so on.
func (r receipt) refuse(state string, err error) message.Message {
	m := message.Message{ID: r.id, Type: r.kind, From: r.from, To: r.to}
	return m.Undelivered(&message.ResponseError{Code: message.CodeUnavailable, State: state, Description: fmt.Sprintf("%s to %s: %v", r.kind, r.to, err)})
}

// sent is the posts of one connection that the runtime has not confirmed. They are added in order and mostly confirmed
// in order: then they are in a list. Those that keep a long list from becoming shorter are put apart.
type sent struct {
	list  []receipt // those that were confirmed have no cost
	head  int       // the first in list that counts
	first uint64    // its number
	apart map[uint64]receipt
	count int
}

// maxList is more than a window has posts.
const maxList = 4096

// add adds the post with the next number.
func (s *sent) add(number uint64, r receipt) {
	switch {
	case s.head == len(s.list):
		s.list, s.head, s.first = s.list[:0], 0, number
	case len(s.list)-s.head >= maxList:
		for i, left := range s.list[s.head:] {
			if left.cost == 0 {
				continue
			}
			if s.apart == nil {
				s.apart = map[uint64]receipt{}
			}
			s.apart[s.first+uint64(i)] = left
		}
		clear(s.list)
		s.list, s.head, s.first = s.list[:0], 0, number
	case len(s.list) == cap(s.list) && s.head > len(s.list)/2:
		n := copy(s.list, s.list[s.head:])
		clear(s.list[n:])
		s.list, s.head = s.list[:n], 0
	}
	s.list = append(s.list, r)
	s.count++
}

// take removes the post with the number, if it is there.
func (s *sent) take(number uint64) (r receipt, ok bool) {
	i := number - s.first
	if number < s.first || i >= uint64(len(s.list)-s.head) {
		if r, ok = s.apart[number]; ok {
			delete(s.apart, number)
			s.count--
		}
		return r, ok
	}
	at := &s.list[s.head+int(i)]
	if at.cost == 0 {
		return receipt{}, false
	}
	r, *at = *at, receipt{}
	s.count--
	for s.head < len(s.list) && s.list[s.head].cost == 0 {
		s.head++
		s.first++
	}
	return r, true
}

// takeAll removes all posts, and returns them in the order of their numbers.
func (s *sent) takeAll() []receipt {
	all := make([]receipt, 0, s.count)
	for _, number := range slices.Sorted(maps.Keys(s.apart)) {
		all = append(all, s.apart[number])
	}
	for _, r := range s.list[s.head:] {
		if r.cost > 0 {
			all = append(all, r)
		}
	}
	*s = sent{}
	return all
}
