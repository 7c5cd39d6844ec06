package object

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Operation is what an update does to its attribute.
type Operation string

// The operations. Set replaces a value. On the wire it has no word, and an update without a value removes the attribute.
const (
	Set    Operation = ""
	Add    Operation = "add"
	Remove Operation = "remove"
)

// Array is the type of an attribute that names an array's element; the other type, "object", needs no treatment.
const Array = "array"

// Change is a change of one attribute.
type Change struct {
	Attribute string          // its path
	Type      string          // Array, "object" or ""
	Operation Operation       //
	Value     json.RawMessage // absent: the attribute is removed; of a Remove in an array: how many elements
}

func (c *Change) removes() bool { return c.Operation == Remove || len(c.Value) == 0 }

// appends tells whether the change adds to the array old itself, without an index.
func (c *Change) appends(old any) bool {
	if c.Operation != Add || c.Type != Array || len(c.Value) == 0 {
		return false
	}
	_, ok := old.(*items)
	return ok || old == nil
}

// Items is what c is, one element at a time: an addition of several elements to an array, or a removal of several, becomes as
// many changes; a single added element that was wrapped in an array is unwrapped; a removal is called so. Everything else is c.
func (c Change) Items() []Change {
	if c.removes() {
		return c.removals()
	}
	var list []json.RawMessage
	if c.Operation != Add || c.Type != Array || !isList(c.Value) || json.Unmarshal(c.Value, &list) != nil {
		return []Change{c}
	}
	array, first, ok := splitLast(c.Attribute)
	out := make([]Change, 0, len(list))
	for i, item := range list {
		one := c
		one.Value = item
		if ok {
			one.Attribute = array + "." + strconv.Itoa(first+i)
		}
		out = append(out, one)
	}
	return out
}

// removals are the removal c, one element at a time: each is at the same place then.
func (c Change) removals() []Change {
	n := 1
	if c.Type == Array {
		n = c.removed()
	}
	c.Operation = Remove
	if n > 1 {
		c.Value = json.RawMessage("1")
	}
	if n == 1 {
		return []Change{c}
	}
	out := make([]Change, 0, min(max(n, 0), MaxData))
	for range cap(out) {
		out = append(out, c)
	}
	return out
}

// isList tells whether a value is an array.
func isList(value json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimLeft(value, " \t\r\n"), []byte{'['})
}
