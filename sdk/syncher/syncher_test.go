package syncher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

func TestAnUnconfirmedChangeIsPutRight(t *testing.T) {
	in(t, ok, func(h *house) {
		r, err := h.Create(h.ctx, Object{Scheme: "comm", Data: json.RawMessage(`{"n":0}`)})
		if err != nil {
			t.Fatal(err)
		}
		h.answers(none)
		if err := r.Set(h.ctx, "n", 1); code(err) != 408 {
			t.Fatalf("%v", err)
		}
		if string(r.Value()) != `{"n":0}` {
			t.Errorf("value %s", r.Value())
		}
		short, cancel := context.WithTimeout(h.ctx, time.Second)
		defer cancel()
		if err := r.Add(short, "l", 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v", err)
		}
		h.answers(ok)
		if err := r.Set(h.ctx, "m", 2); err != nil {
			t.Fatal(err)
		}
		var u object.Update
		m := h.last()
		if err := m.Decode(&u); err != nil || u.Attribute != "" || u.Version == nil || *u.Version != 3 {
			t.Fatalf("sent %s, %v", m.Body, err)
		}
		meta, doc, err := object.ParseWhole(u.Value)
		if err != nil || string(doc.JSON()) != `{"m":2,"n":0}` || meta.Version != 3 {
			t.Fatalf("sent %s, %v", m.Body, err)
		}
		if err := r.Set(h.ctx, "n", 4); err != nil || r.Version() != 4 {
			t.Fatalf("%v, version %d", err, r.Version())
		}
		if m := h.last(); m.From != owner || m.To != manager {
			t.Errorf("sent %+v", m)
		}
	})
}

func TestARefusedChangeIsNotMade(t *testing.T) {
	in(t, ok, func(h *house) {
		r, _ := h.Create(h.ctx, Object{Scheme: "comm"})
		if err := r.Set(h.ctx, "a..b", 1); !errors.Is(err, object.ErrPath) {
			t.Errorf("%v", err)
		}
		if err := r.Set(h.ctx, "a", make(chan int)); err == nil {
			t.Error("a channel was taken")
		}
		h.answers(func(m message.Message) *message.Message { r := m.Refuse(403, "no"); return &r })
		if err := r.Set(h.ctx, "a", 1); code(err) != 403 || r.Version() != 0 || string(r.Value()) != `{}` {
			t.Errorf("%v, version %d, %s", err, r.Version(), r.Value())
		}
		if _, err := h.Create(h.ctx, Object{Data: json.RawMessage(`[]`)}); !errors.Is(err, object.ErrData) {
			t.Errorf("%v", err)
		}
		if _, err := h.Create(h.ctx, Object{}); code(err) != 403 {
			t.Errorf("%v", err)
		}
		h.answers(func(m message.Message) *message.Message { r := m.Respond(200, nil); return &r })
		if _, err := h.Create(h.ctx, Object{}); err == nil {
			t.Error("an answer without an address was taken")
		}
	})
}

func TestChangesOfManyGoroutinesKeepTheirOrder(t *testing.T) {
	in(t, ok, func(h *house) {
		r, _ := h.Create(h.ctx, Object{Scheme: "comm"})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if err := r.Add(h.ctx, "list", 1); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for i, m := range h.sent[1:] {
			var u object.Update
			if err := m.Decode(&u); err != nil || *u.Version != uint64(i+1) || u.Attribute != fmt.Sprintf("list.%d", i) || u.Type != "array" || u.Operation != "add" {
				t.Fatalf("update %d: %s", i, m.Body)
			}
		}
	})
}

