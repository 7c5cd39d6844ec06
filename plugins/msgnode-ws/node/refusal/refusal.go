// Package refusal has the node's refusals: an error code, a text that says what to do, and when it is worth trying again.
package refusal

import (
	"fmt"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Refusal has the parts of a response with an error code that do not depend on the request.
type Refusal struct {
	Code  int
	Text  string
	Again int           // seconds until it is worth trying again; 0: not known
	Pause time.Duration // how long the connection is not read from, so that refusing a flood costs little
}

// Response is the refusal as the answer to m. A time to try again is in the text for people, and in retry for programs.
func (r *Refusal) Response(m *message.Message) message.Message {
	if r.Again <= 0 {
		return m.Refuse(r.Code, "%s", r.Text)
	}
	text := fmt.Sprintf("%s; try again in %d s", r.Text, r.Again)
	return m.RespondBody(message.Encode(map[string]any{"code": r.Code, "desc": text, "description": text, "retry": r.Again}))
}

// New is a refusal with a code, and a text for people that says what to do.
func New(code int, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Text: fmt.Sprintf(format, args...)}
}

// How long a connection is not read from after it has asked for too much; and after its address has, which may have many
// connections.
const (
	FloodPause = 20 * time.Millisecond
	CrowdPause = 200 * time.Millisecond
)

// TryAgain is a refusal with 429 and a time to wait.
func TryAgain(wait time.Duration, format string, args ...any) *Refusal {
	r := New(message.CodeTooMany, format, args...)
	r.Again, r.Pause = Seconds(wait), FloodPause
	return r
}

// refusedAgain is how long a runtime that is not admitted should wait: somebody has to do something first.
const refusedAgain = time.Minute

// Handshake is the refusal as a Refused frame.
func (r *Refusal) Handshake() *wire.Refused {
	again := r.Again
	if r.Code == message.CodeForbidden {
		again = Seconds(refusedAgain)
	}
	return &wire.Refused{Code: r.Code, Reason: r.Text, Retry: again}
}

// Seconds converts a time to wait to whole seconds, at least one.
func Seconds(wait time.Duration) int {
	return max(1, int((wait+time.Second-1)/time.Second))
}
