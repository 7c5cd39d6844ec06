package session

import (
	"fmt"
	"time"

	"github.com/protofly/protofly/core/session/internal/sender"
	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// poster is one Post that waits for credit or room. Whoever makes room takes its message for it.
type poster struct {
	posted
	message message.Message
	path    Path
	taken   chan struct{} // closed when the message is in the ring
}

// Cost is what the message counts for.
func (p *poster) Cost() int { return p.cost }

// posted is what the session has to know of a message that is to enter the ring, besides the message.
type posted struct {
	cost    int
	watched bool
}

// mayEnter tells whether a message to d of that cost may enter the ring at once, before nobody else's.
func (m *machine) mayEnter(d *sender.Destination, cost int) bool {
	return m.send.MayEnter(d, cost) && m.total.Fits(cost)
}

// switches tells whether a message that is posted with path is to go by another one than is in use.
func (m *machine) switches(path *Path) bool { return !path.IsZero() && !m.paths.Uses(*path) }

// needsTime tells whether take has to know what time it is. Where the pump is awake that says when the message expires: to look
// at the clock takes as long as much of the rest.
func (m *machine) needsTime(switches bool) bool { return switches || !m.turn.Awake() }

// take puts the message into the ring; the caller has it sent. switches: the message goes by another path than is in use. now may
// be 0 where needsTime allows that.
func (m *machine) take(d *sender.Destination, path *Path, switches bool, msg *message.Message, p posted, now time.Duration) {
	var due time.Duration
	if now != 0 {
		due = m.send.Expiry(now)
	}
	if switches {
		m.send.AnnounceAgain() // the peer may have forgotten what it heard on a path that it does not keep addresses for
	}
	if m.o.Claims.Announced != nil {
		if c, needed := m.send.Announce(msg); needed {
			m.claim(c, due)
		}
	}
	m.total.Sent(m.send.Push(d, msg, p.cost, p.watched, due))
	if switches && m.paths.MayUse(*path, now) {
		m.paths.Told(*path)
		m.moveTo(*path, now)
	}
}

// byDirect is 1 where a message that was posted with path goes by a direct one.
func (m *machine) byDirect(path *Path) int {
	if path.IsZero() && m.paths.Used().Direct || path.Direct {
		return 1
	}
	return 0
}

// unused has the pump run once more in a session that was made for a message which has not entered it: a session that has never
// had a peer is forgotten where the pump ends, and nowhere else.
func (m *machine) unused() {
	if m.pair.Peer() == 0 && !m.turn.Running() {
		m.poke()
	}
}

// behind is the error of a post that has waited in vain: why says for how long.
func (m *machine) behind(d *sender.Destination, why error) error {
	return fmt.Errorf("%w: %s: %w", ErrBackpressure, m.send.Behind(d), why)
}

// givesUp is the end of waiting of a poster, because of why. It is nil where its message was taken meanwhile.
func (m *machine) givesUp(d *sender.Destination, w *poster, why error, now time.Duration) error {
	select {
	case <-w.taken:
		return nil
	default:
	}
	if why != ErrClosed {
		why = m.behind(d, why)
	}
	m.send.StopWaiting(d, w)
	m.admit(now)
	m.unused()
	return why
}

// admit takes the messages of posters that wait, as far as there are credit and room: of each destination in turn, and of
// each in the order of the calls.
func (m *machine) admit(now time.Duration) {
	if m.closed || m.gone {
		return
	}
	m.send.Full(false)
	for at := 0; ; {
		next, place, ok := m.send.Next(at)
		if !ok {
			break
		}
		if at = place; !m.fits(next.Cost()) {
			m.hunger(true)
			if !m.fits(next.Cost()) { // nor has the total shrunk before it was known that we wait for that
				m.send.Full(true)
				return
			}
		}
		d, w := m.send.Serve(place), next.(*poster)
		path := w.path
		m.count.posted[m.byDirect(&path)]++
		if !m.paths.None() {
			path = Path{} // the best one when it came; it may be none any more
		}
		m.take(d, &path, m.switches(&path), &w.message, w.posted, now)
		m.poke()
		close(w.taken)
	}
	m.hunger(false)
}

// hunger notes whether posters wait for room in the total.
func (m *machine) hunger(on bool) {
	if m.hungry != on {
		m.hungry = on
		m.total.Starve(m.space, on)
	}
}

// fits tells whether a message of that cost may enter the ring. A single message always may.
func (m *machine) fits(cost int) bool { return m.send.Fits(cost) && m.total.Fits(cost) }

// claim tells the peer what is behind the messages that were posted so far.
func (m *machine) claim(c wire.Claim, due time.Duration) {
	m.total.Sent(m.send.PushRecord(c.Record(), due))
}

// lately is how long ago the peer was heard of to whom an end is told: nobody else has messages under way, and what a
// runtime remembers without a connection expires.
const lately = time.Minute

// endAddress takes the announcement of an address back, behind the messages that were posted from there.
func (m *machine) endAddress(address message.URL, now time.Duration) {
	if !m.send.EndAddress(address) || m.gone || m.closing || m.pair.Peer() == 0 {
		return
	}
	c := wire.Claim{Address: address, Ended: true}
	if now-m.heardAt() > lately || !m.fits(wire.Cost(uint64(len(c.Record())+1), 1)) {
		return
	}
	m.claim(c, m.send.Expiry(now))
	m.poke()
}

// given reports messages that were given up.
func (m *machine) given(d sender.Dropped, kind EventKind, why string, now time.Duration) {
	m.lost(d.Sent, Event{Kind: kind, MayHaveArrived: true, Why: why})
	m.lost(d.Unsent, Event{Kind: kind, Why: why})
	m.freed(d.Freed, d.Reports, now)
}

// abandon reports and drops what was not taken when everything has ended. It returns how many messages were not even
// acknowledged.
func (m *machine) abandon(now time.Duration) int {
	n := m.send.Unacked()
	m.given(m.send.DropAll(), Closed, "this runtime ends", now)
	m.send.Rest()
	return n
}

// lost tells e of the messages, where there are any.
func (m *machine) lost(list []message.Message, e Event) {
	if len(list) == 0 {
		return
	}
	e.Path, e.Messages = m.paths.Used(), list
	for i := range list {
		e.IDs = append(e.IDs, list[i].ID)
	}
	m.event(e)
}

// freed lets those in who wait for what was given back.
func (m *machine) freed(cost int, reports bool, now time.Duration) {
	if reports {
		m.tell.Hurry()
	}
	m.total.Freed(cost)
	m.admit(now)
}

// reported takes a record of the peer that may say what became of our messages.
func (m *machine) reported(record []byte, now time.Duration) {
	r, ok := m.send.Reported(record, m.pair.Own())
	if !ok {
		return
	}
	if r.Impossible {
		m.count.dropped++
	}
	m.lost(r.Watched, Event{Kind: Settled, Code: r.Code})
	m.lost(r.Refused, Event{Kind: Rejected, Code: r.Code, Why: r.Why})
	m.freed(r.Freed, false, now)
}

// owes looks at what listeners have settled: at once where it is much.
func (m *machine) owes(much bool, now time.Duration) {
	if much || m.closing {
		m.tell.Hurry()
		m.poke()
	} else if due := m.tell.Owe(now); due != 0 {
		m.pokeAt(due)
	}
}

// collect takes what was settled off what waits here, and makes reports of it as far as they may be sent now.
func (m *machine) collect(now time.Duration) {
	m.tell.Told()
	cost := m.ledger.Collect()
	for m.tell.MayTell() && m.pair.Peer() != 0 && m.send.MayReport() {
		record, ok := m.ledger.Report(m.pair.Peer())
		if !ok {
			break
		}
		m.total.Sent(m.send.PushRecord(record, m.send.Expiry(now)))
	}
	m.ledger.Room(m.o.InboxBytes - m.recv.Cost() + cost)
	m.taken(cost)
}

// taken takes what was settled off what waits here, and tells the peer when much room has come back.
func (m *machine) taken(cost int) {
	m.total.Came(-cost)
	if m.recv.Settled(cost, m.total.Full()) {
		m.poke()
	}
}

// tellAgain takes reports that were given up back: they are made again when the peer is heard of.
func (m *machine) tellAgain(records [][]byte) {
	if m.ledger.GiveBack(records, m.pair.Peer()) {
		m.tell.Hold()
	}
}

// newLedger forgets what is owed to the peer's last life. Its messages that are here go on to their listeners.
func (m *machine) newLedger(now time.Duration) {
	m.tell.Hold() // nothing of this goes to the new life
	m.collect(now)
	m.ledger = m.ledger.Next(m.o.InboxBytes)
	m.tell.Release()
}
