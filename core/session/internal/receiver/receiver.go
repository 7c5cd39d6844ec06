package receiver

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
)

// resumePause is between two requests for the same generation.
const resumePause = 50 * time.Millisecond

// Options bound what a receiver keeps, and say when it acknowledges. All have to be set.
type Options struct {
	InboxBytes int           // of messages that were received and are not taken
	AckFrames  int           // frames received before an acknowledgement is sent at once
	AckDelay   time.Duration // how long an acknowledgement waits for data to ride on
	Claims     bool          // what the peer says of its addresses is taken; else that is skipped
}

// Receiver is what has come from one remote runtime.
type Receiver struct {
	o    Options
	seen uint64 // the peer's generation
	next uint64 // the number expected

	// What the peer is to be told.
	frames    int // since the last acknowledgement
	bytes     int // since the last acknowledgement
	ackDue    time.Duration
	ackNow    bool
	resumeNow bool          // ask the peer to send again
	resumeGen uint64        // the generation that was asked for last
	resumeAt  time.Duration // and when
	told      int           // the room that the peer was told last

	inbox  inbox
	claims claims
}

// New is a receiver of what begins with number 1.
func New(o Options) Receiver { return Receiver{o: o, next: 1} }

// Verdict is what a frame of the peer is.
type Verdict uint8

const (
	Nothing   Verdict = iota // it has no messages
	Fresh                    // it has messages or records that are new
	Gap                      // something before it is missing
	Duplicate                // all of it was received before: the peer lacks our acknowledgement
	Overrun                  // there is no room for it: the peer has to send it again
)

// Generation is the generation check of data: it notes in which the peer sends. old: the frame is of a path or a run that
// was left, and counts for nothing more. newer: it is the first of its generation.
func (r *Receiver) Generation(gen uint64) (old, newer bool) {
	if gen < r.seen {
		return true, false
	}
	newer = gen > r.seen
	r.seen = gen
	return false, newer
}

// Take takes the items of a frame of the peer's generation. What is new of them is in b, and amounts to e; the owner takes its
// records, and then has it put into the inbox with [Receiver.Put]. full: there is no memory for the messages of any session.
func (r *Receiver) Take(f *wire.Fields, e wire.Extent, items []byte, full bool, now time.Duration) (b Batch, left wire.Extent, v Verdict) {
	r.next = max(r.next, f.Base) // what is below was given up
	end := f.First + e.Count
	switch {
	case f.First > r.next:
		return b, left, r.gap(now)
	case e.Count == 0:
		return b, left, Nothing
	case end <= r.next: // the duplicate check
		r.ackNow = true
		return b, left, Duplicate
	case r.room(full) == 0 && e.Records < e.Count:
		r.inbox.overrun, r.ackNow = true, true // asks to resume when there is room
		return b, left, Overrun
	}
	b.Items, b.First = items, r.next
	if r.next > f.First {
		b.Routing, b.Items = wire.Skip(items, r.next-f.First)
		e, _ = wire.Measure(b.Items, len(b.Routing)) // no error: all of it was measured
	}
	r.next = end
	return b, e, Fresh
}

// gap has the peer asked to resume: at once for each of its generations, then again after a while.
func (r *Receiver) gap(now time.Duration) Verdict {
	if r.resumeGen == r.seen && now < r.resumeAt+resumePause {
		return Nothing
	}
	r.resumeGen, r.resumeAt, r.resumeNow = r.seen, now, true
	return Gap
}

// Count notes that a frame whose messages count for so much has to be acknowledged: at once where it is much, else when
// AckDue says. first: nothing had to be before.
func (r *Receiver) Count(cost int, now time.Duration) (first bool) {
	r.frames++
	r.bytes += cost
	if r.frames >= r.o.AckFrames || r.bytes >= r.o.InboxBytes/8 {
		r.ackNow = true
		return false
	}
	first = r.ackDue == 0
	if first {
		r.ackDue = now + r.o.AckDelay
	}
	return first
}

// Acknowledge has the peer told at once what has come.
func (r *Receiver) Acknowledge() { r.ackNow = true }

