package session

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// FrameName names a frame in traces: the same wherever it is seen, sealed or not.
func FrameName(frame []byte) string {
	sum := sha256.Sum256(frame)
	return hex.EncodeToString(sum[:8])
}

// carried are the messages in what ring.pack has appended to a frame. It is called only while somebody watches.
func carried(packed []byte) []message.Message {
	var list []message.Message
	var parser message.Parser
	for routing := 0; len(packed) > 0; {
		one, rest, ok := cut(packed, routing)
		if !ok {
			break
		}
		packed, routing = rest, one.after(routing)
		if one.size == 0 {
			continue
		}
		if one.routing != nil {
			parser.Routing(one.routing)
		}
		if m, err := parser.Own(one.own); err == nil {
			m.Body = nil // it is the frame's memory
			list = append(list, m)
		}
	}
	return list
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
