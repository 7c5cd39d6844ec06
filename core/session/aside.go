package session

import (
	"time"

	"github.com/protofly/protofly/core/session/internal/wire"
)

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

// answerAside acknowledges, by the relay that it came by, a frame that is proven to be the peer's. mu is held.
func (s *session) answerAside(path Path, kind wire.Kind, size int, now time.Duration) {
	if path == s.path || path.Direct || s.path.Direct || s.path.IsZero() || s.keys == nil {
		return
	}
	a := &s.aside
	a.frames++
	a.bytes += size
	soon := kind != wire.Ack && now-a.at >= s.o.AckDelay // acknowledgements are answered seldom: they must not answer each other
	if a.at != 0 && !soon && a.frames < s.o.AckFrames && a.bytes < s.o.InboxBytes/8 {
		return
	}
	*a = aside{at: now}
	h := wire.Head{Kind: wire.Ack, From: s.local.incarnation, To: s.peer}
	aead := s.keys.out.stamp(&h, s.o, wire.FrameOverhead)
	f := s.fields()
	s.all.hand(s.remote, path, seal(aead, f.Append(wire.AppendHead(make([]byte, 0, wire.FrameOverhead), h))))
}
