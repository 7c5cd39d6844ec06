package session

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/protofly/protofly/core/trace"
)

// FrameName names a frame in traces: the same wherever it is seen, sealed or not.
func FrameName(frame []byte) string {
	sum := sha256.Sum256(frame)
	return hex.EncodeToString(sum[:8])
}

// traceFrames tells watchers that the first n frames of the batch were handed to path at that time, and what they carry.
// It is called by who sends; mu is not held.
func (s *session) traceFrames(path Path, n int, at time.Time) {
	if !s.o.Trace.Watched() {
		return
	}
	for i, frame := range s.batch[:n] {
		e := trace.Event{Kind: trace.Frame, At: at, Via: path.Door, Peer: s.remote, Value: FrameName(frame)}
		for _, m := range s.packed[i] {
			s.o.Trace.Message(trace.Frame, m, e)
		}
		if len(s.packed[i]) == 0 {
			s.o.Trace.Emit(e)
		}
		s.packed[i] = nil
	}
}
