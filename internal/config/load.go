package config

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	copies "github.com/knadh/koanf/maps"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// slash separates the parts of a key inside koanf: the names of domains have dots.
const slash = "/"

// fromDefault is where a value that nobody gave comes from.
const fromDefault = "default"

// Sources is where a configuration comes from.
type Sources struct {
	File    string            // empty: none
	Environ []string          // as os.Environ gives it
	Flags   map[string]string // key, dotted → value, of the flags that were given
}

// Values is a configuration: what each key has, and where it comes from.
type Values struct {
	// Origin is where each key comes from: key, dotted → "default", "FILE:LINE", the variable, or "flag".
	Origin map[string]string
	// Warnings are old spellings that were accepted, each with its place and what to write now.
	Warnings []string

	schema *Schema
	k      *koanf.Koanf
}

// Load reads and checks a configuration. The error is every mistake that was found, joined; each names where it is. What a
// value means is looked at where all have the right type. Load looks at nothing on the machine but the file, and whether
// paths in it exist where the schema asks for that.
func (s *Schema) Load(from Sources) (*Values, error) {
	l := s.layers(from)
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	v := &Values{Origin: l.origin, Warnings: l.warnings, schema: s, k: l.k}
	return v, v.meanings()
}

// Peek is the texts that keys have, as far as the sources can be read: what is wrong with them is for [Schema.Load] to say.
func (s *Schema) Peek(from Sources, keys ...string) []string {
	v := &Values{k: s.layers(from).k}
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = v.Peek(key)
	}
	return texts
}

// Peek is the text that a key has; "" where it has none.
func (v *Values) Peek(key string) string { return v.k.String(strings.ReplaceAll(key, ".", slash)) }

// layers puts the sources one over the other.
func (s *Schema) layers(from Sources) *loading {
	l := &loading{schema: s, root: s.root(), origin: map[string]string{}, k: koanf.New(slash)}
	l.merge(copies.Copy(l.root.defaults()), func([]string) string { return fromDefault })
	if from.File != "" {
		l.file(from.File)
	}
	l.environ(from.Environ)
	l.flags(from.Flags)
	return l
}

// loading is the state of one Load.
type loading struct {
	schema   *Schema
	root     *Key
	k        *koanf.Koanf
	origin   map[string]string
	errs     []error
	warnings []string
}

func (l *loading) fail(where, format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf("%s: %s", where, fmt.Sprintf(format, args...)))
}

// merge checks a layer and puts it over those before it.
func (l *loading) merge(layer map[string]any, where func(parts []string) string) {
	c := &checker{root: l.root,
		fail: func(parts []string, why string) { l.fail(where(parts), "%s", why) },
		warn: func(parts []string, why string) { l.warnings = append(l.warnings, where(parts)+": "+why) }}
	warned := len(l.warnings)
	c.check(l.root, nil, layer)
	slices.Sort(l.warnings[warned:])
	for _, parts := range leafPaths(nil, layer) {
		l.origin[strings.Join(parts, ".")] = where(parts)
	}
	if err := l.k.Load(confmap.Provider(layer, ""), nil); err != nil {
		l.errs = append(l.errs, err)
	}
}

// leafPaths is the paths of all values in a map, sorted.
func leafPaths(parts []string, m map[string]any) [][]string {
	var all [][]string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		at := append(parts[:len(parts):len(parts)], name)
		if below, ok := m[name].(map[string]any); ok && len(below) > 0 {
			all = append(all, leafPaths(at, below)...)
		} else {
			all = append(all, at)
		}
	}
	return all
}

// flags puts the given flags over the rest.
func (l *loading) flags(flags map[string]string) {
	layer := map[string]any{}
	for key, value := range flags {
		parts := strings.Split(key, ".")
		v, err := l.parse(parts, value)
		if err != nil {
			l.fail("flag", "%v", err)
			continue
		}
		put(layer, parts, v)
	}
	l.merge(layer, func([]string) string { return "flag" })
}

// parse reads a value that came as a text, as the key at the path takes it.
func (l *loading) parse(parts []string, value string) (any, error) {
	k := l.root.find(parts)
	if k == nil {
		return nil, errors.New(l.root.unknown(parts))
	}
	v, err := k.parse(value)
	if k.Gone != "" {
		err = errors.New(k.Gone)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(parts, "."), err)
	}
	return v, nil
}

