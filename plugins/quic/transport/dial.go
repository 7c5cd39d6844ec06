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
	dialPace    = 20 * time.Millisecond  // between the starts of two dials, where handshakes are quick
	dialPaceMax = 250 * time.Millisecond // where they are slow
	dialAgain   = 150 * time.Millisecond // until an address is dialed again, then twice that, and so on
	dialsEach   = 5                      // to one address
	maxLearned  = 8                      // addresses that only a punch showed
	dialGrace   = 3 * time.Second        // after the last candidate failed a punch may still show a way
	maxFailures = 8                      // that an error tells
)

// accepted is the Handler's answer to the token.
const accepted = 1

// requester dials one peer's addresses. All its state belongs to the goroutine in run.
type requester struct {
	t       *Transport
	talk    *talk
	self    *setup
	peer    description
	waiting []netip.AddrPort             // to be dialed, one each dialPace
	dials   map[netip.AddrPort]*attempts // every address that is known
	next    time.Time                    // the earliest start of the next dial
	running int
	learned int
	ended   bool // the peer has no more candidates
	giveUp  time.Time
	results chan result
	failure failures
}

// attempts counts the dials to one address.
type attempts struct {
	count   int
	running int
	last    time.Time
	punched bool // a punch has come from there
	urgent  bool // and has put it in front of those that wait
}

// result is how a dial ended.
type result struct {
	at  netip.AddrPort
	won arrival
	err error
}

// failures are what happened at each address.
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

// request is the Requester's side of a set-up. The caller ends ctx and waits for the talk.
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

// run goes on until a dial has won or none can.
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

// advance starts the next dial if it is time, and says when to come again.
func (r *requester) advance(ctx context.Context, now time.Time) <-chan time.Time {
	for len(r.waiting) > 0 && !now.Before(r.next) {
		at := r.waiting[0]
		r.waiting = r.waiting[1:]
		if known := r.dials[at]; known.count == 0 || known.urgent { // else a punch has had it dialed before its turn
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

// heard takes in what the peer said. Addresses beyond the limit, and those that no datagram may go to, are left out.
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

// punch makes the address that a Handler's punch came from the next to be dialed: its NAT is open for us there. The
// first punch from an address starts another dial beside one that is under way, which may have lost its first packets
// at that NAT and now wait long; later ones only after a dial that has failed. More would help nobody and cost a busy
// machine the handshake that it is about to finish.
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

// dial starts one dial. Its result is always read, by run or by request.
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

// pace is the time between two dials of a set-up: about what a successful one has taken lately. So a quick network or
// machine is asked for no more than it needs, and a slow one is not buried under handshakes that only compete.
func (t *Transport) pace() time.Duration {
	return min(max(time.Duration(t.dialTime.Load()), dialPace), dialPaceMax)
}

// timed takes the time of a successful dial into the running average.
func (t *Transport) timed(d time.Duration) {
	t.dialTime.Store((3*t.dialTime.Load() + int64(d)) / 4) // two at once may lose one: it is only a hint
}

// knock makes a connection to the address and waits to be let in. It leaves nothing behind where it fails.
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

// present shows the token and reads the answer.
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
