package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Limits of a data object.
const (
	MaxData  = 512 << 10 // bytes of the data's JSON text
	MaxDepth = 64        // levels of objects and arrays
	MaxPath  = 2048      // bytes of an attribute path
)

// Errors of [Parse] and [Document.Apply]. They come wrapped with what was found.
var (
	ErrData     = errors.New("malformed data") // not a JSON object
	ErrTooLarge = errors.New("data too large") // more than MaxData bytes or MaxDepth levels
	ErrPath     = errors.New("bad attribute")  // a path that does not fit the data
)

// Document is the data of an object at one version. It is immutable: Apply returns another one, which shares what has
// not changed. The zero value is an empty object.
type Document struct {
	root *members
	text json.RawMessage // in place of root where the document is packed
	size int             // at least the bytes of the JSON text, however it is escaped
	hash uint64          // of the root; 0 with neither root nor text
}

func documentOf(root *members) Document {
	return Document{root: root, size: root.size, hash: hashOf(root)}
}

// Parse reads data; empty text is an empty object.
func Parse(raw json.RawMessage) (Document, error) {
	if len(raw) == 0 {
		return Document{}, nil
	}
	v, err := decode(raw, 0)
	if err != nil {
		return Document{}, err
	}
	root, ok := v.(*members)
	if !ok {
		return Document{}, fmt.Errorf("%w: want a JSON object", ErrData)
	}
	if root.size > MaxData {
		return Document{}, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, root.size, MaxData)
	}
	return documentOf(root), nil
}

// JSON writes the data: members in the order of their keys, no spaces. Documents that are alike have the same text. The caller
// owns the result.
func (d Document) JSON() json.RawMessage {
	if d.text != nil {
		return bytes.Clone(d.text)
	}
	if d.root == nil {
		return json.RawMessage("{}")
	}
	return encode(d.root)
}

// Size is the length of the data's JSON text in bytes, or somewhat more. It costs nothing.
func (d Document) Size() int { return max(d.size, 2) }

// Hash is the hash of the data, 16 hexadecimal digits: documents that are alike have the same, and others another one. It costs
// next to nothing.
func (d Document) Hash() string { return formatHash(d.sum()) }

// Differs tells whether hash is another document's. What is not the form of a hash, such as "", says nothing.
func (d Document) Differs(hash string) bool { return differs(hash, d.sum()) }

// Equal tells whether both are alike.
func (d Document) Equal(other Document) bool { return d.sum() == other.sum() }

func (d Document) sum() uint64 {
	if d.root == nil && d.text == nil {
		return hashOf((*members)(nil))
	}
	return d.hash
}

// Lookup returns the JSON text of an attribute, and whether there is one.
func (d Document) Lookup(attribute string) (json.RawMessage, bool) {
	v, ok := d.find(attribute)
	if !ok {
		return nil, false
	}
	return encode(v), true
}

// find finds an attribute.
func (d Document) find(attribute string) (any, bool) {
	p, err := parsePath(attribute)
	if err != nil {
		return nil, false
	}
	var node any = d.open()
	for more := true; more; {
		switch at := node.(type) {
		case *members:
			var key string
			var ok bool
			if key, p, more, ok = p.cutKey(at); !ok || at == nil {
				return nil, false
			}
			if node, ok = at.of[key]; !ok {
				return nil, false
			}
		case *items:
			var element string
			element, p, more = p.cut()
			i, ok := index(element)
			if !ok || i >= len(at.of) {
				return nil, false
			}
			node = at.of[i]
		default:
			return nil, false
		}
	}
	return node, true
}

// open is the document's root; nil: an empty one.
func (d Document) open() *members {
	if d.text == nil {
		return d.root
	}
	v, err := decode(d.text, 0)
	root, ok := v.(*members)
	if err != nil || !ok {
		panic(fmt.Sprintf("a packed document is not what was packed: %v", err)) // Packed has written it
	}
	return root
}
