package paths

import (
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Path is one way to a remote runtime: a door of a stub. It is comparable.
type Path struct {
	Door, Stub message.URL
	Direct     bool // a P2P connection, not a relay
}

// IsZero tells whether p is no path.
func (p Path) IsZero() bool { return p == Path{} }

// Options are the times of paths. All have to be set.
type Options struct {
	ProbeMin   time.Duration // without acknowledgement for so long: probe
	ProbeMax   time.Duration // probes, and other tries, back off up to this
	Stall      time.Duration // without acknowledgement for so long the path carries nothing
	AsidePause time.Duration // between two acknowledgements by a relay that is not in use; see Aside
	AsideCount int           // or after so many frames
	AsideBytes int           // or so many bytes
}

// Paths is what is known of the paths to one remote runtime.
type Paths struct {
	o      Options
	used   Path   // zero: none
	taken  uint64 // how many paths were used
	number uint64 // of the path in use among them; 0: none

	wanted    bool // ask for the best path although there is one
	routeDue  time.Duration
	routeWait time.Duration

	failed   Path          // the last one that failed
	failedTo time.Duration // not tried again before
	failWait time.Duration

	lastIn Path // by which the peer's last frame came
	seenOn Path // by which its newest generation came first
	away   bool // the peer does not use the path in use any more

	probe probe
	aside aside
}

// New is a runtime that there is no path to yet.
func New(o Options) Paths {
	return Paths{o: o, routeWait: o.ProbeMin / 4, failWait: o.ProbeMin / 4, probe: probe{wait: o.ProbeMin}}
}

// Used is the path in use; zero: none.
func (p *Paths) Used() Path { return p.used }

// None tells whether there is no path.
func (p *Paths) None() bool { return p.number == 0 }

// Number is that of the path in use among all that were, 0: there is none. A path that is taken again has another number.
func (p *Paths) Number() uint64 { return p.number }

// Uses tells whether path is the one in use.
func (p *Paths) Uses(path Path) bool { return p.used == path }

// LastIn is the path by which the peer's last frame came; zero: none that is still there.
func (p *Paths) LastIn() Path { return p.lastIn }

// Came notes by which path a frame of the peer has come. Until the peer is known, what is not proven to be from there counts
// as well.
func (p *Paths) Came(path Path) { p.lastIn = path }

// Use makes path the one in use.
func (p *Paths) Use(path Path) {
	p.Leave()
	p.used = path
	p.taken++
	p.number = p.taken
	p.routeDue, p.routeWait, p.probe.stalled = 0, p.o.ProbeMin/4, false
}

// Leave leaves the path in use for none.
func (p *Paths) Leave() { p.used, p.number, p.away = Path{}, 0, false }

// Lose leaves path, which has failed, where it is in use; it is not tried again for a while. It is false where it was not
// in use.
func (p *Paths) Lose(path Path, now time.Duration) bool {
	if p.lastIn == path {
		p.lastIn = Path{}
	}
	if path.IsZero() || p.used != path {
		return false
	}
	p.Leave()
	p.failed, p.failedTo = path, now+p.failWait
	p.failWait = min(2*p.failWait, p.o.ProbeMax)
	p.routeDue = 0
	return true
}

// MayUse tells whether path may be tried: it has not just failed.
func (p *Paths) MayUse(path Path, now time.Duration) bool {
	return path != p.failed || now >= p.failedTo
}

// Forgive has path tried at once, even if it has just failed.
func (p *Paths) Forgive(path Path) {
	if p.failed == path {
		p.failed = Path{}
	}
}

// Newest notes by which path the peer's newest generation comes. A peer that has used our direct path and does not any more
// has given it up: its side of it is dead, even if ours, as far as the stub can tell, is not. Whatever we send there is lost
// until somebody notices. It is true where that is so from now on: [Paths.Follow] is to be called in a moment, since the peer
// may come back at once.
func (p *Paths) Newest(path Path) (left bool) {
	before := p.seenOn
	p.seenOn = path
	switch {
	case path == p.used:
		p.away = false
	case before == p.used && p.used.Direct && !p.away:
		p.away = true
		return true
	}
	return false
}

// Away tells whether the peer does not use the path in use any more.
func (p *Paths) Away() bool { return p.away }

// NewPeer forgets where the newest generation came from: there is another peer.
func (p *Paths) NewPeer() { p.seenOn, p.away = Path{}, false }

// Follow is the path to go to because the peer has left the one in use; false: it is still there, or came back.
func (p *Paths) Follow() (to Path, ok bool) { return p.seenOn, p.away }

// Moved notes that the peer has asked for something by the path of its last frame: where that is another one than ours, ours
// may not be the best any more.
func (p *Paths) Moved() { p.wanted = p.wanted || p.used != p.lastIn }

// Told notes that path is said to be the best, by a message that was posted or by whoever knows the connections. That may have been
// found out before the path in use was: where it leads away from a direct path, the best one is asked for before anything is sent.
func (p *Paths) Told(path Path) { p.wanted = p.wanted || p.used.Direct && p.used != path }

// AskAgain notes that the answer about the best path may be older than the path in use.
func (p *Paths) AskAgain() { p.wanted = true }

// WantsRoute tells whether to ask for the best path now. work: something is to be sent.
func (p *Paths) WantsRoute(work bool, now time.Duration) bool {
	return p.wanted || p.None() && work && now >= p.routeDue
}

// Asking tells whether the best path is asked for although there is one.
func (p *Paths) Asking() bool { return p.wanted }

// RouteDue is when to ask for a path because there is none; 0: never.
func (p *Paths) RouteDue() time.Duration {
	if !p.None() {
		return 0
	}
	return p.routeDue
}

// Routed takes what is said to be the best path, where ok, and says which one is to be used from now on; zero: none, or that
// in use. Where nothing is known a path by which the peer's last frame came has to do. A path that has just failed is given
// time before it is tried again.
func (p *Paths) Routed(path Path, ok bool, now time.Duration) (use Path) {
	p.wanted = false
	if !ok || path.IsZero() {
		path = Path{}
		if p.None() {
			path = p.lastIn
		}
	}
	switch {
	case path.IsZero():
		if p.None() {
			p.routeDue = now + p.routeWait
			p.routeWait = min(2*p.routeWait, p.o.ProbeMax)
		}
	case !p.MayUse(path, now):
		if p.None() {
			p.routeDue = p.failedTo
		}
	case path != p.used:
		return path
	}
	return Path{}
}

// probe is whether what was sent by the path in use is acknowledged.
type probe struct {
	due      time.Duration // when to ask for an acknowledgement; 0: none is owed to us
	wait     time.Duration // until the next
	asked    time.Duration // since when an acknowledgement is owed to us
	progress time.Duration // when something was acknowledged last
	wanted   bool
	stalled  bool
}

// Sent notes that messages were sent: they have to be acknowledged.
func (p *Paths) Sent(now time.Duration) {
	if p.probe.due == 0 {
		p.probe.due, p.probe.asked = now+p.probe.wait, now
	}
}

// Progress notes that messages were acknowledged. waiting: others still have to be.
func (p *Paths) Progress(waiting bool, now time.Duration) {
	p.probe.progress = now
	p.Restart(waiting, now)
	p.probe.stalled, p.failWait = false, p.o.ProbeMin/4
}

// Restart begins to wait for an acknowledgement anew, where one is owed to us.
func (p *Paths) Restart(waiting bool, now time.Duration) {
	p.probe.wait, p.probe.due, p.probe.wanted = p.o.ProbeMin, 0, false
	if waiting {
		p.Sent(now)
	}
}

// Tick does what is due by time: a probe, and another look for the best path with it. It is true where the path counts as
// stalled from now on.
func (p *Paths) Tick(waiting bool, now time.Duration) (stalled bool) {
	switch {
	case !waiting:
		p.probe.due, p.probe.asked = 0, 0
	case p.probe.due == 0:
		p.Sent(now)
	case now >= p.probe.due:
		p.Probe()
		p.probe.wait = min(2*p.probe.wait, p.o.ProbeMax)
		p.probe.due = now + p.probe.wait
	}
	due := p.StallDue()
	if due == 0 || now < due {
		return false
	}
	p.probe.stalled = true
	p.Probe()
	return true
}

// ProbeDue is when Tick has something to do because of a probe; 0: never.
func (p *Paths) ProbeDue() time.Duration { return p.probe.due }

// StallDue is when the path counts as stalled unless something is acknowledged before; 0: never. It does not wait for the
// probe after it, which may be late.
func (p *Paths) StallDue() time.Duration {
	if p.probe.stalled || p.None() || p.probe.due == 0 {
		return 0
	}
	return max(p.probe.asked, p.probe.progress) + p.o.Stall
}

// Probe has the peer asked for an acknowledgement, and the best path looked for.
func (p *Paths) Probe() { p.probe.wanted, p.wanted = true, true }

// Ask has the peer asked for an acknowledgement, by the path in use.
func (p *Paths) Ask() { p.probe.wanted = true }

// WantsProbe tells whether the next frame has to ask for an acknowledgement.
func (p *Paths) WantsProbe() bool { return p.probe.wanted }

// Probed notes that a frame has asked, or that nobody can be asked.
func (p *Paths) Probed() { p.probe.wanted = false }

// LastProgress is when something was acknowledged last; 0: never.
func (p *Paths) LastProgress() time.Duration { return p.probe.progress }

// Two runtimes may speak by two relays, each by the other one's domain's. Then what the one relay carries is acknowledged by
// way of the other, and a relay, which bounds what it carries for somebody who is not answered, sees no answer. So what comes
// by a relay while this side uses another one is acknowledged there as well: at once, and then now and then. By that the relay
// also knows the peer for one that this side speaks with, and not for a stranger, whose frames it brings last. Where one of the
// two has a direct path the other one follows soon.

// aside is what has come since by a relay that is not the path in use.
type aside struct {
	at            time.Duration // of the last acknowledgement that was sent there
	frames, bytes int           // since
}

// Aside tells whether a frame of the peer, which came by path, has to be acknowledged there as well. answered: it is no
// acknowledgement alone; these are answered seldom, since they must not answer each other.
func (p *Paths) Aside(path Path, answered bool, size int, now time.Duration) bool {
	if path == p.used || path.Direct || p.used.Direct || p.None() {
		return false
	}
	a := &p.aside
	a.frames++
	a.bytes += size
	soon := answered && now-a.at >= p.o.AsidePause
	if a.at != 0 && !soon && a.frames < p.o.AsideCount && a.bytes < p.o.AsideBytes {
		return false
	}
	*a = aside{at: now}
	return true
}
