package hyperty

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Query says which hyperties [Hyperty.Find] looks for: those that have everything that is set here. The zero value means all of the
// runtime's domain.
type Query struct {
	User     message.URL `json:"user,omitempty"`     // the user for whom they act
	Resource string      `json:"resource,omitempty"` // one of their Registration.Resources
	Scheme   string      `json:"scheme,omitempty"`   // one of their Registration.DataSchemes
	Domain   string      `json:"domain,omitempty"`   // whose Domain Registry is asked; "": that of the runtime's own domain
	Page     int         `json:"page,omitempty"`     // which part of the result, from 1; 0: the first
	Size     int         `json:"size,omitempty"`     // hyperties of one page; 0: 100; at most [MaxFound]
}

// MaxFound is how many hyperties one call of [Hyperty.Find] gives at most.
const MaxFound = 256

// Found is a hyperty that was found. Everything but State and Since is signed by its runtime; those two are the word of the Message
// Node.
type Found struct {
	URL         message.URL   `json:"url"`
	User        message.URL   `json:"user,omitempty"` // as its application says; nobody checks it
	Runtime     message.URL   `json:"runtime"`        // where it is
	Descriptor  message.URL   `json:"descriptor,omitempty"`
	Resources   []string      `json:"resources,omitempty"`
	DataSchemes []string      `json:"dataSchemes,omitempty"`
	State       PresenceState `json:"state"` // [Registered] or [Away]
	Since       time.Time     `json:"since,omitzero"`
}

// Findings is a page of what was found.
type Findings struct {
	Found []Found `json:"found"` // by address
	More  bool    `json:"more"`  // there may be a next page
}

// Find asks the Domain Registry which hyperties there are. Nothing that fits is no error. Ephemeral hyperties, private data objects, and
// hyperties of runtimes that this one may not speak with (its operator's trust policy) are not found, and neither is an entry whose
// runtime has not signed it. A page may have fewer hyperties than Size although there are more.
//
// The pages of a result are read one after the other, so a hyperty that comes or goes meanwhile may be missed or given twice. The
// error is a *[message.ResponseError]: 400 for a query that cannot be asked, 429 where the hyperty asks too much at once, 504 while the
// Message Node is away.
func (h *Hyperty) Find(ctx context.Context, q Query) (Findings, error) {
	out, err := RequestJSON[Findings](ctx, h, h.discovery(), message.Read, map[string]Query{"find": q})
	return out, h.undiscovered("find", err)
}

// discovery is the component of the runtime that finds and watches.
func (h *Hyperty) discovery() message.URL { return h.runtime.Join("discovery") }

// undiscovered is an error of the runtime's discovery for whoever has called.
func (h *Hyperty) undiscovered(what string, err error) error {
	var no *message.ResponseError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &no) && no.Code == message.CodeNotFound:
		return fmt.Errorf("%s: the runtime %s is of an earlier version, which cannot do that: %w", what, h.runtime, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
