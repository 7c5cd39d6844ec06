package api

import (
	"context"
	"errors"
	"strings"
	"testing"

	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// An error of one hyperty is told to it where it posts, names the field, and is nothing to the other hyperties of the connection.
func TestErrorOfOneHypertyIsItsOwn(t *testing.T) {
	h, socket := newHouse(t), socketPath(t)
	serve(t, h, socket)
	broke := make(chan error, 8)
	c := dial(t, hyperty.Options{Socket: socket, OnState: func(s hyperty.State) {
		if !s.Connected {
			broke <- s.Err
		}
	}})
	bad, good := register(t, c, "bad"), register(t, c, "good")
	good.Handle(func(ctx context.Context, m hyperty.Received) { _ = m.Answer(ctx, nil) })
	for field, m := range map[string]message.Message{
		"body":   {Type: message.Update, To: good.URL(), Body: []byte("{nonsense}")},
		"from":   {Type: message.Update, To: good.URL(), From: "no url"},
		"source": {Type: message.Update, To: good.URL(), Source: "no url"},
		"via":    {Type: message.Update, To: good.URL(), Via: []message.URL{"no url"}},
		"type":   {To: good.URL()},
	} {
		var wrong *message.FieldError
		if err := bad.Post(limit(t), m); !errors.As(err, &wrong) || wrong.Field != field || !errors.Is(err, message.ErrMalformed) {
			t.Errorf("post with a bad %s: %v", field, err)
		}
		if _, err := bad.Track(limit(t), m); !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("track with a bad %s: %v", field, err)
		}
		m.From = bad.URL()
		if field == "body" {
			if _, err := bad.Bus().Request(limit(t), m); !errors.As(err, &wrong) || wrong.Field != field {
				t.Errorf("request with a bad %s: %v", field, err)
			}
		}
		if _, err := bad.Request(limit(t), good.URL(), message.Read, nil); err != nil {
			t.Fatalf("after a bad %s: %v", field, err)
		}
	}
	select {
	case err := <-broke:
		t.Error("the connection broke: ", err)
	default:
	}
}

// What is no message in an application's stream is refused in its place among the others, with an outcome where one is wanted, and
// the posts are still counted as the application counts them.
func TestEachBadMessageIsRefused(t *testing.T) {
	h, socket := newHouse(t), socketPath(t)
	serve(t, h, socket)
	m := newHostile(t, socket, wire.Protocol)
	m.register(1, "mallory")
	m.registered()
	bad := message.Message{ID: message.NumberID(7), Type: message.Update, From: "hyperty://example.com/mallory",
		To: "hyperty://example.com/x", Body: []byte("{nonsense}")}
	record, _ := wire.AppendMessage(nil, 1, true, &bad)
	_, _ = m.conn.Write(record)
	var refused, told bool
	var posts []wire.Span
	for !refused || !told || len(posts) == 0 {
		_, err := m.next(func(rec wire.Record, f *wire.RuntimeFrame) bool {
			switch rec.Kind {
			case wire.Carried:
				answer, err := message.ParseBinary(rec.Data)
				if err != nil {
					t.Fatal(err)
				}
				r, _ := answer.Result()
				refused = answer.ID == bad.ID && answer.From == bad.To && answer.To == bad.From && r.Code == message.CodeBadRequest
			case wire.Credits:
				var c wire.Credit
				if err := c.Parse(rec.Data); err != nil {
					t.Fatal(err)
				}
				posts = append(posts, c.Posts...)
			}
			if o := f.GetOutcome(); o != nil {
				told = o.Id == "7" && o.State == string(hyperty.Refused) && o.Code == message.CodeBadRequest
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(posts) != 1 || posts[0] != (wire.Span{First: 1, N: 1}) {
		t.Error("credit for", posts)
	}
}

// refused waits for a refusal.
func (h *hostile) refused(code int, id message.ID, text string) {
	h.t.Helper()
	rec, err := h.next(func(rec wire.Record, _ *wire.RuntimeFrame) bool { return rec.Kind == wire.Carried })
	if err != nil {
		h.t.Fatal(err)
	}
	answer, err := message.ParseBinary(rec.Data)
	if err != nil {
		h.t.Fatal(err)
	}
	if r, err := answer.Result(); err != nil || r.Code != code || answer.ID != id || !strings.Contains(r.Description, text) {
		h.t.Fatalf("want a refusal %d of %s that says %q: %+v %v", code, id, text, r, err)
	}
}

// complained waits for what the runtime says of a record that it could not read.
func (h *hostile) complained(text string) {
	h.t.Helper()
	_, err := h.next(func(_ wire.Record, f *wire.RuntimeFrame) bool {
		e := f.GetEnded()
		return e != nil && e.Ref == 0 && e.Code == message.CodeBadRequest && strings.Contains(e.Reason, text)
	})
	if err != nil {
		h.t.Fatal(err)
	}
}
