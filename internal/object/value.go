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
)

// A value of a document is nil, a bool, a json.Number, a string, a *members or an *items. Values do not change: what changes
// is copied.

// members is an object.
type members struct {
	of   map[string]any
	size int    // of the JSON text, see sizeOf
	sum  uint64 // of hashMember of each member
}

// items is an array.
type items struct {
	of   []any
	size int
	sum  uint64 // polynomial of the elements
}

// with is at with value under key. at may be nil, an object without members.
func (at *members) with(key string, value any) *members {
	next := members{size: 2}
	if at != nil {
		next = members{of: maps.Clone(at.of), size: at.size, sum: at.sum}
	}
	if next.of == nil {
		next.of = make(map[string]any, 1)
	}
	next.drop(key)
	next.of[key] = value
	next.size += keySize(key) + sizeOf(value)
	next.sum += hashMember(key, hashOf(value))
	return &next
}

// without is at without the member key, which is there.
func (at *members) without(key string) *members {
	next := &members{of: maps.Clone(at.of), size: at.size, sum: at.sum}
	next.drop(key)
	delete(next.of, key)
	return next
}

// drop takes what is under key out of the size and the sum. Only who has just copied at calls it.
func (at *members) drop(key string) {
	if old, had := at.of[key]; had {
		at.size -= keySize(key) + sizeOf(old)
		at.sum -= hashMember(key, hashOf(old))
	}
}

// splice is at with fresh in place of n elements from i on.
func (at *items) splice(i, n int, fresh ...any) *items {
	next := &items{of: make([]any, 0, len(at.of)-n+len(fresh)), size: at.size}
	next.of = append(append(append(next.of, at.of[:i]...), fresh...), at.of[i+n:]...)
	before, after := at.around(i, n)
	next.sum = before + polynomial(fresh, i)
	if shift := len(fresh) - n; shift >= 0 {
		next.sum += after * power(hashBase, shift)
	} else {
		next.sum += after * power(hashInverse, -shift)
	}
	for _, old := range at.of[i : i+n] {
		next.size -= sizeOf(old) + 1
	}
	for _, v := range fresh {
		next.size += sizeOf(v) + 1
	}
	return next
}

// around is what the elements before i, and those from i+n on, add to the sum. It looks at the shorter of the two sides only.
func (at *items) around(i, n int) (before, after uint64) {
	rest := at.sum - polynomial(at.of[i:i+n], i)
	if i <= len(at.of)-i-n {
		before = polynomial(at.of[:i], 0)
		return before, rest - before
	}
	after = polynomial(at.of[i+n:], i+n)
	return rest - after, after
}

// hashOf is the hash of a value.
func hashOf(v any) uint64 {
	switch v := v.(type) {
	case *members:
		if v == nil {
			return mix(hashObject)
		}
		return mix(v.sum + hashObject)
	case *items:
		return mix(v.sum + hashArray)
	case string:
		return mix(hashText(v) + hashString)
	case json.Number:
		return mix(hashText(string(v)) + hashNumber)
	case bool:
		if v {
			return mix(hashTrue)
		}
		return mix(hashFalse)
	}
	return mix(hashNull)
}

// sizeOf is the length of v's JSON text, or somewhat more: so that a limit needs no encoding.
func sizeOf(v any) int {
	switch v := v.(type) {
	case *members:
		return v.size
	case *items:
		return v.size
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
	v, ok := valueOf(v, MaxDepth-depth)
	if !ok {
		return nil, fmt.Errorf("%w: more than %d levels", ErrTooLarge, MaxDepth)
	}
	return v, nil
}

// valueOf makes a value of what package json has decoded. It tells whether that has at most levels levels of objects and
// arrays.
func valueOf(v any, levels int) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		at := &members{of: v, size: 2}
		for key, child := range v {
			child, ok := valueOf(child, levels-1)
			if levels <= 1 || !ok {
				return nil, false
			}
			v[key] = child
			at.size += keySize(key) + sizeOf(child)
			at.sum += hashMember(key, hashOf(child))
		}
		return at, levels > 0
	case []any:
		at := &items{of: v, size: 2}
		for i, child := range v {
			child, ok := valueOf(child, levels-1)
			if levels <= 1 || !ok {
				return nil, false
			}
			v[i] = child
			at.size += sizeOf(child) + 1
		}
		at.sum = polynomial(v, 0)
		return at, levels > 0
	}
	return v, levels >= 0
}

// encode is the JSON text of a value: members in the order of their keys, no spaces.
func encode(v any) json.RawMessage { return appendValue(make([]byte, 0, sizeOf(v)), v) }

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case *members:
		b = append(b, '{')
		for i, key := range slices.Sorted(maps.Keys(v.of)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, key), ':')
			b = appendValue(b, v.of[key])
		}
		return append(b, '}')
	case *items:
		b = append(b, '[')
		for i, child := range v.of {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, child)
		}
		return append(b, ']')
	case string:
		return appendText(b, v)
	case json.Number:
		return append(b, v...)
	case bool:
		return strconv.AppendBool(b, v)
	}
	return append(b, "null"...)
}

// appendText appends a JSON string, as package json writes it where it does not escape for HTML.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return appendEscaped(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendEscaped(b []byte, s string) []byte {
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	out.SetEscapeHTML(false)
	if err := out.Encode(s); err != nil { // not for a string
		panic("object: " + err.Error())
	}
	return append(b, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
}
