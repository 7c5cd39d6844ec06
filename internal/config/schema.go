package config

import (
	"maps"
	"slices"
	"strings"
)

// Type is what a key takes.
type Type string

// The types of keys. The zero value is a group.
const (
	Group    Type = ""                       // keys below it
	Map      Type = "names"                  // names below it, each of which takes what Each says
	Text     Type = "text"                   //
	Path     Type = "path"                   // a file or folder
	Bool     Type = "true or false"          //
	Int      Type = "whole number"           //
	Scalar   Type = "text or whole number"   //
	Size     Type = "size"                   // 65536 or 64KiB
	Duration Type = "duration"               // 10s
	List     Type = "list of texts"          //
	Groups   Type = "list of groups of keys" // each item has the keys
	Any      Type = "anything"               // what another program checks
)

// Key is a key of the configuration.
type Key struct {
	Name    string
	Type    Type
	Default any    // as a file has it; nil: the key has no default
	Shown   string // text for a default that depends on the machine or on other keys
	Unit    string // of a number, for texts
	About   string // what it means, in a sentence or two
	Example string // YAML, of a key without a default

	Words []string // a text or list: the texts that it takes
	Least int64    // the least number, size in bytes or duration in nanoseconds
	Most  int64    // the largest; 0: no limit
	Zero  string   // what 0 means, if it is allowed outside of that range
	// Check checks a value beyond its type and range; its errors do not name the key. The value has the type that
	// [Values.Decode] gives it: string, bool, int64, time.Duration, []string.
	Check func(value any) error
	Names func(name string) error // Map: what a name must look like

	Required  string // the error if the key is missing or empty; "": it is not required
	NoDefault error  // why a required key has no default on this machine; nil: it has one, or has none on any machine
	Empty     string // if not "", an empty value or list is an error; this says what to write instead
	Nothing   string // the same if only a missing value ("key:") is an error
	Gone      string // if not "", the key was removed; this says what to do instead

	Was    []string            // earlier names, in the same group
	Flag   string              // the command line's flag that sets it
	Secret bool                // never shown
	Hide   func(string) string // returns the part of a value that may be shown

	Keys  []Key           // Group, Groups
	Each  *Key            // Map
	Named map[string]*Key // Map: names that have another key than Each
}

// Schema has all keys of a program.
type Schema struct {
	Program string // the program's name, such as protofly
	Prefix  string // of its variables: PROTOFLY_
	// DefaultFile is the end of a sentence in the help: which file is read if none is named (", else …"); "" if there is none.
	DefaultFile string
	// Ignore tells whether a variable with the prefix belongs to something else than the configuration.
	Ignore func(variable string) bool
	// Variables has further variables that set a key: variable → key.
	Variables map[string]string
	// SingleUnderscores accepts the variables of keys with one underscore between the levels for one version, with a warning.
	SingleUnderscores bool
	// FoldNames is a key, such as "stubs", whose names may have hyphens; in variables they have underscores instead.
	FoldNames string
	// WorkingFolder accepts relative paths in the file that only exist in the current folder for one version, with a warning.
	WorkingFolder bool
	Keys          []Key
}

// root returns the group of all keys.
func (s *Schema) root() *Key { return &Key{Keys: s.Keys} }

// ConfigVariable returns the environment variable that names the file.
func (s *Schema) ConfigVariable() string { return s.Prefix + "CONFIG" }

// Variable returns the environment variable that sets a key.
func (s *Schema) Variable(parts ...string) string {
	return s.Prefix + strings.ToUpper(strings.ReplaceAll(strings.Join(parts, "__"), "-", "_"))
}

// child returns the key below k with the name, or nil.
func (k *Key) child(name string) *Key {
	switch k.Type {
	case Group:
		for i := range k.Keys {
			if k.Keys[i].Name == name {
				return &k.Keys[i]
			}
		}
	case Map:
		if named := k.Named[name]; named != nil {
			return named
		}
		return k.Each
	case Groups: // the name is the number of an item
		return &Key{Keys: k.Keys}
	case Any:
		return k
	}
	return nil
}

// find returns the key at the path, or nil.
func (k *Key) find(parts []string) *Key {
	for _, part := range parts {
		if k == nil {
			return nil
		}
		k = k.child(part)
	}
	return k
}

// walk visits every key below k that has a fixed name; a group comes before its members.
func (k *Key) walk(at []string, visit func(parts []string, k *Key)) {
	for i := range k.Keys {
		below := append(at[:len(at):len(at)], k.Keys[i].Name)
		visit(below, &k.Keys[i])
		if t := k.Keys[i].Type; t == Group || t == Map {
			k.Keys[i].walk(below, visit)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(k.Named)) {
		k.Named[name].walk(append(at[:len(at):len(at)], name), visit)
	}
}

// Leaves returns every key that takes a value and has a fixed name, dotted and sorted.
func (s *Schema) Leaves() []string { return s.root().leaves("", false) }

// leaves returns every key below k that takes a value and has a fixed name; if groups is set, also the groups.
func (k *Key) leaves(prefix string, groups bool) []string {
	var all []string
	k.walk(nil, func(parts []string, k *Key) {
		if k.Gone == "" && (groups || k.Type != Group) {
			all = append(all, prefix+strings.Join(parts, "."))
		}
	})
	slices.Sort(all)
	return all
}

// defaults returns the first layer.
func (k *Key) defaults() map[string]any {
	layer := map[string]any{}
	for i := range k.Keys {
		switch child := &k.Keys[i]; {
		case child.Gone != "":
		case child.Type == Group:
			layer[child.Name] = child.defaults()
		case child.Default != nil:
			layer[child.Name] = child.Default
		}
	}
	return layer
}

// Flag is a flag of the command line that sets a key.
type Flag struct {
	Flag, Key string
	Type      Type
	About     string // the help text, one line
}

// Flags returns the flags that set keys.
func (s *Schema) Flags() (all []Flag) {
	s.root().walk(nil, func(parts []string, k *Key) {
		if k.Flag == "" {
			return
		}
		about := strings.TrimSuffix(k.About, ".")
		if len(k.Words) > 0 {
			about += ": " + strings.Join(k.Words, ", ")
		}
		about = strings.ToLower(about[:1]) + about[1:]
		all = append(all, Flag{Flag: k.Flag, Key: strings.Join(parts, "."), Type: k.Type, About: about + " (" + strings.Join(parts, ".") + ")"})
	})
	return all
}
