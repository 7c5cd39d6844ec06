package syncmanager

import (
	"encoding/json"
	"testing"

	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Whatever is asked, of the sync manager or at an object's addresses, it is answered or ignored.
func FuzzRequests(f *testing.F) {
	f.Add(uint8(message.Create), uint8(0), `{"scheme":"comm","value":{"data":{"n":1}}}`)
	f.Add(uint8(message.Create), uint8(0), `{"resource":"comm://a.example/o1","authorise":[["hyperty://a.example/x"]]}`)
	f.Add(uint8(message.Update), uint8(0), `{"resource":"comm://a.example/o1","version":1,"attribute":"n","value":[1]}`)
	f.Add(uint8(message.Update), uint8(0), `{"resource":"comm://a.example/o1","value":{"version":8,"data":{}}}`)
	f.Add(uint8(message.Subscribe), uint8(1), `{"subscriber":"hyperty://b.example/x"}`)
	f.Add(uint8(message.Unsubscribe), uint8(1), `{"subscriber":"hyperty://b.example/x"}`)
	f.Add(uint8(message.Read), uint8(2), `{}`)
	f.Add(uint8(message.Delete), uint8(0), `{"resource":"comm://a.example/o1"}`)
	f.Add(uint8(message.Update), uint8(3), `{"version":3,"attribute":"a.b","value":1}`)
	f.Fuzz(func(t *testing.T, kind, to uint8, body string) {
		if !message.Type(kind).Valid() || !json.Valid([]byte(body)) {
			return
		}
		w := &world{ctx: t.Context(), by: make(map[string]*runtime)}
		r := &runtime{w: w, domain: "a.example", url: "hyperty-runtime://a.example/r", objects: make(map[message.URL]registry.Object), nodeSays: 200}
		r.start()
		alice := r.component("alice")
		rep, err := alice.Create(w.ctx, obj(`{"n":0}`))
		if err != nil {
			t.Fatal(err)
		}
		const far message.URL = "comm://b.example/o"
		sm := r.sm.lock()
		o := sm.watch(far)
		sm.unlock()
		m := message.Message{Type: message.Type(kind), From: alice.url, To: r.sm.self, Body: json.RawMessage(body)}
		switch to % 4 {
		case 0:
			r.sm.serve(w.ctx, m)
		case 3:
			m.From, m.To = far, object.Changes(far)
			r.sm.changed(o, m)
		default:
			m.From, m.To = "runtime://b.example/r/sm", object.Subscription(rep.URL())
			if to%4 == 2 {
				m.To = rep.URL()
			}
			if known := r.sm.reported[rep.URL()]; known != nil {
				r.sm.remoteRequest(known, m)
			}
		}
		sm = r.sm.lock()
		_, _, _, bytes := sm.usage.Counts()
		sm.unlock()
		if bytes < 0 || bytes > 2*object.MaxData {
			t.Errorf("%d bytes are kept", bytes)
		}
		alice.close()
		r.stop()
		w.wg.Wait()
	})
}
