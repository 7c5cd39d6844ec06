package object

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// path is an attribute's path, or the rest of one.
type path struct {
	text    string
	escaped bool // elements are keys as they are, but for the backslashes before dots and backslashes
}

// parsePath reads an attribute's path.
func parsePath(attribute string) (path, error) {
	if attribute == "" || len(attribute) > MaxPath {
		return path{}, fmt.Errorf("%w: a path of %d bytes, 1 to %d are allowed", ErrPath, len(attribute), MaxPath)
	}
	if !utf8.ValidString(attribute) {
		return path{}, fmt.Errorf("%w: %.80q is not UTF-8", ErrPath, attribute)
	}
	text, escaped := strings.CutPrefix(attribute, ".")
	if escaped {
		for i := 0; i < len(text); i++ {
			if text[i] != '\\' {
				continue
			}
			if i++; i == len(text) || text[i] != '.' && text[i] != '\\' {
				return path{}, fmt.Errorf("%w: %.80q has a backslash that is before no dot and no backslash", ErrPath, attribute)
			}
		}
	}
	return path{text, escaped}, nil
}

// Path is the path of an attribute that is reached by keys, and by the indices of arrays in decimal. Every key has one. It is
// escaped only where it has to be.
func Path(keys ...string) string {
	escape := false
	for _, key := range keys {
		escape = escape || key == "" || strings.Contains(key, ".") || startsWithAddress(key)
	}
	if !escape {
		return strings.Join(keys, ".")
	}
	escaped := strings.NewReplacer(`\`, `\\`, `.`, `\.`)
	b := strings.Builder{}
	for _, key := range keys {
		b.WriteByte('.')
		_, _ = escaped.WriteString(&b, key)
	}
	return b.String()
}

// below is the path of an attribute of what is at the keys; "" is that itself. Where it can be it is not escaped: then an
// address among the keys has to be there.
func below(attribute string, keys ...string) string {
	switch {
	case attribute == "":
		return strings.Join(keys, ".")
	case attribute[0] != '.':
		return strings.Join(keys, ".") + "." + attribute
	}
	escaped := strings.NewReplacer(`\`, `\\`, `.`, `\.`)
	b := strings.Builder{}
	for _, key := range keys {
		b.WriteByte('.')
		_, _ = escaped.WriteString(&b, key)
	}
	return b.String() + attribute
}

// end is the position of the dot behind the first element of p, or -1.
func (p path) end() int {
	if !p.escaped {
		return strings.IndexByte(p.text, '.')
	}
	for i := 0; i < len(p.text); i++ {
		switch p.text[i] {
		case '\\':
			i++
		case '.':
			return i
		}
	}
	return -1
}

// cut takes the first element off p; more tells whether something follows.
func (p path) cut() (element string, rest path, more bool) {
	i := p.end()
	if i < 0 {
		return p.key(p.text), path{escaped: p.escaped}, false
	}
	return p.key(p.text[:i]), path{p.text[i+1:], p.escaped}, true
}

// key is an element as a key.
func (p path) key(element string) string {
	if !p.escaped || strings.IndexByte(element, '\\') < 0 {
		return element
	}
	b := make([]byte, 0, len(element))
	for i := 0; i < len(element); i++ {
		if element[i] == '\\' {
			i++
		}
		b = append(b, element[i])
	}
	return string(b)
}

// cutKey is cut for the object at, where the first element may be an address. ok is false for an element that is no key.
func (p path) cutKey(at *members) (key string, rest path, more, ok bool) {
	if p.escaped || !startsWithAddress(p.text) {
		key, rest, more = p.cut()
		return key, rest, more, p.escaped || key != ""
	}
	for end := len(p.text); end > 0 && at != nil; end = strings.LastIndexByte(p.text[:end], '.') {
		if _, there := at.of[p.text[:end]]; there {
			if end == len(p.text) {
				break
			}
			return p.text[:end], path{text: p.text[end+1:]}, true, true
		}
	}
	return p.text, path{}, false, true
}

// splitLast is the path of what the last element of an attribute's path is in, and that element as an index. ok is false where
// there is none.
func splitLast(attribute string) (parent string, i int, ok bool) {
	dot := strings.LastIndexByte(attribute, '.')
	if dot <= 0 {
		return "", 0, false
	}
	if i, ok = index(attribute[dot+1:]); !ok {
		return "", 0, false
	}
	parent = attribute[:dot]
	if parent[0] == '.' { // is the dot itself a part of a key?
		slashes := len(parent) - len(strings.TrimRight(parent, `\`))
		ok = slashes%2 == 0
	}
	return parent, i, ok
}

func index(element string) (int, bool) {
	if len(element) == 0 || len(element) > 7 || (element[0] == '0' && len(element) > 1) || element[0] == '+' || element[0] == '-' {
		return 0, false
	}
	i, err := strconv.Atoi(element)
	return i, err == nil
}

func startsWithAddress(path string) bool {
	i := 0
	for i < len(path) && (path[i] >= 'a' && path[i] <= 'z' || path[i] == '-') {
		i++
	}
	return i > 0 && strings.HasPrefix(path[i:], "://")
}
