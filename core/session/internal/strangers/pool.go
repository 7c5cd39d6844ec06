package strangers

import (
	"container/list"
	"slices"
	"time"

	"github.com/protofly/protofly/core/session/internal/handshake"
	"github.com/protofly/protofly/core/session/internal/paths"
	"github.com/protofly/protofly/sdk/message"
)

const (
	MaxPending   = 4096            // handshakes with strangers that are remembered
	MaxPendingOf = 4               // of one of them, by one path
	PendingTime  = 5 * time.Second // and for how long
)

// Pending is a handshake with a stranger.
type Pending struct {
	Remote message.URL
	Path   paths.Path
	Local  *handshake.Local
	Offer  *handshake.Offer  // that we, the initiator, have begun
	Answer *handshake.Answer // that we, the responder, have answered

	until time.Duration
	at    *list.Element
}

// pool is the handshakes with strangers. When it is full the path that has most of them loses its oldest. The zero value
// works.
type pool struct {
	by    map[message.URL][]*Pending // at most MaxPendingOf of a runtime by one path
	paths map[paths.Path]*list.List  // of *Pending, the oldest first; none is empty
	count int                        // at most MaxPending
}

func (p *pool) add(one *Pending, now time.Duration) {
	p.expire(now)
	if p.by == nil {
		p.by, p.paths = make(map[message.URL][]*Pending), make(map[paths.Path]*list.List)
	}
	same := 0
	var oldest *Pending
	for _, other := range p.by[one.Remote] {
		if other.Path == one.Path {
			if same++; oldest == nil {
				oldest = other
			}
		}
	}
	if same >= MaxPendingOf {
		p.remove(oldest)
	}
	if p.count >= MaxPending {
		p.evict()
	}
	if p.paths[one.Path] == nil {
		p.paths[one.Path] = list.New()
	}
	one.until = now + PendingTime
	one.at = p.paths[one.Path].PushBack(one)
	p.by[one.Remote] = append(p.by[one.Remote], one)
	p.count++
}

func (p *pool) remove(one *Pending) {
	of := p.paths[one.Path]
	of.Remove(one.at)
	if of.Len() == 0 {
		delete(p.paths, one.Path)
	}
	left := slices.DeleteFunc(p.by[one.Remote], func(other *Pending) bool { return other == one })
	if len(left) == 0 {
		delete(p.by, one.Remote)
	} else {
		p.by[one.Remote] = left
	}
	p.count--
}

// evict makes room for one.
func (p *pool) evict() {
	var most *list.List
	for _, of := range p.paths {
		if most == nil || of.Len() > most.Len() {
			most = of
		}
	}
	p.remove(most.Front().Value.(*Pending))
}

// expire forgets handshakes that have not ended in time.
func (p *pool) expire(now time.Duration) {
	for _, of := range p.paths {
		for e := of.Front(); e != nil && now >= e.Value.(*Pending).until; e = of.Front() {
			p.remove(e.Value.(*Pending))
		}
	}
}

// of lists the handshakes with a runtime for which want is true.
func (p *pool) of(remote message.URL, want func(*Pending) bool) (list []*Pending) {
	for _, one := range p.by[remote] {
		if want(one) {
			list = append(list, one)
		}
	}
	return list
}

// forget drops all handshakes with a runtime: one of them has ended.
func (p *pool) forget(remote message.URL) {
	for _, one := range slices.Clone(p.by[remote]) {
		p.remove(one)
	}
}
