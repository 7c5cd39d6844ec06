package object

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

// Limits of metadata.
const (
	MaxName      = 256  // bytes of a name
	MaxResources = 32   // resources
	MaxChildren  = 1024 // names of children
	maxText      = 64   // bytes of a time or status
)

// Metadata describes an object (specification, "Metadata"). Data is absent in invitations and present in answers to
// subscribe and read. Members that are not listed here are ignored.
type Metadata struct {
	URL          message.URL     `json:"url,omitempty"`
	Reporter     message.URL     `json:"reporter,omitempty"`
	Runtime      message.URL     `json:"runtime,omitempty"`
	Schema       message.URL     `json:"schema,omitempty"`
	Name         string          `json:"name,omitempty"`
	Created      string          `json:"created,omitempty"` // ISO 8601, UTC, milliseconds
	LastModified string          `json:"lastModified,omitempty"`
	Resources    []string        `json:"resources,omitempty"`
	Status       string          `json:"status,omitempty"`
	Childrens    []string        `json:"childrens"` // names under which there may be child objects
	Version      uint64          `json:"version,omitempty"`
	Mutual       bool            `json:"mutual"`
	Resume       bool            `json:"resume"`
	Grace        string          `json:"grace,omitempty"` // how long the object outlives its reporter's absence, see [ParseGrace]; "": not known
	Keep         bool            `json:"keep,omitempty"`  // the reporter's runtime keeps the value in its data folder
	Away         string          `json:"away,omitempty"`  // since when the reporter is away; "": it is there
	Data         json.RawMessage `json:"data,omitempty"`
	Hash         string          `json:"hash,omitempty"` // of the data, only where that is there too; see [Document.Hash]
}

// ErrMetadata says that metadata breaks a limit or lacks what it must have. It comes wrapped with what was found.
var ErrMetadata = errors.New("malformed metadata")

// Check tells whether the metadata that came from outside keeps its limits and has well-formed addresses.
func (m *Metadata) Check() error {
	if len(m.Name) > MaxName || len(m.Resources) > MaxResources || len(m.Childrens) > MaxChildren {
		return fmt.Errorf("%w: a name of %d bytes, %d resources, %d children; at most %d, %d and %d are allowed", ErrMetadata,
			len(m.Name), len(m.Resources), len(m.Childrens), MaxName, MaxResources, MaxChildren)
	}
	if len(m.Created) > maxText || len(m.LastModified) > maxText || len(m.Status) > maxText || len(m.Grace) > maxText || len(m.Away) > maxText ||
		len(m.Hash) > maxText {
		return fmt.Errorf("%w: a time, grace time, status or hash is longer than %d bytes", ErrMetadata, maxText)
	}
	for _, list := range [][]string{m.Resources, m.Childrens} {
		for _, name := range list {
			if len(name) > MaxName {
				return fmt.Errorf("%w: a resource's or child's name of %d bytes, at most %d are allowed", ErrMetadata, len(name), MaxName)
			}
		}
	}
	for _, u := range []message.URL{m.URL, m.Reporter, m.Runtime, m.Schema} {
		if u == "" {
			continue
		}
		if _, err := message.ParseURL(string(u)); err != nil {
			return fmt.Errorf("%w: %w", ErrMetadata, err)
		}
	}
	return nil
}

// Now is the present time as metadata writes it.
func Now() string { return Time(time.Now()) }

// The addresses of an object (specification, "Well-known suffixes").

// Subscription is where the reporter's sync manager takes subscriptions to the object.
func Subscription(object message.URL) message.URL { return object.Join("subscription") }

// Changes is where updates of the object, and its deletion, are published.
func Changes(object message.URL) message.URL { return object.Join("changes") }
