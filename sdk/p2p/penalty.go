package p2p

import (
	"errors"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// ErrBroken is in the error of a [Channel], or of [Transport.Connect], whose peer has broken the transport's protocol: which no
// sound peer does, whatever the network does. The Handler refuses that peer's runtime for a while then.
var ErrBroken = errors.New("the peer broke the protocol")

// How long a runtime is refused that broke the protocol: twice as long as the time before, until it has kept to it for long.
const (
	firstPenalty = 5 * time.Second
	mostPenalty  = 5 * time.Minute
	penaltyKept  = 10 * time.Minute // after the last one's end
	maxPenalties = 1024             // runtimes; the one that is free first makes room
)

// penalties are of the runtimes that broke the protocol, by canonical URL. The zero value is ready. It is told what happened
// and when, and has no lock.
type penalties struct {
	of map[message.URL]penalty
}

type penalty struct {
	lasts time.Duration
	until time.Time
}

// add enters that a runtime broke the protocol.
func (p *penalties) add(remote message.URL, now time.Time) {
	last, known := p.of[remote]
	if now.Sub(last.until) > penaltyKept {
		last = penalty{}
	}
	if !known && len(p.of) >= maxPenalties {
		p.drop(now)
	}
	if p.of == nil {
		p.of = make(map[message.URL]penalty)
	}
	lasts := min(max(2*last.lasts, firstPenalty), mostPenalty)
	p.of[remote] = penalty{lasts, now.Add(lasts)}
}

// drop makes room for one.
func (p *penalties) drop(now time.Time) {
	var first message.URL
	for remote, one := range p.of {
		if now.Sub(one.until) > penaltyKept {
			delete(p.of, remote)
		} else if first == "" || one.until.Before(p.of[first].until) {
			first = remote
		}
	}
	if len(p.of) >= maxPenalties {
		delete(p.of, first)
	}
}

// left is for how long a runtime is refused.
func (p *penalties) left(remote message.URL, now time.Time) time.Duration {
	return max(0, p.of[remote].until.Sub(now))
}
