package sender

import (
	"fmt"
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

const (
	firstRoom   = 64 << 10 // bytes sent before the peer has said what it takes
	maxReported = 64 << 10 // cost of the reports that may be unacknowledged; more wait and are put together
	maxInbox    = 1 << 40  // of a peer, so that sums cannot overflow
	recordCost  = 64       // what a record of an outstanding message is counted with
)

// Options bound what a sender keeps and packs.
type Options struct {
	RingBytes  int           // messages that are not acknowledged
	FrameBytes int           // messages in one frame, unless one alone is larger
	InboxBytes int           // of the peer's inbox, before it has said how large that is
	TTL        time.Duration // how long a message may stay unacknowledged; at most 0: for ever
}

// Sender is what is sent to one remote runtime. It numbers messages and keeps them until they are acknowledged; it says
// which may enter, which come next, and which have expired. Of those that are acknowledged it keeps a record until they
// are known to be taken.
type Sender struct {
	o       Options
	ring    ring
	out     outstanding
	told    addresses
	gen     uint64 // the generation: rises each time that sending goes back
	cursor  uint64 // the number that is sent next; it goes back to ring.base in a new generation
	sent    uint64 // one above the highest number ever sent to this peer
	room    uint64 // bytes from ring.base on that the peer takes
	inboxOf uint64 // bytes that the peer's inbox takes in all, 0: not known yet
	rewinds uint64
}

// New is a sender that begins with number 1 and has sent nothing.
func New(o Options) Sender {
	return Sender{o: o, ring: newRing(), gen: 1, cursor: 1, sent: 1}
}

// To finds or makes the destination of m.
func (s *Sender) To(key wire.Key) *Destination { return s.out.at(key) }

// Forget drops a destination that nothing is on the way to and nobody waits for.
func (s *Sender) Forget(d *Destination) { s.out.leave(d) }

// MayEnter tells whether a message to d of that cost may enter the ring before those that wait.
func (s *Sender) MayEnter(d *Destination, cost int) bool {
	return !s.out.full && len(d.waiters) == 0 && s.out.credit(d, cost, s.peerInbox()) && s.Fits(cost)
}

// Fits tells whether the ring has room for a message of that cost. A single message always fits.
func (s *Sender) Fits(cost int) bool {
	used := s.ring.cost() - s.ring.reported
	return used == 0 || used+cost <= s.o.RingBytes
}

// peerInbox is how much the peer's inbox takes in all, as far as we know.
func (s *Sender) peerInbox() int {
	if s.inboxOf == 0 {
		return s.o.InboxBytes
	}
	return int(min(s.inboxOf, maxInbox))
}

// Expiry is when what enters the ring at that time is given up; 0: never.
func (s *Sender) Expiry(now time.Duration) time.Duration {
	if s.o.TTL > 0 {
		return now + s.o.TTL
	}
	return 0
}

// Push gives m the next number, and says what that takes of the total of all sessions. due is 0 where [Sender.Date] says
// it later.
func (s *Sender) Push(d *Destination, m *message.Message, cost int, watched bool, due time.Duration) (total int) {
	s.out.add(d, record{number: s.ring.next, id: m.ID, from: m.From, cost: uint32(cost), kind: m.Type, watched: watched})
	s.ring.push(m, due)
	return cost + recordCost
}

// PushRecord is Push for a record of the session itself.
func (s *Sender) PushRecord(b []byte, due time.Duration) (total int) {
	s.ring.pushRecord(b, due)
	return wire.Cost(uint64(len(b)+1), 1)
}

// Date has everything that was pushed without a time expire as if it had been pushed now.
func (s *Sender) Date(now time.Duration) { s.ring.date(s.Expiry(now)) }

// MayReport tells whether another report may be pushed.
func (s *Sender) MayReport() bool { return s.ring.reported < maxReported }

// Empty tells whether everything is acknowledged, records of the session included.
func (s *Sender) Empty() bool { return s.ring.empty() }

// Unacked is how many messages are not acknowledged.
func (s *Sender) Unacked() int { return s.ring.unacked() }

// Outstanding is how many messages are not known to be taken.
func (s *Sender) Outstanding() int { return s.out.live }

// Untaken tells whether messages are acknowledged that are not known to be taken.
func (s *Sender) Untaken() bool { return s.out.live > s.ring.unacked() }

// Unsent tells whether something was not sent yet in this generation.
func (s *Sender) Unsent() bool { return s.cursor < s.ring.next }

// MaySend tells whether something may be sent now: there is something, and the peer has room for it.
func (s *Sender) MaySend() bool {
	return s.cursor != s.ring.next && uint64(s.ring.costTo(s.cursor)) < s.room
}

// Single tells whether one message is all that is not sent yet, and whether it is all that is not acknowledged.
func (s *Sender) Single() (last, only bool) {
	return s.cursor+1 == s.ring.next, s.cursor == s.ring.base
}

// Due is when the first message expires; 0: never.
func (s *Sender) Due() time.Duration {
	if s.ring.empty() {
		return 0
	}
	return s.ring.entry(s.ring.base).due
}

// PackSize is about how many bytes Pack appends.
func (s *Sender) PackSize() int {
	return max(s.ring.complete(s.cursor), min(int(s.ring.texts.tail-s.ring.text(s.cursor)), s.o.FrameBytes))
}

// Pack appends what is sent next to b: as much as a frame takes.
func (s *Sender) Pack(b []byte) []byte {
	b, s.cursor = s.ring.pack(b, s.cursor, s.o.FrameBytes, s.room)
	s.sent = max(s.sent, s.cursor)
	return b
}

// Fields fills in what a frame says of the sender: Pack has not been called for it yet.
func (s *Sender) Fields(f *wire.Fields) { f.Gen, f.Base, f.First = s.gen, s.ring.base, s.cursor }

// Position is where a sender is.
type Position struct{ gen, cursor uint64 }

// Position is what GoBack wants to know.
func (s *Sender) Position() Position { return Position{s.gen, s.cursor} }

// GoBack takes back what was packed since then, unless it has gone back already, or it was given up.
func (s *Sender) GoBack(to Position) {
	if s.gen == to.gen && s.ring.base <= to.cursor {
		s.cursor = to.cursor
	}
}

// Rewind starts a new generation at the first message that is not acknowledged.
func (s *Sender) Rewind() {
	if s.cursor > s.ring.base {
		s.rewinds++
	}
	s.gen++
	s.cursor = s.ring.base
}

// Restart is Rewind for another incarnation of the peer, which was sent nothing and has not said what it takes.
func (s *Sender) Restart() {
	s.Rewind()
	s.sent, s.room = s.ring.base, firstRoom
}

// Acked is what a frame of the peer has changed.
type Acked struct {
	Progress bool // messages are acknowledged
	Freed    int  // of the total of all sessions
	Reports  bool // reports may be pushed again that had to wait
	Credit   bool // the peer's inbox is another than was known
	Opened   bool // the peer has room for what waits
}

// Possible tells whether the numbers in a frame of the peer can be: nobody has what was not sent.
func (s *Sender) Possible(f *wire.Fields) bool { return f.Next <= s.sent && f.Seen <= s.gen }

// Acknowledged takes what a frame of the peer says about our messages; it is possible.
func (s *Sender) Acknowledged(f *wire.Fields) (a Acked) {
	if f.Next < s.ring.base && f.Room <= s.room {
		return a // old, or we have given up what it expects
	}
	if f.Next > s.ring.base {
		a.Progress = true
		a.Freed, a.Reports = s.release(f.Next)
	}
	a.Opened = f.Room > s.room && s.cursor < s.ring.next
	s.room = f.Room
	if f.Inbox != s.inboxOf && f.Inbox > 0 {
		s.inboxOf, a.Credit = f.Inbox, true
	}
	return a
}

// Asked tells whether a wish to send again is for the generation that is being sent; else it has been met already.
func (s *Sender) Asked(gen uint64) bool { return gen == s.gen }

// release forgets the messages below n, and says what that gives back to the total of all sessions.
func (s *Sender) release(n uint64) (freed int, reports bool) {
	reports = !s.MayReport()
	freed = s.ring.release(n)
	s.cursor, s.sent = max(s.cursor, n), max(s.sent, n)
	return freed, reports
}

// Dropped is messages that a sender has given up, without their bodies.
type Dropped struct {
	Sent, Unsent []message.Message // by whether the peer may have them
	Records      [][]byte          // of the session itself, that are not acknowledged
	Freed        int               // of the total of all sessions
	Reports      bool              // reports may be pushed again that had to wait
}

// DropExpired gives up the messages whose time is over. They are the first in the ring: all have the same time to live.
func (s *Sender) DropExpired(now time.Duration) (d Dropped, any bool) {
	n := s.ring.base
	for n < s.ring.next {
		if due := s.ring.entry(n).due; due == 0 || now < due {
			break
		}
		n++
	}
	if n == s.ring.base {
		return d, false
	}
	d.Records = s.ring.own(s.ring.base, n)
	s.told.forget()
	s.drop(&d, s.ring.base, n)
	return d, true
}

// DropAcknowledged gives up the messages that are acknowledged and not known to be taken.
func (s *Sender) DropAcknowledged() (d Dropped) {
	s.drop(&d, 0, s.ring.base)
	return d
}

// DropSent gives up the messages that the peer may have, acknowledged or not.
func (s *Sender) DropSent() (d Dropped) {
	s.drop(&d, 0, s.sent)
	return d
}

// DropAll gives up everything.
func (s *Sender) DropAll() (d Dropped) {
	s.drop(&d, 0, s.ring.next)
	return d
}

// drop gives up the messages from number a up to b that are outstanding.
func (s *Sender) drop(d *Dropped, a, b uint64) {
	before := s.out.live
	s.out.done(a, b, func(r *record) {
		if r.number < s.sent {
			d.Sent = append(d.Sent, r.message())
		} else {
			d.Unsent = append(d.Unsent, r.message())
		}
	})
	d.Freed = (before - s.out.live) * recordCost
	if b > s.ring.base {
		freed, reports := s.release(b)
		d.Freed, d.Reports = d.Freed+freed, reports
	}
}

// Announce is the claim that has to be pushed in front of m, because the peer has not been told of the address that m is from.
func (s *Sender) Announce(m *message.Message) (c wire.Claim, needed bool) { return s.told.announce(m) }

// AnnounceAgain has every address announced again: the peer may not have it, or not any more.
func (s *Sender) AnnounceAgain() { s.told.forget() }

// ForgetAnnounced is AnnounceAgain for another session of the peer, which has to be told of the end of none.
func (s *Sender) ForgetAnnounced() { s.told = addresses{} }

// EndAddress forgets an address that was announced. It is false where the peer was not told of it.
func (s *Sender) EndAddress(address message.URL) bool { return s.told.end(address) }

// Rest gives back the memory of what is not needed now.
func (s *Sender) Rest() {
	if s.ring.empty() {
		s.ring.free()
	}
	s.out.rest()
}

// Behind says what a message to d waits for.
func (s *Sender) Behind(d *Destination) string {
	if d.count > 0 && !s.out.credit(d, 1, s.peerInbox()) {
		return fmt.Sprintf("%s has not taken %d messages that it was sent (%d bytes); its runtime has room for others", d.URL, d.count, d.cost)
	}
	return fmt.Sprintf("%d messages to that runtime are not acknowledged (%d bytes), %s", s.ring.next-s.ring.base, s.ring.cost(), d.URL)
}

// Stats is the sender's part of a session's State.
func (s *Sender) Stats() (generation, rewinds uint64, bytes int) {
	return s.gen, s.rewinds, s.ring.cost()
}

// HeldUp calls f for each destination that is behind and that posters wait for.
func (s *Sender) HeldUp(f func(to message.URL, messages, bytes, posters int)) {
	for _, d := range s.out.ready {
		if d.count > 0 {
			f(d.URL, d.count, d.cost, len(d.waiters))
		}
	}
}

// Check says which of the sender's numbers cannot be; nil: none.
func (s *Sender) Check() error {
	switch r := &s.ring; {
	case r.base > s.sent || s.cursor < r.base || s.sent > r.next || s.cursor > r.next:
		return fmt.Errorf("base %d, cursor %d, sent %d, next %d", r.base, s.cursor, s.sent, r.next)
	case s.out.live < r.unacked() || r.records < 0 || r.reported < 0:
		return fmt.Errorf("%d outstanding, %d not acknowledged, %d records that count %d", s.out.live, r.unacked(), r.records, r.reported)
	}
	return nil
}

// Memory is how many bytes are kept for messages.
func (s *Sender) Memory() int {
	return len(s.ring.texts.bytes) + len(s.ring.routings.bytes) + cap(s.ring.entries) + cap(s.out.records)
}
