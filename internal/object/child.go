package object

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/protofly/protofly/sdk/message"
)

// ChildrenAttribute is the attribute of an object's data that has its child objects, by their ids. So they come with the
// object's value, in the order of its versions, like everything else in it.
const ChildrenAttribute = "childrenObjects"

// MaxNames is how many names of children an object may have.
const MaxNames = 32

const maxChildID = 1024 + 64

// Child is a child object (specification, "Children"). An observer or the reporter of the object has made it, and only that
// component changes it; the object's reporter may remove it too.
type Child struct {
	Name     string          `json:"name"`     // one of the object's Childrens
	Reporter message.URL     `json:"reporter"` // the component that made it
	Created  string          `json:"created"`
	Value    json.RawMessage `json:"value"`
}

// Children is the address for reports of the child objects with a name; of the name "", of all child objects.
func Children(object message.URL, name string) message.URL {
	if name == "" {
		return object.Join("children")
	}
	return object.Join("children", name)
}

// CheckNames tells whether an object may have children of these names: segments of an address.
func CheckNames(names []string) error {
	if len(names) > MaxNames {
		return fmt.Errorf("%w: %d names of children, at most %d are allowed", ErrMetadata, len(names), MaxNames)
	}
	for _, name := range names {
		if !token(name, "._-") {
			return fmt.Errorf("%w: children %.80q: want up to 64 letters, digits, '.', '_' and '-'", ErrMetadata, name)
		}
	}
	return nil
}

// CheckChildID tells whether id is of a child that the component reporter made: <reporter>#<letters and digits>.
func CheckChildID(id string, reporter message.URL) error {
	own, n, ok := strings.Cut(id, "#")
	if !ok || len(id) > maxChildID || !token(n, "-") || message.URL(own).Canonical() != reporter.Canonical() {
		return fmt.Errorf("%w: child %.200q: want %s#<letters and digits>", ErrMetadata, id, reporter)
	}
	return nil
}

func token(s, others string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 64
}

// Child reads a child object in the data.
func (d Document) Child(id string) (Child, bool) {
	var c Child
	raw, ok := d.Lookup(ChildrenAttribute + "." + id)
	return c, ok && json.Unmarshal(raw, &c) == nil
}

// Children reads all child objects in the data, by their ids.
func (d Document) Children() map[string]Child {
	all := map[string]Child{}
	if raw, ok := d.Lookup(ChildrenAttribute); ok && json.Unmarshal(raw, &all) != nil {
		return map[string]Child{}
	}
	return all
}

// ChildAttribute is the path of an attribute of a child object's value, of all of the value where attribute is "". The child has
// to be there.
func ChildAttribute(id, attribute string) string {
	return below(attribute, ChildrenAttribute, id, "value")
}

// IsChildren tells whether an attribute is the child objects, or a part of them.
func IsChildren(attribute string) bool {
	p, err := parsePath(attribute)
	if err != nil {
		return false
	}
	first, _, _ := p.cut()
	return first == ChildrenAttribute
}

// ChildOf is the id of the child object that an attribute is, or is a part of; "" where it is none.
func ChildOf(attribute string) string {
	p, err := parsePath(attribute)
	if err != nil {
		return ""
	}
	first, rest, more := p.cut()
	if first != ChildrenAttribute || !more {
		return ""
	}
	if rest.escaped {
		if first, _, _ = rest.cut(); !strings.Contains(first, "#") {
			return ""
		}
		return first
	}
	own, number, hash := strings.Cut(rest.text, "#")
	if !hash {
		return ""
	}
	n, _, _ := strings.Cut(number, ".")
	return own + "#" + n
}
