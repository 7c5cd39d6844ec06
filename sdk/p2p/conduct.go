package p2p

import (
	"errors"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// ErrBroken is wrapped by the error of a [Channel], or of [Transport.Connect], if the peer has broken the transport's protocol,
// as no correct peer does, whatever happens in the network. The Handler then refuses that peer's runtime for a while.
var ErrBroken = errors.New("the peer broke the protocol")

// A runtime that broke the protocol is refused for firstPenalty, and for twice as long each further time. After penaltyKept without
// a fault it begins at firstPenalty again.
const (
	firstPenalty = 5 * time.Second
	mostPenalty  = 5 * time.Minute
	penaltyKept  = 10 * time.Minute // after the last one's end
)

// What a runtime's set-ups cost it, in points. It gets most of them back when the connection is live. A set-up costs this
// runtime some milliseconds of its processors, which others' messages wait for.
const (
	setupCost    = 4  // of a set-up
	setupRefund  = 3  // of one that was live, or that the registry refused
	mostSpent    = 40 // at once
	spentASecond = 3  // points that are forgiven
)

const maxConducts = 1024 // runtimes

// conducts is how runtimes have behaved, by canonical URL. The zero value is ready. Callers give it the time; it has no lock.
type conducts struct {
	of map[message.URL]conduct
}

// conduct is how one runtime has behaved. A runtime that is not in the table has the zero value.
type conduct struct {
	penalty time.Duration // the last one's length
	until   time.Time     // its end
	spent   float64       // points
	at      time.Time     // when spent was computed
}

// spentAt returns the points that are not forgiven at now.
func (c *conduct) spentAt(now time.Time) float64 {
	return max(0, c.spent-spentASecond*now.Sub(c.at).Seconds())
}

// blank tells whether the runtime need not be remembered.
func (c *conduct) blank(now time.Time) bool {
	return now.Sub(c.until) > penaltyKept && c.spentAt(now) == 0
}

// punish enters that a runtime broke the protocol.
func (c *conducts) punish(remote message.URL, now time.Time) {
	one := c.of[remote]
	if now.Sub(one.until) > penaltyKept {
		one.penalty = 0
	}
	one.penalty = min(max(2*one.penalty, firstPenalty), mostPenalty)
	one.until = now.Add(one.penalty)
	c.put(remote, one, now)
}

// punished returns for how long a runtime is still refused because it broke the protocol.
func (c *conducts) punished(remote message.URL, now time.Time) time.Duration {
	return max(0, c.of[remote].until.Sub(now))
}

// begin charges a runtime for a set-up. It returns for how long it must wait first; then nothing is charged.
func (c *conducts) begin(remote message.URL, now time.Time) time.Duration {
	one := c.of[remote]
	spent := one.spentAt(now) + setupCost
	if spent > mostSpent {
		return time.Duration((spent - mostSpent) / spentASecond * float64(time.Second))
	}
	one.spent, one.at = spent, now
	c.put(remote, one, now)
	return 0
}

// refund gives a runtime back most of what a set-up cost, because it became live or the registry refused it.
func (c *conducts) refund(remote message.URL, now time.Time) {
	if one, known := c.of[remote]; known {
		one.spent, one.at = max(0, one.spentAt(now)-setupRefund), now
		c.of[remote] = one
	}
}

// put enters a runtime; where there are too many, those that need not be remembered make room, or the one that would be free
// first.
func (c *conducts) put(remote message.URL, one conduct, now time.Time) {
	if _, known := c.of[remote]; !known && len(c.of) >= maxConducts {
		c.drop(now)
	}
	if c.of == nil {
		c.of = make(map[message.URL]conduct)
	}
	c.of[remote] = one
}

func (c *conducts) drop(now time.Time) {
	var first message.URL
	sooner := func(a, b conduct) bool {
		if !a.until.Equal(b.until) {
			return a.until.Before(b.until)
		}
		return a.spentAt(now) < b.spentAt(now)
	}
	for remote, one := range c.of {
		if one.blank(now) {
			delete(c.of, remote)
		} else if first == "" || sooner(one, c.of[first]) {
			first = remote
		}
	}
	if len(c.of) >= maxConducts {
		delete(c.of, first)
	}
}
