package proof

import (
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Entry is what a runtime signs of its entry at a Domain Registry (specification, "Domain Registry"): everything that
// the runtime says in it but the status. The signature does not cover what a node adds or changes (status, times,
// GUID). Its JSON form is part of the entry's.
type Entry struct {
	URL         message.URL `json:"url"`     // of the hyperty, data object or runtime
	Runtime     message.URL `json:"runtime"` // the runtime at which it is, and which signs
	Descriptor  message.URL `json:"descriptor,omitempty"`
	User        message.URL `json:"user,omitempty"`
	Name        string      `json:"name,omitempty"`
	Schema      message.URL `json:"schema,omitempty"`
	Reporter    message.URL `json:"reporter,omitempty"`
	Resources   []string    `json:"resources"`
	DataSchemes []string    `json:"dataSchemes"`
	Handlers    []Handler   `json:"p2pHandlers,omitempty"`
}

// Handler is a P2P Handler that an entry offers.
type Handler struct {
	Name      string      `json:"name"` // the plug-in's
	Handler   message.URL `json:"handler"`
	Requester message.URL `json:"requester"` // in the catalogue
}

// EntryProof is the entry's field "proof": the runtime's key and its signature of the [Entry] and of the times.
type EntryProof struct {
	Key       []byte `json:"key"`
	Signature []byte `json:"signature"`
	Issued    int64  `json:"issued"`  // Unix milliseconds. Of two proofs for one address the one issued later counts.
	Expires   int64  `json:"expires"` // Unix milliseconds
}

const (
	// MaxEntryLifetime is the longest time that a proof may hold.
	MaxEntryLifetime = 7 * 24 * time.Hour
	// ClockTolerance is by how much clocks may differ: a proof is believed for as long before and after its time.
	ClockTolerance = 24 * time.Hour
	// MaxEntry is the longest JSON text of an entry that is read.
	MaxEntry = 256 << 10
)

// ErrEntry says that an entry is not signed by the runtime that it names. Errors that wrap it say why.
var ErrEntry = errors.New("not signed by the runtime that it names")

// Sign signs the entry for the time from issued to expires. The key must be the one that e.Runtime is derived from.
func (e Entry) Sign(key ed25519.PrivateKey, issued, expires time.Time) *EntryProof {
	var read Entry // what is signed is what a reader will read: JSON has no text that is not UTF-8
	if text, err := json.Marshal(e); err != nil || json.Unmarshal(text, &read) != nil {
		read = e
	}
	public, _ := key.Public().(ed25519.PublicKey)
	p := &EntryProof{Key: public, Issued: issued.UnixMilli(), Expires: expires.UnixMilli()}
	p.Signature = ed25519.Sign(key, p.text(read))
	return p
}

// Verify tells whether the runtime that e names has signed it; [EntryProof.Current] checks the times. The error wraps
// [ErrEntry] and says what is wrong.
func (p *EntryProof) Verify(e Entry) error {
	switch {
	case len(p.Key) != ed25519.PublicKeySize || len(p.Signature) != ed25519.SignatureSize:
		return fmt.Errorf("%w: a key of %d bytes and a signature of %d, want %d and %d", ErrEntry,
			len(p.Key), len(p.Signature), ed25519.PublicKeySize, ed25519.SignatureSize)
	case strings.TrimPrefix(e.Runtime.Runtime().Path(), "/") != RuntimeID(p.Key):
		return fmt.Errorf("%w: the key in its proof is not the one that %s is derived from", ErrEntry, e.Runtime)
	case p.Issued <= 0 || p.Expires <= p.Issued || p.Expires-p.Issued > MaxEntryLifetime.Milliseconds():
		return fmt.Errorf("%w: its proof is to hold from %d to %d", ErrEntry, p.Issued, p.Expires)
	case !ed25519.Verify(p.Key, p.text(e), p.Signature):
		return fmt.Errorf("%w: the signature in its proof is not of this entry", ErrEntry)
	}
	return nil
}

// Current tells whether the proof holds at the time now, give or take [ClockTolerance]. The error wraps [ErrEntry].
func (p *EntryProof) Current(now time.Time) error {
	issued, expires := time.UnixMilli(p.Issued), time.UnixMilli(p.Expires)
	switch {
	case issued.Add(-ClockTolerance).After(now):
		return fmt.Errorf("%w: its proof is of %s, which is to come: a clock is wrong, there or here", ErrEntry, issued.UTC().Format(time.RFC3339))
	case expires.Add(ClockTolerance).Before(now):
		return fmt.Errorf("%w: its proof has expired at %s", ErrEntry, expires.UTC().Format(time.RFC3339))
	}
	return nil
}

// ParseEntry reads an entry with its proof, which is nil where the entry has none; it verifies nothing. A node may
// have written hypertyID for url and userID for user. The error wraps [message.ErrMalformed].
func ParseEntry(text json.RawMessage) (Entry, *EntryProof, error) {
	if len(text) > MaxEntry {
		return Entry{}, nil, fmt.Errorf("%w: an entry of %d bytes, at most %d are read", message.ErrMalformed, len(text), MaxEntry)
	}
	var wire struct {
		Entry
		HypertyID message.URL `json:"hypertyID"`
		UserID    message.URL `json:"userID"`
		Proof     *EntryProof `json:"proof"`
	}
	if err := json.Unmarshal(text, &wire); err != nil {
		return Entry{}, nil, fmt.Errorf("%w: entry: %w", message.ErrMalformed, err)
	}
	e := wire.Entry
	if e.URL == "" {
		e.URL = wire.HypertyID
	}
	if e.User == "" {
		e.User = wire.UserID
	}
	for _, u := range []message.URL{e.URL, e.Runtime} {
		if _, err := message.ParseURL(string(u)); err != nil {
			return Entry{}, nil, fmt.Errorf("%w: entry: %w", message.ErrMalformed, err)
		}
	}
	if e.Runtime.Runtime() == "" {
		return Entry{}, nil, fmt.Errorf("%w: entry: %s is no runtime", message.ErrMalformed, e.Runtime)
	}
	return e, wire.Proof, nil
}

// text is what a runtime signs: a name of this form, the times, and each field with its length in front; lists with
// the number of their items. It has nothing of JSON in it, so nothing depends on how JSON is written.
func (p *EntryProof) text(e Entry) []byte {
	b := append(make([]byte, 0, 1024), "protofly registry entry v1\x00"...)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Issued))
	b = binary.BigEndian.AppendUint64(b, uint64(p.Expires))
	add := func(texts ...string) {
		for _, t := range texts {
			b = binary.BigEndian.AppendUint32(b, uint32(len(t)))
			b = append(b, t...)
		}
	}
	list := func(texts []string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(texts)))
		add(texts...)
	}
	add(string(e.URL.Canonical()), string(e.Runtime.Canonical()), string(e.Descriptor), string(e.User), e.Name,
		string(e.Schema), string(e.Reporter))
	list(e.Resources)
	list(e.DataSchemes)
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Handlers)))
	for _, h := range e.Handlers {
		add(h.Name, string(h.Handler), string(h.Requester))
	}
	return b
}