// put sets a value in nested maps.
func put(layer map[string]any, parts []string, v any) {
	for _, part := range parts[:len(parts)-1] {
		below, ok := layer[part].(map[string]any)
		if !ok {
			below = map[string]any{}
			layer[part] = below
		}
		layer = below
	}
	layer[parts[len(parts)-1]] = v
}

// meanings looks at what the values mean.
func (v *Values) meanings() error {
	var errs []error
	var look func(k *Key, parts []string, value any)
	look = func(k *Key, parts []string, value any) {
		key := strings.Join(parts, ".")
		switch below, isMap := value.(map[string]any); {
		case isMap && k.Type == Map:
			for _, name := range slices.Sorted(maps.Keys(below)) {
				at := append(parts[:len(parts):len(parts)], name)
				if k.Names != nil {
					if err := k.Names(name); err != nil {
						errs = append(errs, v.Errorf(strings.Join(at, "."), "%w", err))
						continue
					}
				}
				look(k.child(name), at, below[name])
			}
		case isMap && k.Type == Group:
			for i := range k.Keys {
				child := &k.Keys[i]
				look(child, append(parts[:len(parts):len(parts)], child.Name), below[child.Name])
			}
		case k.Type == Groups:
			items, _ := value.([]any)
			for i, item := range items {
				look(&Key{Keys: k.Keys}, append(parts[:len(parts):len(parts)], fmt.Sprint(i)), item)
			}
		case (value == nil || value == "") && k.NoDefault != nil && !v.Given(key):
			errs = append(errs, k.NoDefault)
		case (value == nil || value == "") && k.Required != "":
			errs = append(errs, v.Errorf(key, "%s", k.Required))
		case value != nil && k.Type != Any:
			if err := k.meaning(value); err != nil {
				errs = append(errs, v.Errorf(key, "%w", err))
			}
		}
	}
	look(v.schema.root(), nil, v.k.Raw())
	return errors.Join(errs...)
}

// Errorf is an error about a key: where its value comes from, the key, and what is wrong.
func (v *Values) Errorf(key, format string, args ...any) error {
	where := v.Origin[key]
	for at := key; where == "" && strings.Contains(at, "."); where = v.Origin[at] {
		at = at[:strings.LastIndexByte(at, '.')]
	}
	if where == "" || where == fromDefault {
		where = "config"
	}
	return fmt.Errorf("%s: %s: %w", where, key, fmt.Errorf(format, args...))
}

// Given tells whether a source has set the key.
func (v *Values) Given(key string) bool { return v.Origin[key] != "" && v.Origin[key] != fromDefault }

// Set gives a key a default that follows from other keys.
func (v *Values) Set(key string, value any) {
	_ = v.k.Set(strings.ReplaceAll(key, ".", slash), value) // the only error is one of maps of other types
}

// Decode fills a struct whose fields have "koanf" tags: texts and paths are strings, sizes int64 or int, durations
// time.Duration, lists []string.
func (v *Values) Decode(into any) error {
	k := koanf.New(slash)
	if err := k.Load(confmap.Provider(v.schema.root().normalBelow(v.k.Raw()), ""), nil); err != nil {
		return err
	}
	return k.UnmarshalWithConf("", into, koanf.UnmarshalConf{
		DecoderConfig: &mapstructure.DecoderConfig{ErrorUnused: true, TagName: "koanf", Result: into}, // no weak types
	})
}

// normalBelow is the members of a group or map in the form that programs use.
func (k *Key) normalBelow(below map[string]any) map[string]any {
	out := make(map[string]any, len(below))
	for name, value := range below {
		out[name] = value
		child := k.child(name)
		if child == nil || child.Type == Any {
			continue
		}
		m, isMap := value.(map[string]any)
		items, isList := value.([]any)
		switch {
		case isMap && (child.Type == Group || child.Type == Map):
			out[name] = child.normalBelow(m)
		case isList && child.Type == Groups:
			each, list := &Key{Keys: child.Keys}, make([]any, 0, len(items))
			for _, item := range items {
				if m, ok := item.(map[string]any); ok {
					list = append(list, each.normalBelow(m))
				}
			}
			out[name] = list
		default:
			if n, err := child.normal(value); err == nil {
				out[name] = n
			}
		}
	}
	return out
}

// absolute is p from dir; "~/" is the home folder.
func absolute(p, dir string) string {
	if rest, ok := strings.CutPrefix(p, "~/"); ok {
		if home, err := userHome(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	if abs, err := filepath.Abs(filepath.Join(dir, p)); err == nil {
		return abs
	}
	return p
}
