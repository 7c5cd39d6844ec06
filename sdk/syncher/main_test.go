package syncher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

const (
	self    message.URL = "hyperty-runtime://a.example/r"
	manager message.URL = self + "/sm"
	owner   message.URL = "hyperty://a.example/alice"
	theirs  message.URL = "comm://b.example/o"
)

// house is a syncher on a MiniBus; the test plays the sync manager outside.
type house struct {
	*Syncher
	t   *testing.T
	bus *minibus.MiniBus
	ctx context.Context

	mu   sync.Mutex
	sent []message.Message
	do   func(m message.Message) *message.Message // the answer; nil: none
}

func in(t *testing.T, do func(m message.Message) *message.Message, f func(h *house)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		h := &house{t: t, ctx: ctx, do: do}
		h.bus = minibus.New(minibus.Options{Out: func(ctx context.Context, m message.Message) error {
			h.mu.Lock()
			h.sent = append(h.sent, m)
			do := h.do
			h.mu.Unlock()
			if m.Type == message.Response {
				return nil
			}
			if answer := do(m); answer != nil {
				h.bus.Deliver(ctx, *answer)
			}
			return nil
		}})
		h.Syncher = New(Options{Bus: h.bus, Owner: owner, Runtime: self})
		f(h)
		h.Close()
		h.bus.Close()
	})
}

func (h *house) answers(do func(m message.Message) *message.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.do = do
}

// last is the last message that went out.
func (h *house) last() message.Message {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sent[len(h.sent)-1]
}

func ok(m message.Message) *message.Message {
	r := m.RespondBody(json.RawMessage(`{"code":200,"resource":"comm://a.example/o1"}`))
	return &r
}

func none(message.Message) *message.Message { return nil }

// object answers a subscribe.
func whole(version int, data string) func(m message.Message) *message.Message {
	return func(m message.Message) *message.Message {
		r := m.RespondBody(fmt.Appendf(nil, `{"code":200,"value":{"url":%q,"version":%d,"data":%s}}`, theirs, version, data))
		return &r
	}
}

func (h *house) update(version int, rest string) {
	h.bus.Deliver(h.ctx, message.Message{Type: message.Update, From: manager, To: owner, Body: fmt.Appendf(nil, `{"resource":%q,"version":%d,%s}`, theirs, version, rest)})
}

func code(err error) int {
	var refusal *message.ResponseError
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return 0
}
