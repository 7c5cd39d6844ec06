package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// message appends what the stub gets instead of a message of the node: every other entry of the Domain Registry is a
// forged one.
func (c *conn) message(out, body []byte) []byte {
	m, err := wire.ParseMessage(body)
	if err != nil || m.Type != message.Response || m.From != message.DomainRegistryAddress(m.From.NodeDomain()) || c.r.IntN(2) == 0 {
		return wire.Append(out, wire.KindMessage, body)
	}
	forged, ok := c.entry(m.Body)
	if !ok {
		return wire.Append(out, wire.KindMessage, body)
	}
	c.r.Count("forge entry")
	m.Body = forged
	return wire.AppendMessage(out, &m)
}

// entry forges the entry that a Domain Registry's answer has; ok is false where it has none.
func (c *conn) entry(body json.RawMessage) (forged json.RawMessage, ok bool) {
	var answer struct {
		Code  int                        `json:"code"`
		Value map[string]json.RawMessage `json:"value"`
	}
	var owner string
	if json.Unmarshal(body, &answer) != nil || json.Unmarshal(answer.Value["runtime"], &owner) != nil || owner == "" {
		return nil, false
	}
	accomplice, honest := string(c.r.accomplice), message.Encode(answer)
	other := c.r.another(answer.Value)
	switch c.r.IntN(5) {
	case 0: // the whole of it is the accomplice's
		return json.RawMessage(strings.ReplaceAll(string(body), owner, accomplice)), accomplice != ""
	case 1: // the runtime alone
		answer.Value["runtime"] = message.Encode(accomplice)
	case 2: // the requester itself is named as the owner
		answer.Value["runtime"] = message.Encode(c.self())
	case 3: // no proof, another runtime
		delete(answer.Value, "proof")
		answer.Value["runtime"] = message.Encode(accomplice)
	case 4: // another name's entry, with all that proves it, under this name
		if other == nil {
			return nil, false
		}
		url, id := answer.Value["url"], answer.Value["hypertyID"]
		answer.Value = maps.Clone(other)
		for name, value := range map[string]json.RawMessage{"url": url, "hypertyID": id} {
			if value != nil {
				answer.Value[name] = value
			}
		}
	}
	forged = message.Encode(answer)
	return forged, !bytes.Equal(forged, honest)
}

// another keeps an entry, and returns one that was kept before.
func (r *relay) another(entry map[string]json.RawMessage) (old map[string]json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.entries) > 0 {
		old = r.entries[r.IntN(len(r.entries))]
	}
	if len(r.entries) < maxEntries {
		r.entries = append(r.entries, maps.Clone(entry))
	} else {
		r.entries[r.IntN(maxEntries)] = maps.Clone(entry)
	}
	return old
}

// forge appends a message that nobody has sent.
func (c *conn) forge(out []byte) []byte {
	m := c.r.Forgery()
	switch c.r.IntN(5) {
	case 0, 1: // an application to another
	case 2: // a component of the other runtime
		for other := range c.r.others(c.self()) {
			m.From = other.Join("sm")
		}
	case 3: // a runtime's registry about what there is
		for other := range c.r.others(c.self()) {
			m.From, m.To = other.Join("registry"), c.self().Join("registry")
			m.Body = message.Encode(map[string]any{"operation": "add", "value": c.r.Names(), "version": 1})
		}
	case 4: // the receiver itself
		m.From = m.To
	}
	if m.Check() != nil {
		return out
	}
	c.r.Count("forge from")
	return wire.AppendMessage(out, &m)
}

// others are the runtimes that are connected, but one.
func (r *relay) others(but message.URL) map[message.URL]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := map[message.URL]bool{}
	for runtime := range r.conns {
		if runtime != but {
			list[runtime] = true
		}
	}
	return list
}
