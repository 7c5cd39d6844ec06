package syncher

import (
	"encoding/json"
	"time"

	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Errors of [Syncher.Create] and of a reporter's changes, for errors.Is. Nothing has been changed then.
var (
	ErrData     = object.ErrData     // a first value that is not a JSON object
	ErrTooLarge = object.ErrTooLarge // the data would be larger than 512 KiB, or deeper than 64 levels
	ErrPath     = object.ErrPath     // an attribute path that does not fit the data
)

// Metadata describes an object (specification, "Metadata").
type Metadata struct {
	URL          message.URL   // the object
	Reporter     message.URL   // the component that reports it
	Runtime      message.URL   // the reporter's runtime
	Schema       message.URL   // the catalogue's description of its data; may be empty
	Name         string        // for people
	Created      string        // ISO 8601, UTC, milliseconds
	LastModified string        // the same
	Resources    []string      // what it is about: "data", "chat", …
	Children     []string      // the names under which observers may make child objects
	Version      uint64        // how many changes have been made
	Grace        time.Duration // how long the object outlives its reporter's absence; 0 also where its runtime does not say
	Keep         bool          // its runtime keeps its value on the disk
	Away         time.Time     // since when its reporter is away, as far as is known; the zero time: it is there
}

func metadataOf(m object.Metadata) Metadata {
	grace, _, _ := object.ParseGrace(m.Grace)
	return Metadata{Grace: grace, Keep: m.Keep, Away: object.ParseTime(m.Away), URL: m.URL, Reporter: m.Reporter, Runtime: m.Runtime, Schema: m.Schema, Name: m.Name, Created: m.Created,
		LastModified: m.LastModified, Resources: m.Resources, Children: m.Childrens, Version: m.Version}
}

// Child is a child object (specification, "Children"). Only the observer or reporter that has made it changes it; the
// reporter of the object that it belongs to may remove it too. Its JSON form is the value of a [Change] that makes it.
type Child struct {
	Name     string          `json:"name"`     // one of the object's names for children
	Reporter message.URL     `json:"reporter"` // the component that made it
	Created  string          `json:"created"`  // ISO 8601, UTC, milliseconds
	Value    json.RawMessage `json:"value"`    // its data; it must not be changed
}

func childrenOf(d object.Document) map[string]Child {
	all := d.Children()
	if all == nil {
		return nil
	}
	children := make(map[string]Child, len(all))
	for id, c := range all {
		children[id] = Child(c)
	}
	return children
}

// Operation is what a [Change] does to its attribute.
type Operation string

// The operations of a [Change].
const (
	OpSet    = Operation(object.Set)    // the attribute has a new value
	OpAdd    = Operation(object.Add)    // an element of an array was inserted at the path's index
	OpRemove = Operation(object.Remove) // the attribute or the element of an array is gone
	OpAway   = Operation("away")        // the reporter is away: Since says since when. The data is as before
	OpBack   = Operation("back")        // the reporter is there again
)
