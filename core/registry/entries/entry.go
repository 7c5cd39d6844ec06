// Package entries reads what a Domain Registry says of an address, and decides what of it is believed.
//
// A Domain Registry's word is that of its node, which is not trusted. So an entry that a runtime writes has one field more
// than the specification's, proof: {key, signature, issued, expires}, see [proof.Entry]. A reader ignores an entry whose
// proof is missing, is not the named runtime's signature of exactly this entry, has expired, or is issued in the future; and
// one that was issued before another entry for the address that has been believed, of whichever runtime.
package entries

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/protofly/protofly/core/registry/directory"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

const (
	maxHandlers = 16 // Handlers of one remote runtime
	maxEntries  = 64 // entries of one look-up's answer that are looked at
)

// Entry has those fields of a Domain Registry's entry that the Registry uses.
type Entry struct {
	Runtime     message.URL
	Status      string    // set by the node
	Released    bool      // set by the node: the address was given up
	Started     time.Time // when it was registered; set by the node, zero: not
	Modified    time.Time // when its status has changed, or it was kept alive; set by the node, zero: not
	P2PHandlers []directory.Handler

	proof  *proof.EntryProof // nil: it is not signed
	signed proof.Entry       // what the proof must sign; without Runtime and P2PHandlers
}

// Parse reads the value of a look-up of key: one entry, a list, or a map of them by address (specification,
// "Domain Registry"). Entries of other addresses and those that name no runtime are left out, and so are Handlers
// that are not components of the entry's runtime.
func Parse(key message.URL, value json.RawMessage) ([]Entry, error) {
	var raws []json.RawMessage
	var fields map[string]json.RawMessage
	switch {
	case len(value) == 0 || string(value) == "null":
		return nil, nil
	case json.Unmarshal(value, &raws) == nil:
	case json.Unmarshal(value, &fields) != nil:
		return nil, fmt.Errorf("%w: an entry is neither an object nor a list", message.ErrMalformed)
	case fields["runtime"] != nil:
		raws = []json.RawMessage{value}
	default:
		for url, raw := range fields {
			if message.URL(url).Canonical() == key {
				raws = append(raws, raw)
			}
		}
	}
	var list []Entry
	for _, raw := range raws[:min(len(raws), maxEntries)] {
		if e, ok := parseEntry(key, raw); ok {
			list = append(list, e)
		}
	}
	return list, nil
}

func parseEntry(key message.URL, raw json.RawMessage) (Entry, bool) {
	var wire struct {
		URL          string              `json:"url"`
		HypertyID    string              `json:"hypertyID"`
		Runtime      string              `json:"runtime"`
		Status       string              `json:"status"`
		Released     bool                `json:"released"`
		Started      string              `json:"startingTime"`
		Modified     string              `json:"lastModified"`
		P2PHandler   string              `json:"p2pHandler"`
		P2PRequester string              `json:"p2pRequester"`
		P2PHandlers  []directory.Handler `json:"p2pHandlers"`
		Proof        any                 `json:"proof"`
	}
	if json.Unmarshal(raw, &wire) != nil {
		return Entry{}, false
	}
	if wire.URL == "" {
		wire.URL = wire.HypertyID
	}
	runtime, err := message.ParseURL(wire.Runtime)
	if err != nil || runtime.Runtime() == "" || wire.URL != "" && message.URL(wire.URL).Canonical() != key {
		return Entry{}, false
	}
	e := Entry{Runtime: runtime.Runtime(), Status: wire.Status, Released: wire.Released, Started: moment(wire.Started), Modified: moment(wire.Modified)}
	if wire.Proof != nil {
		return parseSigned(key, raw, e)
	}
	if len(wire.P2PHandlers) == 0 && wire.P2PHandler != "" && wire.P2PRequester != "" {
		wire.P2PHandlers = []directory.Handler{{Name: lastSegment(wire.P2PRequester), URL: message.URL(wire.P2PHandler)}}
	}
	for _, h := range wire.P2PHandlers[:min(len(wire.P2PHandlers), maxHandlers)] {
		e.offer(h.Name, h.URL)
	}
	return e, true
}

// parseSigned reads an entry that has a proof: of its fields only those count that the proof signs, and what the node
// says of the status. An unreadable entry gets an empty proof, which signs nothing.
func parseSigned(key message.URL, raw json.RawMessage, e Entry) (Entry, bool) {
	signed, p, err := proof.ParseEntry(raw)
	if err != nil || p == nil {
		e.proof = &proof.EntryProof{}
		return e, true
	}
	if signed.URL.Canonical() != key {
		return Entry{}, false
	}
	e.Runtime, e.proof, e.signed = signed.Runtime.Runtime(), p, signed
	for _, h := range signed.Handlers[:min(len(signed.Handlers), maxHandlers)] {
		e.offer(h.Name, h.Handler)
	}
	return e, true
}

// offer enters a Handler, if it is a component of the entry's runtime.
func (e *Entry) offer(name string, handler message.URL) {
	url, err := message.ParseURL(string(handler))
	if err == nil && name != "" && len(name) <= 64 && url.Runtime() == e.Runtime {
		e.P2PHandlers = append(e.P2PHandlers, directory.Handler{Name: name, URL: url})
	}
}

// moment reads a time of the node; zero where it is none.
func moment(text string) time.Time {
	at, _ := time.Parse(time.RFC3339Nano, text)
	return at.UTC()
}

func lastSegment(u string) string {
	for i := len(u) - 1; i >= 0; i-- {
		if u[i] == '/' {
			return u[i+1:]
		}
	}
	return u
}

// Away returns the entries in an answer that says that all of them are disconnected.
func Away(answer *message.Message, key message.URL) []Entry {
	result, err := answer.Result()
	if err != nil {
		return nil
	}
	list, _ := Parse(key, result.Value)
	for i := range list {
		list[i].Status = message.Disconnected.String()
	}
	return list
}
