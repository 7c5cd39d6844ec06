package config

import (
	"fmt"
	"sort"
	"strings"
)

// kind is what a key takes.
type kind uint8

const (
	group  kind = iota // keys below it
	byName             // names below it, each of which takes each
	text
	path   // a text
	scalar // a text or a whole number
	list   // of texts
	truth
	anything
	gone // a key of earlier versions
)

// node is a key.
type node struct {
	kind kind
	keys map[string]*node // group
	each *node            // byName
	want string           // list: what is to stand there instead of nothing, where an empty list is an error; gone: what to do
}

// What the keys of trust that may not be empty ask for, and why there are no domains among them. An empty list would be
// the widest of all: somebody's template had nothing to fill in.
const (
	wantPeers = "name the runtimes that this one speaks with, or write [any] for every runtime"
	wantPins  = "name what is pinned, or leave the key out"
	noDomains = "this key is not there any more: any Message Node lets any key connect under any domain, so it proved nothing of who is who. " +
		"List the runtimes in trust.peers, by their addresses, which are derived from their keys; or pin names to runtimes with trust.pins"
)

// root is every key that there is.
func root() *node {
	leaf := func(k kind) *node { return &node{kind: k} }
	return &node{keys: map[string]*node{
		"domain": leaf(text),
		"node":   leaf(text),
		"nodes":  {kind: byName, each: leaf(text)},
		"data":   leaf(path),
		"plugins": {keys: map[string]*node{
			"dir": leaf(path), "use": leaf(list), "node": leaf(text), "poll": leaf(text),
			"sandbox": leaf(text), "uids": leaf(scalar), "paths": {kind: byName, each: leaf(list)},
		}},
		"stubs": {kind: byName, each: &node{kind: byName, each: leaf(anything)}},
		"p2p": {keys: map[string]*node{
			"policy": leaf(text), "prefer": leaf(list), "changes": leaf(truth),
		}},
		"sessions": {keys: map[string]*node{"idle": leaf(text)}},
		"trust": {keys: map[string]*node{
			"mode": leaf(text), "peers": {kind: list, want: wantPeers}, "pins": {kind: list, want: wantPins},
			"domains":          {kind: gone, want: noDomains},
			"without_sessions": {keys: map[string]*node{"domains": leaf(list), "peers": leaf(list)}},
		}},
		"catalogue":    {keys: map[string]*node{"networks": leaf(list)}},
		"api":          {keys: map[string]*node{"socket": leaf(path)}},
		"log":          {keys: map[string]*node{"level": leaf(text), "format": leaf(text)}},
		"trace":        leaf(path),
		"trace_bodies": leaf(truth),
	}}
}

// find is the key at the path, or nil.
func (n *node) find(parts []string) *node {
	for _, part := range parts {
		switch {
		case n == nil:
			return nil
		case n.kind == group:
			n = n.keys[part]
		case n.kind == byName:
			n = n.each
		case n.kind == anything:
			return n
		default:
			return nil
		}
	}
	return n
}

// leaves is every key that takes a value and has a fixed name, dotted.
func (n *node) leaves(prefix string) []string {
	var all []string
	for name, child := range n.keys {
		if child.kind == group {
			all = append(all, child.leaves(prefix+name+".")...)
		} else if child.kind != gone {
			all = append(all, prefix+name)
		}
	}
	sort.Strings(all)
	return all
}

// unknown is the error of a key that does not exist, with the nearest one that does.
func (n *node) unknown(parts []string) string {
	key := strings.Join(parts, ".")
	if near := n.near(parts); near != "" {
		return fmt.Sprintf("unknown key %q: did you mean %q?", key, near)
	}
	if parent := n.find(parts[:len(parts)-1]); parent != nil && parent.kind == group && len(parts) > 1 {
		return fmt.Sprintf("unknown key %q: there are %s", key, strings.Join(parent.leaves(strings.Join(parts[:len(parts)-1], ".")+"."), ", "))
	}
	return fmt.Sprintf("unknown key %q: there are %s", key, strings.Join(n.leaves(""), ", "))
}

// near is the key with a fixed name that is nearest to one that does not exist; "" where none is.
func (n *node) near(parts []string) string {
	return nearest(strings.Join(parts, "."), parts[len(parts)-1], n.leaves(""))
}

// nearest is the known key that key was meant to be, as far as one can tell: by the whole of it, or by its last part,
// which may have been put in the wrong group.
func nearest(key, last string, known []string) string {
	best, distance := "", len(key)+1
	consider := func(candidate string, d, length int) {
		if d <= max(1, length/3) && d < distance {
			best, distance = candidate, d
		}
	}
	for _, k := range known {
		consider(k, edits(key, k), len(key))
		consider(k, edits(last, k[strings.LastIndexByte(k, '.')+1:]), len(last))
	}
	return best
}

// edits is how many letters have to be put in, taken out, changed or swapped with their neighbour to make b of a.
func edits(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	before, last, now := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(b)]
}

// check looks at a layer's values: the keys exist and have what they take. A value of nothing ("node:" with nothing
// behind it) counts as not there. Every error goes to fail, with the path of the key.
func (n *node) check(parts []string, value any, fail func(parts []string, why string)) (keep bool) {
	if n.kind == gone {
		fail(parts, strings.Join(parts, ".")+": "+n.want)
		return false
	}
	if items, isList := value.([]any); n.want != "" && (value == nil || isList && len(items) == 0) {
		fail(parts, fmt.Sprintf("%s: it is empty: %s", strings.Join(parts, "."), n.want))
		return false
	}
	if value == nil && n.kind != anything {
		return false
	}
	wrong := func(want string) bool {
		fail(parts, fmt.Sprintf("%s: want %s, not %s", strings.Join(parts, "."), want, describe(value)))
		return false
	}
	switch n.kind {
	case group, byName:
		below, ok := value.(map[string]any)
		if !ok {
			return wrong("keys below it")
		}
		for name, v := range below {
			at := append(parts[:len(parts):len(parts)], name)
			child := n.find([]string{name})
			if child == nil {
				fail(at, root().unknown(at))
				delete(below, name)
			} else if !child.check(at, v, fail) {
				delete(below, name)
			}
		}
	case text, path:
		if _, ok := value.(string); !ok {
			return wrong("a text")
		}
	case scalar:
		switch value.(type) {
		case string, int, int64, uint64:
		default:
			return wrong("a text or a whole number")
		}
	case truth:
		if _, ok := value.(bool); !ok {
			return wrong("true or false")
		}
	case list:
		items, ok := value.([]any)
		if !ok {
			return wrong("a list of texts")
		}
		for _, item := range items {
			if _, ok := item.(string); !ok {
				value = item
				return wrong("a list of texts")
			}
		}
	}
	return true
}

// describe says what a value is, for people.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return fmt.Sprintf("the text %q", v[:min(len(v), 60)])
	case bool:
		return fmt.Sprintf("the truth value %v", v)
	case int, int64, uint64, float64:
		return fmt.Sprintf("the number %v", v)
	case []any:
		return "a list"
	case map[string]any, map[any]any:
		return "keys below it"
	}
	return fmt.Sprintf("%v", v)
}
