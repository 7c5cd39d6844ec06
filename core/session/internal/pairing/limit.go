package pairing

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/sdk/message"
)

const (
	maxStubs   = 8                     // by which a remote runtime's hellos are counted apart
	handshakes = 64                    // messages of one that are computed on in a second, by one stub: about 0.2 ms each
	strangeMin = 50 * time.Millisecond // between two hellos because of what anybody can have sent; doubles
)

// limit is what may come by one stub in the name of a remote runtime that there is a session with, before it is proven.
type limit struct {
	stub       message.URL
	handshakes *rate.Limiter
	at         time.Duration // when something that anybody can have sent made us act
	wait       time.Duration // how long nothing does after it
}

// limits are those of one remote runtime; at most maxStubs, the newest last. The zero value works.
type limits []*limit

// of is the limit of a stub.
func (all *limits) of(stub message.URL) *limit {
	for _, l := range *all {
		if l.stub == stub {
			return l
		}
	}
	l := &limit{stub: stub, handshakes: rate.NewLimiter(handshakes, handshakes)}
	if len(*all) >= maxStubs {
		*all = append((*all)[:0], (*all)[1:]...)
	}
	*all = append(*all, l)
	return l
}

// disturbs tells whether something that anybody can have sent may make us act now, and then, until a handshake ends with
// another peer, ever more seldom, at most after the pause most: so a path that cheats cannot keep us from work, and what comes
// by other paths is not held back by it.
func (l *limit) disturbs(most, now time.Duration) bool {
	if l.at != 0 && now < l.at+l.wait {
		return false
	}
	if l.at == 0 || now > l.at+4*most {
		l.wait = strangeMin / 2
	}
	l.at, l.wait = now, min(2*l.wait, most)
	return true
}
