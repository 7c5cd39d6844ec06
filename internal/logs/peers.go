package logs

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/sdk/message"
)

// The limits of lines about remote runtimes: those that have gone must not fill a log, however many they are.
const (
	PeerPause = time.Minute // between two lines of a kind about one
	PeerLines = 10          // in a PeerPause, about all of them
	maxPeers  = 64          // kinds and runtimes that are remembered: more than have a line in a PeerPause
)

// Peers limits lines about remote runtimes. The zero value is ready for use by many goroutines; nil limits nothing.
type Peers struct {
	mu      sync.Mutex
	now     func() time.Time // nil: time.Now
	last    map[about]time.Time
	lines   [PeerLines]time.Time // when the last ones were logged, in a ring
	next    int
	leftOut int
}

// about is a kind of line, by its text, about one runtime.
type about struct{ text, peer string }

// Log logs a line about the runtime remote to l. What is left out is logged at the level debug instead, and the next line says how
// many lines were.
func (p *Peers) Log(l hclog.Logger, level hclog.Level, text string, remote message.URL, args ...any) {
	args = append([]any{"remote", remote}, args...)
	leftOut, ok := p.allow(about{text, string(remote)})
	if !ok {
		l.Debug(text, args...)
		return
	}
	if leftOut > 0 {
		args = append(args, "lines about runtimes left out before", leftOut)
	}
	l.Log(level, text, args...)
}

// allow tells whether a line may be logged, and how many before it might not.
func (p *Peers) allow(a about) (leftOut int, ok bool) {
	if p == nil {
		return 0, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.now != nil {
		now = p.now()
	}
	if last, was := p.last[a]; was && now.Sub(last) < PeerPause || !p.lines[p.next].IsZero() && now.Sub(p.lines[p.next]) < PeerPause {
		p.leftOut++
		return 0, false
	}
	if p.last == nil || len(p.last) >= maxPeers {
		p.last = map[about]time.Time{}
	}
	p.last[a], p.lines[p.next] = now, now
	p.next = (p.next + 1) % PeerLines
	leftOut, p.leftOut = p.leftOut, 0
	return leftOut, true
}
