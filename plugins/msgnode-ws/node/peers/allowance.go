package peers

import (
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
)

// What a runtime may send to another one that does not answer. A session's two sides answer each other all the time, with
// acknowledgements if nothing else, so these bounds are far from what they need; a stranger whom nobody answers reaches
// them at once. Without them one that floods a runtime would have its frames wait there for their turn, where the runtime
// reads, decrypts and refuses each of them; the queue itself is fair, see package outbox.
const (
	// Before the first answer: a handshake and its repetitions.
	StrangeFrames = 32
	StrangeBytes  = 256 << 10
	// For each answer: twice what a session sends before it is acknowledged (core/session, 32 frames), so that a stranger who
	// is told to go on cannot flood; in bytes, what it keeps unacknowledged.
	AnswerFrames = 64
	answerBytes  = 4 << 20
	// At most, from one answer to the next.
	AnsweredFrames = 8192
	answeredBytes  = 8 << 20
	// Without any answer.
	unansweredFrames = 32       // a second
	UnansweredBytes  = 64 << 10 // a second

	// maxPeers bounds whom one connection makes the node remember: all runtimes of a node with the usual limits.
	maxPeers = 16 << 10

	// All that a connection sends to runtimes that have not answered it: more peers are no more right. At once it may send
	// something to each that the node would remember: a runtime whose connection was lost, or whose node was started again,
	// greets all of its peers anew.
	connectionFrames = maxPeers
	connectionRate   = 256 // a second

	// All that a connection is brought by runtimes that it has sent nothing to: many strangers are no more right either.
	VisitFrames = 1024 // at once
	VisitRate   = 512  // a second
)

// allowance is what a connection may send to one peer now. Its fields are the connection's reader's, but for came: the
// dispatcher counts there.
type allowance struct {
	came atomic.Uint32 // answers since the last look

	answered      bool  // ever
	answers       uint8 // how often, as far as that is counted: see peers
	frames, bytes int
	at            time.Time // when the two were last added to
}

// take takes payloads off the allowance, or tells that it is used up. others is what all of the connection's peers that
// have not answered share. Where answers come it does not look at the clock.
func (a *allowance) take(payloads wire.Payloads, others *rate.Limiter) bool {
	frames, bytes := payloads.Count(), len(payloads)
	if a.came.Load() > 0 {
		n := int(a.came.Swap(0))
		a.answered, a.answers = true, uint8(min(math.MaxUint8, n+int(a.answers)))
		a.frames, a.bytes = min(AnsweredFrames, a.frames+n*AnswerFrames), min(answeredBytes, a.bytes+n*answerBytes)
	}
	if a.frames < frames || a.bytes < bytes {
		a.grow(time.Now())
	}
	most := StrangeFrames // payloads in one Data frame
	if a.answered {
		most = AnsweredFrames
	}
	// What is left may be overdrawn by one frame: a session's first frame with messages may be a large one.
	if frames > most || a.frames <= 0 || a.bytes <= 0 || !a.answered && !others.AllowN(time.Now(), min(frames, connectionFrames)) {
		return false
	}
	a.frames -= frames
	a.bytes -= bytes
	return true
}

// grow adds what the time since the last call is good for.
func (a *allowance) grow(now time.Time) {
	frames, bytes := StrangeFrames, StrangeBytes
	if a.answered {
		frames, bytes = AnsweredFrames, answeredBytes
	}
	if a.at.IsZero() {
		a.frames, a.bytes, a.at = max(a.frames, StrangeFrames), max(a.bytes, StrangeBytes), now
		return
	}
	passed := now.Sub(a.at).Seconds()
	if more := int(passed * unansweredFrames); more > 0 {
		a.frames, a.bytes, a.at = min(frames, a.frames+more), min(bytes, a.bytes+int(passed*UnansweredBytes)), now
	}
}