// AcknowledgeOwed is Acknowledge where something has come that the peer does not know of.
func (r *Receiver) AcknowledgeOwed() { r.ackNow = r.ackNow || r.ackDue != 0 }

// Resume has the peer asked to send again what it has no acknowledgement of.
func (r *Receiver) Resume() { r.resumeNow = true }

// WantsAck tells whether the peer is to be told at once what has come.
func (r *Receiver) WantsAck() bool { return r.ackNow }

// WantsResume tells whether the peer is to be asked to send again.
func (r *Receiver) WantsResume() bool { return r.resumeNow }

// Owes tells whether the peer is to be told what has come, at once or later.
func (r *Receiver) Owes() bool { return r.ackNow || r.ackDue != 0 }

// AckDue is when the peer is to be told what has come, at the latest; 0: never.
func (r *Receiver) AckDue() time.Duration { return r.ackDue }

// Tick does what is due by time.
func (r *Receiver) Tick(now time.Duration) {
	if r.ackDue != 0 && now >= r.ackDue {
		r.ackNow, r.ackDue = true, 0
	}
}

// Fields fills in what a frame says of the receiver, by the path in use: it tells the peer all that it has to be told.
func (r *Receiver) Fields(f *wire.Fields, full bool) {
	r.told = r.room(full)
	r.FieldsAside(f)
	r.Told()
}

// FieldsAside is Fields for a frame that the peer may not get, by another path.
func (r *Receiver) FieldsAside(f *wire.Fields) {
	f.Seen, f.Next, f.Room, f.Inbox = r.seen, r.next, uint64(r.told), uint64(r.o.InboxBytes)
}

// Told notes that the peer was told what has come, or that there is none.
func (r *Receiver) Told() {
	r.resumeNow, r.ackNow = false, false
	r.ackDue, r.frames, r.bytes = 0, 0, 0
}

// Restart begins with another incarnation of the peer: it is to be told that this side knows it, and how much room there is.
func (r *Receiver) Restart() {
	r.seen, r.next = 0, 1
	r.resumeGen = 0
	r.Told()
	r.ackNow = true
}

// Settled notes that messages that count for so much are taken. It is true where the peer is to be told at once: much room
// has come back.
func (r *Receiver) Settled(cost int, full bool) (tell bool) {
	r.inbox.cost -= cost
	if r.room(full) < r.o.InboxBytes/2 {
		return false
	}
	if r.inbox.overrun { // whatever the peer was told meanwhile, it does not send that again by itself
		r.inbox.overrun, r.resumeNow, tell = false, true, true
	}
	if r.told < r.o.InboxBytes/4 {
		r.told = r.room(full) // once is enough
		r.ackNow, tell = true, true
	}
	return tell
}

// Claim takes a record of the peer that may be a claim.
func (r *Receiver) Claim(record []byte) {
	if r.o.Claims {
		r.claims.add(record)
	}
}

// TakeClaims are what the peer has said of its addresses and is not taken yet. They are to be taken before the messages that
// came behind them are delivered; [Receiver.ClaimsTaken] is called then.
func (r *Receiver) TakeClaims() []wire.Claim {
	list := r.claims.coming
	r.claims = claims{}
	return list
}

// ClaimsTaken is true where the peer is to be asked to send again what there was no room for because of claims.
func (r *Receiver) ClaimsTaken(full bool) (tell bool) {
	if !r.inbox.overrun || r.room(full) == 0 {
		return false
	}
	r.inbox.overrun, r.resumeNow = false, true
	return true
}

// ForgetClaims forgets what the peer's last session has said of its addresses.
func (r *Receiver) ForgetClaims() { r.claims = claims{} }

// room is how many bytes the inbox takes. The last frame may go over it.
func (r *Receiver) room(full bool) int {
	if len(r.inbox.batches) > 0 && r.claims.crowded() { // whose delivery takes what the peer has claimed
		return 0
	}
	if full && r.inbox.cost > 0 {
		return 0
	}
	return max(0, r.o.InboxBytes-r.inbox.cost)
}
