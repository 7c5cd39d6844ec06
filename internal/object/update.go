package object

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/protofly/protofly/sdk/message"
)

// Replacement is the change that sets an attribute of d.
func (d Document) Replacement(attribute string, value json.RawMessage) Change {
	c := Change{Attribute: attribute, Value: value}
	if d.inArray(attribute) {
		c.Type = Array
	}
	return c
}

// Addition is the change that appends value to the array attribute of d (specification, "Trickle"). The array need not exist
// yet.
func (d Document) Addition(attribute string, value json.RawMessage) Change {
	n := 0
	if v, ok := d.find(attribute); ok {
		if list, ok := v.(*items); ok {
			n = len(list.of)
		}
	}
	if isList(value) {
		value = append(append(json.RawMessage{'['}, value...), ']') // else it would be read as a list of items
	}
	return Change{Attribute: attribute + "." + strconv.Itoa(n), Type: Array, Operation: Add, Value: value}
}

// Removal is the change that removes an attribute of d, or an element of an array.
func (d Document) Removal(attribute string) Change {
	if d.inArray(attribute) {
		return Change{Attribute: attribute, Type: Array, Operation: Remove, Value: json.RawMessage("1")}
	}
	return Change{Attribute: attribute}
}

// Has tells whether there is an attribute of that path, and refuses a path that is none.
func (d Document) Has(attribute string) (bool, error) {
	if _, ok := d.find(attribute); ok {
		return true, nil
	}
	p, err := parsePath(attribute)
	if err == nil {
		e := edit{}
		err = e.reaches(p, true, 0)
	}
	return false, err
}

// Extensible tells whether an element can be added to an attribute: it is an array, or null, or not there.
func (d Document) Extensible(attribute string) error {
	v, _ := d.find(attribute)
	if _, ok := v.(*items); ok || v == nil {
		return nil
	}
	return fmt.Errorf("%w: %.80q is %s, no array", ErrPath, attribute, kindOf(v))
}

// inArray tells whether attribute is an element of an array.
func (d Document) inArray(attribute string) bool {
	array, _, ok := splitLast(attribute)
	if !ok {
		return false
	}
	v, _ := d.find(array)
	_, ok = v.(*items)
	return ok
}

// Update is the body of an update message (specification, "Trickle"). One without an attribute carries the complete
// object, [Metadata] with data, in its value: it replaces what an observer has.
type Update struct {
	Resource     message.URL     `json:"resource,omitempty"` // between a syncher and its sync manager: the object
	Version      *uint64         `json:"version,omitempty"`
	Attribute    string          `json:"attribute,omitempty"`
	Type         string          `json:"attributeType,omitempty"`
	Operation    Operation       `json:"operation,omitempty"`
	Value        json.RawMessage `json:"value,omitempty"`
	LastModified string          `json:"lastModified,omitempty"`
	Hash         string          `json:"hash,omitempty"` // of the data with the change in it, see [Document.Hash]
	Mutual       bool            `json:"mutual"`
}

// Check tells whether the update from outside keeps its limits; its change is checked by [Document.Apply], its whole
// value by [ParseWhole].
func (u *Update) Check() error {
	if len(u.LastModified) > maxText || len(u.Type) > maxText || len(u.Operation) > maxText || len(u.Hash) > maxText {
		return fmt.Errorf("%w: a word of an update is longer than %d bytes", ErrMetadata, maxText)
	}
	return nil
}

// Size is about how many bytes the update keeps in memory.
func (u *Update) Size() int { return len(u.Value) + len(u.Attribute) + 128 }

// Change is the update's change.
func (u *Update) Change() Change {
	return Change{Attribute: u.Attribute, Type: u.Type, Operation: u.Operation, Value: u.Value}
}

// NewUpdate is the update that makes a document the given version by c. It has no hash.
func NewUpdate(c Change, version uint64, lastModified string) Update {
	return Update{Version: &version, Attribute: c.Attribute, Type: c.Type, Operation: c.Operation, Value: c.Value, LastModified: lastModified}
}

// WholeUpdate is the update that carries the complete object.
func WholeUpdate(meta Metadata, doc Document) Update {
	meta.Data, meta.Hash = doc.JSON(), doc.Hash()
	return Update{Version: &meta.Version, Value: message.Encode(meta), LastModified: meta.LastModified}
}

// ParseWhole reads a complete object, as it is in the answer to a subscribe and in an update without an attribute.
// The metadata comes without the data in it. Its hash says what the other side takes the data's to be; where that is another one,
// the two count differently, and hashes from there say nothing.
func ParseWhole(value json.RawMessage) (Metadata, Document, error) {
	var meta Metadata
	if err := json.Unmarshal(value, &meta); err != nil {
		return Metadata{}, Document{}, fmt.Errorf("%w: %w", ErrMetadata, err)
	}
	if err := meta.Check(); err != nil {
		return Metadata{}, Document{}, err
	}
	doc, err := Parse(meta.Data)
	meta.Data = nil
	return meta, doc, err
}
