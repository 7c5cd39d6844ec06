package node

import (
	"fmt"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// refusal is a response with an error code, before it is known to what.
type refusal struct {
	code  int
	text  string
	again int           // seconds until it is worth trying again; 0: not known
	pause time.Duration // how long the connection is not read from: saying no to a flood must not cost more than it
}

// response is the refusal as the answer to m. A time to try again is in the text for people, and in retry for programs.
func (r *refusal) response(m *message.Message) message.Message {
	if r.again <= 0 {
		return m.Refuse(r.code, "%s", r.text)
	}
	text := fmt.Sprintf("%s; try again in %d s", r.text, r.again)
	return m.RespondBody(message.Encode(map[string]any{"code": r.code, "desc": text, "description": text, "retry": r.again}))
}

func refuse(code int, format string, args ...any) *refusal {
	return &refusal{code: code, text: fmt.Sprintf(format, args...)}
}

// How long a connection is not read from after it has asked for too much; and where its address has, which may have many.
const (
	floodPause = 20 * time.Millisecond
	crowdPause = 200 * time.Millisecond
)

// tryAgain is a refusal 429 that ends after a while.
func tryAgain(wait time.Duration, format string, args ...any) *refusal {
	r := refuse(message.CodeTooMany, format, args...)
	r.again, r.pause = seconds(wait), floodPause
	return r
}

// refusedAgain is how long a runtime that is not admitted should wait: somebody has to do something first.
const refusedAgain = time.Minute

// handshake is the refusal as a Refused frame.
func (r *refusal) handshake() *wire.Refused {
	again := r.again
	if r.code == message.CodeForbidden {
		again = seconds(refusedAgain)
	}
	return &wire.Refused{Code: r.code, Reason: r.text, Retry: again}
}

// seconds is a time to wait in whole seconds, one at least.
func seconds(wait time.Duration) int {
	return max(1, int((wait+time.Second-1)/time.Second))
}
