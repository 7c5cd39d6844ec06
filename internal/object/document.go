package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
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
	root map[string]any
	text json.RawMessage // instead of root, if the document is packed
	size int             // the bytes of the JSON text, or more, whatever is escaped
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
	root, ok := v.(map[string]any)
	if !ok {
		return Document{}, fmt.Errorf("%w: want a JSON object", ErrData)
	}
	d := Document{root: root, size: sizeOf(root)}
	if d.size > MaxData {
		return Document{}, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, d.size, MaxData)
	}
	return d, nil
}

// JSON writes the data. The caller owns the result.
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
	var node any = d.open()
	if len(attribute) > MaxPath {
		return nil, false
	}
	for more := true; more; {
		switch at := node.(type) {
		case map[string]any:
			var key string
			key, attribute, more = cutKey(at, attribute)
			v, ok := at[key]
			if !ok {
				return nil, false
			}
			node = v
		case []any:
			var element string
			element, attribute, more = strings.Cut(attribute, ".")
			i, ok := index(element)
			if !ok || i >= len(at) {
				return nil, false
			}
			node = at[i]
		default:
			return nil, false
		}
	}
	return node, true
}

// Apply returns the document with c applied. If there is an error nothing is changed.
func (d Document) Apply(c Change) (Document, error) {
	if c.Attribute == "" || len(c.Attribute) > MaxPath {
		return d, fmt.Errorf("%w: a path of %d bytes, 1 to %d are allowed", ErrPath, len(c.Attribute), MaxPath)
	}
	if !utf8.ValidString(c.Attribute) {
		return d, fmt.Errorf("%w: %.80q is not UTF-8", ErrPath, c.Attribute)
	}
	e := edit{Change: c}
	root, err := e.object(d.open(), c.Attribute, 1)
	if err != nil {
		return d, fmt.Errorf("attribute %.80q: %w", c.Attribute, err)
	}
	next := Document{root: root, size: d.Size() + e.grown}
	if next.size > MaxData {
		return d, fmt.Errorf("attribute %.80q: %w: %d bytes, at most %d are allowed", c.Attribute, ErrTooLarge, next.size, MaxData)
	}
	return next, nil
}

// edit is one run of Apply.
type edit struct {
	Change
	grown int // bytes that the JSON text grows by
}

// set puts child under key into a copy of at.
func (e *edit) set(at map[string]any, key string, old any, had bool, child any) map[string]any {
	if !had {
		e.grown += keySize(key)
	} else if old == nil {
		// A null on the way has become an object or array, whose own braces were counted.
		e.grown -= sizeOf(nil)
	}
	if at = maps.Clone(at); at == nil {
		at = make(map[string]any, 1)
	}
	at[key] = child
	return at
}

// object applies the change to the attribute path of the object at.
func (e *edit) object(at map[string]any, path string, depth int) (map[string]any, error) {
	key, rest, more := cutKey(at, path)
	if key == "" || depth >= MaxDepth {
		return nil, fmt.Errorf("%w: an empty element, or more than %d", ErrPath, MaxDepth)
	}
	old, had := at[key]
	if more || e.appends(old) {
		child, err := e.inside(old, rest, more, depth+1)
		if err != nil {
			return nil, err
		}
		return e.set(at, key, old, had, child), nil
	}
	if e.removes() {
		if had {
			e.grown -= keySize(key) + sizeOf(old)
			at = maps.Clone(at)
			delete(at, key)
		}
		return at, nil
	}
	v, err := decode(e.Value, depth)
	if err != nil {
		return nil, err
	}
	e.grown += sizeOf(v)
	if had && old != nil {
		e.grown -= sizeOf(old)
	}
	return e.set(at, key, old, had, v), nil
}

// inside applies the change to what is below node.
func (e *edit) inside(node any, path string, more bool, depth int) (any, error) {
	switch at := node.(type) {
	case map[string]any:
		return e.object(at, path, depth)
	case []any:
		if !more { // an addition without an index: at the end
			path = strconv.Itoa(len(at))
		}
		return e.array(at, path, depth)
	case nil:
		e.grown += 2
		if e.Type == Array && !strings.Contains(path, ".") {
			if !more {
				path = "0"
			}
			return e.array([]any{}, path, depth) // not nil, which is written as null
		}
		return e.object(nil, path, depth)
	}
	return nil, fmt.Errorf("%w: there is a %T on the way", ErrPath, node)
}

