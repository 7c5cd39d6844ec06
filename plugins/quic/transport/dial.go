package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/sdk/p2p"
)

const (
	dialPace    = 20 * time.Millisecond  // pause between the starts of two dials, if handshakes are quick
	dialPaceMax = 250 * time.Millisecond // the same if they are slow
	dialAgain   = 150 * time.Millisecond // pause until an address is dialed again; it doubles each time
	dialsEach   = 5                      // dials to one address
	maxLearned  = 8                      // addresses that were learned from punches only
	dialGrace   = 3 * time.Second        // how long to wait for a punch after the last candidate has failed
	maxFailures = 8                      // failures that an error lists
)

// accepted is the Handler's answer to the token.
const accepted = 1

// requester dials one peer's addresses. All its state belongs to the goroutine in run.
type requester struct {
	t       *Transport
	talk    *talk
	self    *setup
	peer    description
	waiting []netip.AddrPort             // addresses to dial, one in each pause
	dials   map[netip.AddrPort]*attempts // by address, all that are known
	next    time.Time                    // the earliest start of the next dial
	running int
	learned int
	ended   bool // the peer sends no more candidates
	giveUp  time.Time
	results chan result
	failure failures
}

// attempts counts the dials to one address.
type attempts struct {
	count   int
	running int
	last    time.Time
	punched bool // a punch has come from this address
	urgent  bool // that punch has moved it to the front of waiting
}

// result is the result of a dial.
type result struct {
	at  netip.AddrPort
	won arrival
	err error
}

// failures are the errors of the addresses.
type failures []error