func TestWhatAnObserverTakes(t *testing.T) {
	in(t, whole(3, `{"n":3}`), func(h *house) {
		// Updates before the answer are kept; those that are in it already are not applied again.
		h.answers(func(m message.Message) *message.Message {
			h.update(2, `"attribute":"n","value":2`)
			h.update(4, `"attribute":"n","value":4`)
			synctest.Wait()
			return whole(3, `{"n":3}`)(m)
		})
		o, err := h.Observe(h.ctx, theirs)
		if err != nil || string(o.Value()) != `{"n":4}` || o.Version() != 4 || o.URL() != theirs {
			t.Fatalf("%v %s", err, o.Value())
		}
		h.answers(none)
		h.update(4, `"attribute":"n","value":0`)
		h.bus.Deliver(h.ctx, message.Message{Type: message.Update, From: theirs, To: owner, Body: fmt.Appendf(nil, `{"resource":%q,"version":5,"attribute":"n","value":666}`, theirs)})
		h.bus.Deliver(h.ctx, message.Message{Type: message.Delete, From: theirs, To: owner, Body: fmt.Appendf(nil, `{"resource":%q}`, theirs)})
		h.update(5, `"attribute":"n","value":5`)
		if c, err := o.Next(h.ctx); err != nil || c.Version != 5 || string(c.Value) != "5" {
			t.Fatalf("%+v %v", c, err)
		}
		// A whole value, and a change that does not fit: then it is fetched anew.
		h.update(9, fmt.Sprintf(`"value":{"url":%q,"version":9,"data":{"n":9}}`, theirs))
		if c, err := o.Next(h.ctx); err != nil || !c.Resync || c.Version != 9 || string(c.Value) != `{"n":9}` {
			t.Fatalf("%+v %v", c, err)
		}
		h.answers(whole(12, `{"n":12}`))
		h.update(10, `"attribute":"n.x","value":1`)
		if c, err := o.Next(h.ctx); err != nil || !c.Resync || c.Version != 12 {
			t.Fatalf("%+v %v", c, err)
		}
		// A 404 to the renewal is believed the fifth time.
		h.answers(func(m message.Message) *message.Message { r := m.Refuse(404, "no"); return &r })
		h.update(20, `"attribute":"n","value":20`)
		began := time.Now()
		if c, err := o.Next(h.ctx); err != nil || !c.Deleted || time.Since(began) < 10*time.Second {
			t.Fatalf("%+v %v after %v", c, err, time.Since(began))
		}
		if _, err := o.Next(h.ctx); err != io.EOF {
			t.Fatal(err)
		}
		if err := o.Close(h.ctx); err != nil {
			t.Fatal(err)
		}
	})
}

