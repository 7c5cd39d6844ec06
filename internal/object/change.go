package object

import (
	"encoding/json"
	"strconv"
	"strings"
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
	_, ok := old.([]any)
	return ok || old == nil
}

// Items returns c as changes of one element each: an addition of several elements to an array becomes as many changes; a single
// added element that was wrapped in an array is unwrapped; a change without a value becomes a Remove. Any other change is
// returned as it is.
func (c Change) Items() []Change {
	if c.removes() {
		c.Operation = Remove
		return []Change{c}
	}
	var list []json.RawMessage
	if c.Operation != Add || c.Type != Array || json.Unmarshal(c.Value, &list) != nil {
		return []Change{c}
	}
	array, first := "", 0
	if dot := strings.LastIndexByte(c.Attribute, '.'); dot >= 0 {
		array = c.Attribute[:dot]
		first, _ = index(c.Attribute[dot+1:])
	}
	out := make([]Change, 0, len(list))
	for i, item := range list {
		one := c
		one.Value = item
		if array != "" {
			one.Attribute = array + "." + strconv.Itoa(first+i)
		}
		out = append(out, one)
	}
	return out
}
