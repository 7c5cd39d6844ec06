package hyperty

import (
	"context"
	"errors"
	"time"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/sdk/message"
)

// How long the runtime may keep a question until there is something new. It is less than a request waits for its answer, however
// short that is: where it turns out to be longer it is halved.
const (
	pollWait    = 10 * time.Second
	pollWaitMin = 100 * time.Millisecond
)

// polling asks the runtime's discovery again and again what is new. The runtime keeps each question until something is: so what is told
// is the newest, however long the application takes between two questions.
type polling struct {
	h      *Hyperty
	what   string
	after  string        // what the runtime has told already
	wait   time.Duration // 0: pollWait
	pauses backoff.Backoff
	away   bool // the runtime was, the last time
}

// polled is what is new.
type polled struct {
	Version  string         `json:"version"`
	Presence []Presence     `json:"presence"`
	Events   []RuntimeEvent `json:"events"`
}

// next is the next answer; question makes the question, of what was told and a time in milliseconds. away: the runtime was lost
// meanwhile, and nothing is known until the next call returns.
func (p *polling) next(ctx context.Context, question func(after string, wait int64) any) (answer polled, away bool, err error) {
	if p.wait == 0 {
		p.wait = pollWait
	}
	for {
		answer, err = RequestJSON[polled](ctx, p.h, p.h.discovery(), message.Read, question(p.after, p.wait.Milliseconds()))
		var no *message.ResponseError
		switch {
		case err == nil:
			p.after, p.away = answer.Version, false
			p.pauses = backoff.Backoff{}
			return answer, false, nil
		case ctx.Err() != nil:
			return polled{}, false, ctx.Err()
		case errors.As(err, &no) && no.Code == message.CodeTimeout && p.wait > pollWaitMin:
			p.wait = max(p.wait/2, pollWaitMin)
			continue
		case errors.As(err, &no) && (no.Code == message.CodeUnavailable || no.Code == message.CodeTimeout), errors.Is(err, ErrDisconnected):
		default:
			if closed := p.h.Err(); closed != nil {
				return polled{}, false, closed
			}
			return polled{}, false, p.h.undiscovered(p.what, err)
		}
		if !p.away {
			p.away = true
			return polled{}, true, nil
		}
		if !backoff.Sleep(ctx, p.pauses.Next()) {
			return polled{}, false, ctx.Err()
		}
	}
}