// array applies the change to the elements of at.
func (e *edit) array(at []any, path string, depth int) ([]any, error) {
	element, rest, more := strings.Cut(path, ".")
	i, ok := index(element)
	switch {
	case !ok || i > len(at) || (more && i == len(at)):
		return nil, fmt.Errorf("%w: no element %.20q in an array of %d", ErrPath, element, len(at))
	case depth >= MaxDepth:
		return nil, fmt.Errorf("%w: more than %d levels", ErrTooLarge, MaxDepth)
	case more:
		child, err := e.inside(at[i], rest, true, depth+1)
		if err != nil {
			return nil, err
		}
		if at[i] == nil {
			e.grown -= sizeOf(nil)
		}
		at = slices.Clone(at)
		at[i] = child
		return at, nil
	case e.removes():
		return e.cut(at, i)
	}
	v, err := decode(e.Value, depth-1) // a list of items may wrap them: its own level does not count
	if err != nil {
		return nil, err
	}
	if e.Operation != Add { // replace; one behind the last appends, as the reference does
		e.grown += sizeOf(v)
		if i == len(at) {
			e.grown++
			return append(slices.Clone(at), v), nil
		}
		e.grown -= sizeOf(at[i])
		at = slices.Clone(at)
		at[i] = v
		return at, nil
	}
	items, wrapped := v.([]any)
	if !wrapped {
		items = []any{v}
	}
	for _, item := range items {
		e.grown += sizeOf(item) + 1
	}
	return slices.Insert(slices.Clone(at), i, items...), nil
}

// cut removes elements from i on: as many as the value says, one if there is no value.
func (e *edit) cut(at []any, i int) ([]any, error) {
	n := 1
	if len(e.Value) > 0 && e.Operation == Remove {
		var list []json.RawMessage
		if json.Unmarshal(e.Value, &n) != nil {
			if json.Unmarshal(e.Value, &list) != nil {
				n = 1 // the removed element itself
			} else {
				n = len(list)
			}
		}
	}
	if n < 0 || n > len(at)-i {
		return nil, fmt.Errorf("%w: %d elements from %d on in an array of %d", ErrPath, n, i, len(at))
	}
	for _, old := range at[i : i+n] {
		e.grown -= sizeOf(old) + 1
	}
	return slices.Delete(slices.Clone(at), i, i+n), nil
}

// decode reads one JSON value that will be below depth levels.
func decode(raw json.RawMessage, depth int) (any, error) {
	if len(raw) > MaxData {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, len(raw), MaxData)
	}
	in := json.NewDecoder(bytes.NewReader(raw))
	in.UseNumber()
	var v any
	if err := in.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrData, err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one value", ErrData)
	}
	if !within(v, MaxDepth-depth) {
		return nil, fmt.Errorf("%w: more than %d levels", ErrTooLarge, MaxDepth)
	}
	return v, nil
}

// within tells whether v has at most levels levels of objects and arrays.
func within(v any, levels int) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, child := range v {
			if levels <= 1 || !within(child, levels-1) {
				return false
			}
		}
		return levels > 0
	case []any:
		for _, child := range v {
			if levels <= 1 || !within(child, levels-1) {
				return false
			}
		}
		return levels > 0
	}
	return levels >= 0
}

func encode(v any) json.RawMessage {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	if err := out.Encode(v); err != nil { // cannot fail for values of decode
		panic("object: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// sizeOf is the length of v's JSON text, or somewhat more: so that a limit needs no encoding.
func sizeOf(v any) int {
	switch v := v.(type) {
	case map[string]any:
		n := 2
		for key, child := range v {
			n += keySize(key) + sizeOf(child)
		}
		return n
	case []any:
		n := 2 + len(v)
		for _, child := range v {
			n += sizeOf(child)
		}
		return n
	case string:
		return textSize(v)
	case json.Number:
		return len(v)
	}
	return 5
}

func keySize(key string) int { return textSize(key) + 2 }

func textSize(s string) int {
	n := len(s) + 2
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20 || c == 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&': // some encoders escape these
			n += 5
		case c == 0xe2: // the line separators are escaped
			n += 3
		}
	}
	return n
}

// open is the document's root; nil: an empty one.
func (d Document) open() map[string]any {
	if d.text == nil {
		return d.root
	}
	v, err := decode(d.text, 0)
	root, ok := v.(map[string]any)
	if err != nil || !ok {
		panic(fmt.Sprintf("a packed document is not what was packed: %v", err)) // Packed has written it
	}
	return root
}
