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
	Default any    // as the file has it; nil where the key is not there by default
	Shown   string // how the default reads where it depends on the machine or on other keys
	Unit    string // of a number, for people
	About   string // what it means, in a sentence or two
	Example string // YAML, of a key without a default

	Words []string // a text or list: the texts that it takes
	Least int64    // the least number, size in bytes or duration in nanoseconds
	Most  int64    // the largest; 0: no limit
	Zero  string   // what 0 means where it is outside of that range
	// Check looks at a value beyond its type and range; its errors do not name the key. The value has the form that
	// [Values.Decode] gives it: string, bool, int64, time.Duration, []string.
	Check func(value any) error
	Names func(name string) error // Map: what a name must look like

	Required  string // what to say where it is missing or empty; "": it may be
	NoDefault error  // why a required key has no default on this machine; nil: it has one, or has none anywhere
	Empty     string // what to write instead of nothing, where an empty value or list is an error
	Nothing   string // the same, where only a value that is not there ("key:") is one
	Gone      string // what to do instead: the key is not there any more

	Was    []string            // earlier names, beside it
	Flag   string              // the command line's flag that sets it
	Secret bool                // never shown
	Hide   func(string) string // what may be shown of it

	Keys  []Key           // Group, Groups
	Each  *Key            // Map
	Named map[string]*Key // Map: what some names take instead of Each
}

// Schema is all keys of a program.
type Schema struct {
	Program string // as people call it: protofly
	Prefix  string // of its variables: PROTOFLY_
	// DefaultFile says, behind the variable, which file is read where none is named: ", else …"; "" for none.
	DefaultFile string
	// Ignore tells that a variable with the prefix is somebody else's.
	Ignore func(variable string) bool
	// Variables are further variables that set a key: variable → key.
	Variables map[string]string
	// SingleUnderscores accepts the variables of keys with one underscore between the levels for one version, with a warning.
	SingleUnderscores bool
	// FoldNames says which names below a key, as "stubs", have hyphens where variables have underscores.
	FoldNames string
	// WorkingFolder accepts relative paths in the file that only exist in the current folder for one version, with a warning.
	WorkingFolder bool
	Keys          []Key
}

// root is the group of all keys.
func (s *Schema) root() *Key { return &Key{Keys: s.Keys} }

// ConfigVariable is the variable that names the file.
func (s *Schema) ConfigVariable() string { return s.Prefix + "CONFIG" }

// Variable is the environment variable that sets a key.
func (s *Schema) Variable(parts ...string) string {
	return s.Prefix + strings.ToUpper(strings.ReplaceAll(strings.Join(parts, "__"), "-", "_"))
}

// child is the key below k with the name, or nil.
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
	case Groups: // the name is an item's number
		return &Key{Keys: k.Keys}
	case Any:
		return k
	}
	return nil
}

// find is the key at the path, or nil.
func (k *Key) find(parts []string) *Key {
	for _, part := range parts {
		if k == nil {
			return nil
		}
		k = k.child(part)
	}
	return k
}

// walk visits every key below k that has a fixed name, groups before what is in them.
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

// Leaves is every key that takes a value and has a fixed name, dotted and sorted.
func (s *Schema) Leaves() []string { return s.root().leaves("", false) }

// leaves is every key below k that takes a value and has a fixed name; with groups, also the groups.
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

// defaults is the first layer.
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
	About     string // on one line
}

// Flags is the flags that set keys.
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
