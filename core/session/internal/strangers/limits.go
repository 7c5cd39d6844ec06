package strangers

import (
	"hash/maphash"
	"time"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/sdk/message"
)

const (
	// Messages of handshakes that are computed on in a second: about 0.2 ms each.
	handshakesStub     = 64  // by one stub, whatever the others bring
	handshakesAll      = 400 // beyond that, by all stubs together
	handshakesStranger = 16  // of one that there is no session with

	// Of them, those of strangers that have not shown to get what is sent to them: at once, and in a second.
	OpenHandshakes, OpenRate = 128, 32

	maxStubs     = 256 // that have an allowance of their own
	strangerBins = 512 // that strangers share by the hash of their address
)

// allowance is how many messages of handshakes are computed on. Each stub has its own, and there is one more for all of
// them: so frames that come by one path use up nobody else's. The zero value works.
type allowance struct {
	shared *rate.Limiter
	by     map[message.URL]*rate.Limiter // by stub, at most maxStubs; those that have not been used for a second go first
}

func (a *allowance) all() *rate.Limiter {
	if a.shared == nil {
		a.shared = rate.NewLimiter(handshakesAll, handshakesAll)
	}
	return a.shared
}

// take tells whether a message that came by the stub may be computed on.
func (a *allowance) take(stub message.URL, at time.Time) bool {
	own := a.by[stub]
	if own == nil {
		if len(a.by) >= maxStubs {
			for other, l := range a.by {
				if l.TokensAt(at) >= handshakesStub {
					delete(a.by, other)
				}
			}
		}
		if len(a.by) >= maxStubs {
			return a.all().AllowN(at, 1)
		}
		if a.by == nil {
			a.by = make(map[message.URL]*rate.Limiter)
		}
		own = rate.NewLimiter(handshakesStub, handshakesStub)
		a.by[stub] = own
	}
	return own.AllowN(at, 1) || a.all().AllowN(at, 1)
}

// bins limit what one of many strangers may cost without anything that is kept of it: those whose addresses have the same
// hash, which nobody else can compute, share a limit.
type bins struct {
	seed maphash.Seed
	all  [strangerBins]*rate.Limiter
}

func (b *bins) take(remote message.URL, at time.Time) bool {
	if b.seed == (maphash.Seed{}) {
		b.seed = maphash.MakeSeed()
	}
	bin := &b.all[maphash.String(b.seed, string(remote))%strangerBins]
	if *bin == nil {
		*bin = rate.NewLimiter(handshakesStranger, handshakesStranger)
	}
	return (*bin).AllowN(at, 1)
}
