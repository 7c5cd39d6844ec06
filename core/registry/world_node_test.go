package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/sdk/message"
)

// node is the Message Node's functions.
func (w *world) node(s *side, route bus.Route, m message.Message) {
	w.mu.Lock()
	slow := w.slow
	w.mu.Unlock()
	time.Sleep(time.Millisecond + slow)
	w.mu.Lock()
	w.asked = append(w.asked, m)
	down := w.down
	response := w.serve(s, m)
	w.mu.Unlock()
	if !down && m.Type != message.Response {
		s.bus.ArriveFromNode(w.ctx, route.Stub, response)
	}
}

func (w *world) serve(s *side, m message.Message) message.Message {
	var body struct {
		Scheme   string          `json:"scheme"`
		Resource message.URL     `json:"resource"`
		Value    json.RawMessage `json:"value"`
	}
	m.Decode(&body)
	domain := m.To.NodeDomain()
	switch {
	case m.To == message.AllocationAddress(domain) && m.Type == message.Create:
		var v struct{ Number, Identifier any }
		json.Unmarshal(body.Value, &v)
		var list []message.URL
		if name, ok := v.Identifier.(string); ok {
			url := message.URL(body.Scheme + "://" + domain + "/" + name)
			if owner := w.names[url]; owner != "" && owner != s.url {
				return m.Refuse(message.CodeConflict, "taken")
			}
			w.names[url] = s.url
			list = []message.URL{url}
		} else {
			for range int(v.Number.(float64)) {
				w.allocated++
				list = append(list, message.URL(fmt.Sprintf("%s://%s/a%d", body.Scheme, domain, w.allocated)))
			}
		}
		return m.Respond(message.CodeOK, map[string]any{"allocated": list})
	case m.To == message.AllocationAddress(domain) && m.Type == message.Delete:
		var gone struct{ ChildrenResources message.URLs }
		m.Decode(&gone)
		for _, u := range gone.ChildrenResources {
			w.freed = append(w.freed, u)
			if w.names[u] == s.url {
				delete(w.names, u)
			}
		}
	case m.To == message.DomainRegistryAddress(domain):
		return w.domainRegistry(m, body.Resource, body.Value)
	}
	return m.Respond(message.CodeOK, nil)
}

func (w *world) domainRegistry(m message.Message, resource message.URL, value json.RawMessage) message.Message {
	switch m.Type {
	case message.Create:
		var e struct{ URL message.URL }
		json.Unmarshal(value, &e)
		w.entries[e.URL] = value
		delete(w.gone, e.URL)
	case message.Read:
		if w.found != nil && resource.Scheme() != message.SchemeHyperty {
			return w.found(m)
		}
		w.reads[resource]++
		e, ok := w.entries[resource]
		if !ok {
			return m.Refuse(message.CodeNotFound, "not found")
		}
		if w.cheat != nil {
			if v := w.cheat(resource, e); v != nil {
				return m.Respond(message.CodeOK, v)
			}
		}
		if w.gone[resource] {
			return m.Respond(message.CodeTimeout, e)
		}
		return m.Respond(message.CodeOK, e)
	case message.Update:
		if _, ok := w.entries[resource]; !ok {
			return m.Refuse(message.CodeNotFound, "not found")
		}
		var v, e map[string]any
		json.Unmarshal(value, &v)
		json.Unmarshal(w.entries[resource], &e)
		maps.Copy(e, v)
		w.entries[resource] = message.Encode(e)
		w.gone[resource] = e["status"] == "disconnected"
	}
	return m.Respond(message.CodeOK, nil)
}
