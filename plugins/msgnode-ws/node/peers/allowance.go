package peers

import (
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
)

// What a runtime may send to another one that does not answer. A session's two sides answer each other all the time, with
// acknowledgements if nothing else, so they need far less than these bounds; a stranger whom nobody answers reaches them
// at once. Without the bounds, the frames of a flood would wait for their turn in the runtime's queue (which is fair, see
// package outbox), and the runtime would have to read, decrypt and refuse each of them.
const (
	// Before the first answer: a handshake and its repetitions.
	StrangeFrames = 32
	StrangeBytes  = 256 << 10
	// For each answer: twice what a session sends before it is acknowledged (core/session, 32 frames), so that a stranger who
	// gets one answer cannot flood; in bytes, what a session keeps unacknowledged.
	AnswerFrames = 64
	answerBytes  = 4 << 20
	// At most, from one answer to the next.
	AnsweredFrames = 8192
	answeredBytes  = 8 << 20
	// Without any answer.
	unansweredFrames = 32       // a second
	UnansweredBytes  = 64 << 10 // a second

	// maxPeers bounds how many runtimes one connection makes the node remember: as many as a node with the usual limits has.
	maxPeers = 16 << 10

	// All that a connection sends to runtimes that have not answered it, howwhether the peer has ever answered many they
	// are. At once it may send something to each that the node would remember: a runtime whose connection was lost, or
	// whose node was started again, greets all of its peers anew.
	connectionFrames = maxPeers
	connectionRate   = 256 // a second

	// All that strangers, runtimes to which a connection has sent nothing, may send it together.
	VisitFrames = 1024 // at once
	VisitRate   = 512  // a second
)

// allowance is what a connection may send to one peer now. Only the connection's reader uses its fields, except came, where the
// dispatcher counts.
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

// grow adds the allowance for the time since the last call.
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