func (f failures) Error() string {
	if len(f) == 0 {
		return "no address of the peer could be tried"
	}
	texts := make([]string, len(f))
	for i, err := range f {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (f failures) Unwrap() []error { return f }

// request is the Requester's side of a set-up. The caller ends ctx and waits for the signalling's goroutines.
func (t *Transport) request(ctx context.Context, talk *talk) (arrival, error) {
	r := &requester{
		t: t, talk: talk,
		self:    &setup{role: p2p.Requester, punched: make(chan netip.AddrPort, 4)},
		dials:   make(map[netip.AddrPort]*attempts),
		results: make(chan result),
	}
	name := newToken()
	defer t.register(name.punched(), r.self)()
	talk.speak(ctx, name)
	talk.listen(ctx)
	dialing, cancel := context.WithCancel(ctx)
	won, err := r.run(dialing)
	cancel()
	for ; r.running > 0; r.running-- {
		if late := <-r.results; late.err == nil {
			late.won.close(codeSuperseded, "another connection was first")
		}
	}
	return won, err
}

// run dials until a dial has succeeded or none can succeed any more.
func (r *requester) run(ctx context.Context) (arrival, error) {
	for {
		wake := r.advance(ctx, time.Now())
		select {
		case n := <-r.talk.news:
			r.heard(n)
		case at := <-r.self.punched:
			r.punch(at, time.Now())
		case done := <-r.results:
			r.running--
			r.dials[done.at].running--
			if done.err == nil {
				return done.won, nil
			}
			r.t.log.Debug("a dial failed", "address", done.at, "error", done.err)
			if len(r.failure) < maxFailures {
				r.failure = append(r.failure, fmt.Errorf("%s: %w", done.at, done.err))
			}
		case err := <-r.talk.failed:
			return arrival{}, err
		case <-wake:
			if !r.giveUp.IsZero() && !time.Now().Before(r.giveUp) {
				return arrival{}, r.failure
			}
		case <-ctx.Done():
			return arrival{}, fmt.Errorf("%w (%w)", context.Cause(ctx), r.failure)
		}
	}
}

// advance starts the next dial if it is due, and returns a channel that says when to call it again.
func (r *requester) advance(ctx context.Context, now time.Time) <-chan time.Time {
	for len(r.waiting) > 0 && !now.Before(r.next) {
		at := r.waiting[0]
		r.waiting = r.waiting[1:]
		if known := r.dials[at]; known.count == 0 || known.urgent { // else it was dialed before its turn, because of a punch
			r.dial(ctx, at, now)
		}
	}
	if len(r.waiting) > 0 {
		return time.After(r.next.Sub(now))
	}
	if r.running > 0 || !r.ended {
		r.giveUp = time.Time{}
		return nil
	}
	if r.giveUp.IsZero() {
		r.giveUp = now.Add(dialGrace)
	}
	return time.After(r.giveUp.Sub(now))
}

// heard handles a signal of the peer. It leaves out addresses beyond the limit, and those that may not be sent to.
func (r *requester) heard(n news) {
	found := []candidate{n.candidate}
	if n.description != nil {
		r.peer = *n.description
		found = r.peer.candidates
	}
	for _, c := range found {
		if c.kind == typeEnd {
			r.ended = true
			continue
		}
		if r.dials[c.address] == nil && r.talk.aims.add(c.address) {
			r.dials[c.address] = &attempts{}
			r.waiting = append(r.waiting, c.address)
		}
	}
}

// punch makes the address that a Handler's punch came from the next one to dial: the Handler's NAT is open for us there. The
// first punch from an address starts another dial even if one is in progress: that one may have lost its first packets
// at the NAT, and now waits long for its retransmission. Later punches only start a dial after a failed one, since more dials
// would only slow down a handshake that is in progress on a busy machine.
func (r *requester) punch(at netip.AddrPort, now time.Time) {
	if r.peer.certificate == (hash{}) {
		return
	}
	known := r.dials[at]
	if known == nil {
		if r.learned == maxLearned || !r.talk.aims.add(at) {
			return
		}
		r.learned++
		known = &attempts{}
		r.dials[at] = known
	}
	useful := known.count == 0
	if known.count > 0 && known.count < dialsEach && (known.running == 0 || !known.punched) {
		useful = now.Sub(known.last) >= dialAgain<<(known.count-1)
	}
	known.punched = true
	if useful && !known.urgent {
		known.urgent = true
		r.waiting = slices.Insert(r.waiting, 0, at)
	}
}

// dial starts one dial. run or request always reads its result.
func (r *requester) dial(ctx context.Context, at netip.AddrPort, now time.Time) {
	known := r.dials[at]
	known.count++
	known.running++
	known.last, known.urgent = now, false
	r.next = now.Add(r.t.pace())
	r.running++
	peer := r.peer
	go func() {
		won, err := r.t.knock(ctx, at, peer)
		switch {
		case err == nil:
			r.t.timed(time.Since(now))
		case r.t.gate.starved(at):
			err = fmt.Errorf("%w: %w", errBudget, err)
		}
		r.results <- result{at: at, won: won, err: err}
	}()
}

// pace returns the pause between two dials of a set-up: about the time that successful dials have taken lately. So a
// slow machine or network is not loaded with handshakes that slow down each other.
func (t *Transport) pace() time.Duration {
	return min(max(time.Duration(t.dialTime.Load()), dialPace), dialPaceMax)
}

// timed adds the time of a successful dial to the running average.
func (t *Transport) timed(d time.Duration) {
	t.dialTime.Store((3*t.dialTime.Load() + int64(d)) / 4) // not atomic as a whole: a lost update does not matter
}

// knock makes a connection to the address and waits until the Handler accepts it. If it fails it leaves nothing behind.
func (t *Transport) knock(ctx context.Context, at netip.AddrPort, peer description) (arrival, error) {
	conn, err := t.quic.Dial(ctx, net.UDPAddrFromAddrPort(at), t.clientTLS(peer.certificate, peer.token), t.alive.connectionConfig(dialTimeout, -1))
	if err != nil {
		return arrival{}, err
	}
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		_ = conn.CloseWithError(codeAbandoned, "no stream")
		return arrival{}, fmt.Errorf("open the stream: %w", err)
	}
	won := arrival{conn: conn, stream: stream}
	stop := context.AfterFunc(ctx, func() { won.close(codeAbandoned, "the set-up is over") })
	err = t.present(won, peer.token)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		won.close(codeAbandoned, "not let in")
		return arrival{}, err
	}
	return won, nil
}

// present sends the token and reads the answer.
func (t *Transport) present(a arrival, name token) error {
	if _, err := a.stream.Write(name[:]); err != nil {
		return fmt.Errorf("send the token: %w", err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(a.stream, answer[:]); err != nil {
		return fmt.Errorf("wait to be let in: %w", err)
	}
	if answer[0] != accepted {
		return errors.New("the Handler's answer is not of this protocol")
	}
	return nil
}
