package object

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Apply returns the document with c applied. Nothing is changed where there is an error. To remove what is not there changes
// nothing, and is no error but for elements of arrays.
func (d Document) Apply(c Change) (Document, error) {
	p, err := parsePath(c.Attribute)
	if err != nil {
		return d, err
	}
	e := edit{c}
	root, err := e.object(d.open(), p, 1)
	if err != nil {
		return d, fmt.Errorf("attribute %.80q: %w", c.Attribute, err)
	}
	if root == nil { // an empty document, from which something was removed
		return d, nil
	}
	if root.size > MaxData {
		return d, fmt.Errorf("attribute %.80q: %w: %d bytes, at most %d are allowed", c.Attribute, ErrTooLarge, root.size, MaxData)
	}
	return documentOf(root), nil
}

// edit is one run of Apply.
type edit struct{ Change }

// object applies the change to the attribute path of the object at; nil is an empty one.
func (e *edit) object(at *members, p path, depth int) (*members, error) {
	key, rest, more, ok := p.cutKey(at)
	if !ok || depth >= MaxDepth {
		return nil, fmt.Errorf("%w: an empty element, or more than %d", ErrPath, MaxDepth)
	}
	var old any
	had := false
	if at != nil {
		old, had = at.of[key]
	}
	if e.removes() {
		switch {
		case !had, more && old == nil: // nothing is there: nothing is made on the way
			return at, e.reaches(rest, more, depth)
		case !more:
			return at.without(key), nil
		}
	}
	if more || e.appends(old) {
		child, err := e.inside(old, rest, more, depth+1)
		if err != nil {
			return nil, err
		}
		return at.with(key, child), nil
	}
	v, err := decode(e.Value, depth)
	if err != nil {
		return nil, err
	}
	return at.with(key, v), nil
}

// reaches is the error of a path that could not be followed even if all were there.
func (e *edit) reaches(p path, more bool, depth int) error {
	for ; more; depth++ {
		var ok bool
		if _, p, more, ok = p.cutKey(nil); !ok || depth+1 >= MaxDepth {
			return fmt.Errorf("%w: an empty element, or more than %d", ErrPath, MaxDepth)
		}
	}
	return nil
}

// inside applies the change to what is below node.
func (e *edit) inside(node any, p path, more bool, depth int) (any, error) {
	switch at := node.(type) {
	case *members:
		return e.object(at, p, depth)
	case *items:
		if !more { // an addition without an index: at the end
			p.text = strconv.Itoa(len(at.of))
		}
		return e.array(at, p, depth)
	case nil:
		if e.Type == Array && p.end() < 0 {
			if !more {
				p.text = "0"
			}
			return e.array(&items{size: 2}, p, depth)
		}
		return e.object(nil, p, depth)
	}
	return nil, fmt.Errorf("%w: there is %s on the way", ErrPath, kindOf(node))
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case *members:
		return "an object"
	case *items:
		return "an array"
	case nil:
		return "null"
	}
	return "a number"
}

// array applies the change to the elements of at.
func (e *edit) array(at *items, p path, depth int) (*items, error) {
	element, rest, more := p.cut()
	n := len(at.of)
	i, ok := index(element)
	switch {
	case !ok || i > n || (more && i == n):
		return nil, fmt.Errorf("%w: no element %.20q in an array of %d", ErrPath, element, n)
	case depth >= MaxDepth:
		return nil, fmt.Errorf("%w: more than %d levels", ErrTooLarge, MaxDepth)
	case more && e.removes() && at.of[i] == nil:
		return at, e.reaches(rest, more, depth)
	case more:
		child, err := e.inside(at.of[i], rest, true, depth+1)
		if err != nil {
			return nil, err
		}
		return at.splice(i, 1, child), nil
	case e.removes():
		return e.cut(at, i)
	}
	list := e.Operation == Add && isList(e.Value)
	if list {
		depth-- // the list of the elements is no level of its own
	}
	v, err := decode(e.Value, depth)
	if err != nil {
		return nil, err
	}
	switch {
	case list:
		return at.splice(i, 0, v.(*items).of...), nil
	case e.Operation == Add, i == n: // to replace the one behind the last appends, as in the reference
		return at.splice(i, 0, v), nil
	}
	return at.splice(i, 1, v), nil
}

// cut removes elements from i on: as many as the value says, one where it says nothing.
func (e *edit) cut(at *items, i int) (*items, error) {
	n := e.removed()
	if n < 0 || n > len(at.of)-i {
		return nil, fmt.Errorf("%w: %d elements from %d on in an array of %d", ErrPath, n, i, len(at.of))
	}
	return at.splice(i, n), nil
}

// removed is how many elements of an array the removal is of.
func (c *Change) removed() int {
	n := 1
	var list []json.RawMessage
	switch {
	case len(c.Value) == 0 || c.Operation != Remove || json.Unmarshal(c.Value, &n) == nil:
		return n
	case json.Unmarshal(c.Value, &list) == nil:
		return len(list)
	}
	return 1 // the removed element itself
}