func TestChangesThatNobodyReads(t *testing.T) {
	in(t, whole(0, `{"l":[]}`), func(h *house) {
		o, err := h.Observe(h.ctx, theirs)
		if err != nil {
			t.Fatal(err)
		}
		for v := 1; v <= 1000; v++ {
			h.update(v, fmt.Sprintf(`"attribute":"l.%d","attributeType":"array","operation":"add","value":%d`, v-1, v))
		}
		synctest.Wait()
		if n := len(o.changes); n > maxChanges {
			t.Errorf("%d changes are kept", n)
		}
		if c, err := o.Next(h.ctx); err != nil || !c.Resync || c.Version != 1000 {
			t.Fatalf("%+v %v", c, err)
		}
		h.update(1001, `"attribute":"l.1000","attributeType":"array","operation":"add","value":[1,2]`)
		for i, want := range []string{"l.1000", "l.1001"} {
			if c, err := o.Next(h.ctx); err != nil || c.Attribute != want || string(c.Value) != fmt.Sprint(i+1) || c.Operation != OpAdd {
				t.Fatalf("%+v %v", c, err)
			}
		}
		short, cancel := context.WithTimeout(h.ctx, time.Second)
		defer cancel()
		if _, err := o.Next(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if err := o.Close(h.ctx); err != nil || h.last().Type != message.Unsubscribe {
			t.Fatalf("%v %+v", err, h.last())
		}
		if _, err := o.Next(h.ctx); err != io.EOF {
			t.Fatal(err)
		}
	})
}

func TestObserveFails(t *testing.T) {
	in(t, none, func(h *house) {
		if _, err := h.Observe(h.ctx, theirs); code(err) != 408 || h.last().Type != message.Unsubscribe {
			t.Fatalf("%v %+v", err, h.last())
		}
		if _, err := h.Observe(h.ctx, "nonsense"); err == nil {
			t.Fatal("nonsense was observed")
		}
		for _, body := range []string{`{"code":200}`, `{"code":200,"value":{"data":[]}}`, `{"code":200,"value":{"url":"x"}}`, `{"code":"?"}`} {
			h.answers(func(m message.Message) *message.Message { r := m.RespondBody(json.RawMessage(body)); return &r })
			if _, err := h.Observe(h.ctx, theirs); err == nil {
				t.Errorf("%s was taken", body)
			}
		}
		h.answers(whole(1, `{}`))
		o, err := h.Observe(h.ctx, theirs)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Observe(h.ctx, theirs); code(err) != 409 {
			t.Error(err)
		}
		h.Close()
		if _, err := o.Next(h.ctx); err != io.EOF {
			t.Error(err)
		}
		if _, err := h.Observe(h.ctx, theirs); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := h.Resume(h.ctx); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

func TestInvitations(t *testing.T) {
	in(t, none, func(h *house) {
		invite := func(from message.URL, body string) int {
			h.mu.Lock()
			h.sent = nil
			h.mu.Unlock()
			h.bus.Deliver(h.ctx, message.Message{ID: message.NumberID(7), Type: message.Create, From: from, To: owner, Source: "hyperty://b.example/bob", Body: json.RawMessage(body)})
			m := h.last()
			r, err := m.Result()
			if err != nil || len(h.sent) != 1 || m.To != from || m.ID != message.NumberID(7) {
				t.Fatalf("%v: %+v", err, h.sent)
			}
			return r.Code
		}
		const good = `{"schema":"hyperty-catalogue://c.b/x/y","value":{"url":"comm://b.example/o","runtime":"runtime://b.example/r","name":"n"}}`
		at := object.Subscription(theirs)
		if c := invite(at, good); c != 404 {
			t.Errorf("without a handler: %d", c)
		}
		var got Invitation
		do := func(context.Context, Invitation) error { return nil }
		h.OnInvite(func(ctx context.Context, inv Invitation) {
			got = inv
			if err := do(ctx, inv); err != nil {
				t.Error(err)
			}
		})
		if c := invite(at, good); c != 200 || got.URL != theirs || got.Reporter != "hyperty://b.example/bob" || got.Runtime != "runtime://b.example/r" || got.Schema == "" || got.Name != "n" {
			t.Errorf("%d %+v", c, got)
		}
		do = func(ctx context.Context, inv Invitation) error {
			return errors.Join(inv.Accept(ctx), inv.Refuse(ctx, 500, "too late"))
		}
		if c := invite(at, good); c != 200 {
			t.Error(c)
		}
		do = func(ctx context.Context, inv Invitation) error { return inv.Refuse(ctx, 409, "glare") }
		if c := invite(at, good); c != 409 {
			t.Error(c)
		}
		do = func(ctx context.Context, inv Invitation) error { return inv.Refuse(ctx, 7, "odd") }
		if c := invite(at, good); c != 403 {
			t.Error(c)
		}
		for _, body := range []string{`{}`, `{"value":{"url":"comm://c.example/o"}}`, `{"value":{"url":7}}`, `{"value":{"url":"comm://b.example/o","runtime":"x"}}`} {
			if c := invite(at, body); c != 400 {
				t.Errorf("%s: %d", body, c)
			}
		}
		// Invitations that nobody answers are bounded, and end with the syncher.
		h.OnInvite(func(ctx context.Context, _ Invitation) { <-ctx.Done() })
		for range 2 * maxInvitations {
			h.bus.Deliver(h.ctx, message.Message{Type: message.Create, From: at, To: owner, Body: json.RawMessage(good)})
		}
		synctest.Wait()
		h.Syncher.mu.Lock()
		defer h.Syncher.mu.Unlock()
		if h.invitations != maxInvitations {
			t.Errorf("%d invitations are handled", h.invitations)
		}
	})
}

func TestAuthorise(t *testing.T) {
	in(t, ok, func(h *house) {
		r, _ := h.Create(h.ctx, Object{Scheme: "comm", Private: true})
		ask := func(from message.URL, body string) int {
			h.mu.Lock()
			h.sent = nil
			h.mu.Unlock()
			h.bus.Deliver(h.ctx, message.Message{Type: message.Forward, From: from, To: owner, Body: json.RawMessage(body)})
			synctest.Wait()
			if len(h.sent) == 0 {
				return 0
			}
			m := h.last()
			res, _ := m.Result()
			return res.Code
		}
		const bob = `{"type":"subscribe","from":"hyperty://b.example/bob","to":"comm://a.example/o1"}`
		if c := ask(manager, bob); c != 403 {
			t.Error(c)
		}
		if err := r.Invite(h.ctx, "hyperty://b.example/bob"); err != nil {
			t.Fatal(err)
		}
		if c := ask(manager, bob); c != 200 {
			t.Error(c)
		}
		r.Allow(func(u message.URL) bool { return u != "hyperty://b.example/bob" })
		if c := ask(manager, bob); c != 403 {
			t.Error(c)
		}
		for body, want := range map[string]int{
			`{"type":"subscribe","from":"hyperty://b.example/bob","to":"comm://a.example/o2"}`: 404, `{"type":7}`: 400,
			`{"type":"unsubscribe","from":"hyperty://b.example/bob","to":"comm://a.example/o1"}`: 0,
		} {
			if c := ask(manager, body); c != want {
				t.Errorf("%s: %d, want %d", body, c, want)
			}
		}
		if c := ask("hyperty-runtime://b.example/r/sm", bob); c != 0 {
			t.Errorf("a stranger got %d", c)
		}
		if err := r.Delete(h.ctx); err != nil {
			t.Fatal(err)
		}
		if c := ask(manager, bob); c != 404 {
			t.Error(c)
		}
	})
}
