package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	copies "github.com/knadh/koanf/maps"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// Sources are the sources of a configuration.
type Sources struct {
	File    string            // empty: none
	Environ []string          // as os.Environ gives it
	Flags   map[string]string // key, dotted → value, of the flags that were given
}

// Values is a configuration: the value of each key, and its origin.
type Values struct {
	// Origin is the origin of each key's value: dotted key → "default", "FILE:LINE", the variable, or "flag".
	Origin map[string]string
	// Warnings are about old spellings that were accepted. Each has the place and what to write instead.
	Warnings []string

	schema *Schema
	k      *koanf.Koanf
}

// Load reads and checks a configuration. The error joins all mistakes that were found; each has its place. Ranges and the
// schema's own checks are applied only if all values have the right type. Load reads nothing on the machine but the file, and
// checks whether paths in it exist if the schema says so.
func (s *Schema) Load(from Sources) (*Values, error) {
	l := s.layers(from)
	if l.more > 0 {
		l.errs = append(l.errs, fmt.Errorf("and %d mistakes more", l.more))
	}
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	v := &Values{Origin: l.origin, Warnings: l.warnings, schema: s, k: l.k}
	return v, v.meanings()
}

// Peek returns the texts of some keys, as far as the sources can be read. It ignores mistakes, which [Schema.Load] reports.
func (s *Schema) Peek(from Sources, keys ...string) []string {
	v := &Values{k: s.layers(from).k}
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = v.Peek(key)
	}
	return texts
}

// Peek returns the text of a key; "" if it has none.
func (v *Values) Peek(key string) string { return v.k.String(strings.ReplaceAll(key, ".", slash)) }

// layers merges all sources.
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

// meanings checks ranges and runs the keys' own checks.
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

// Errorf makes an error about a key: the origin of its value, the key, and what is wrong.
func (v *Values) Errorf(key, format string, args ...any) error {
	return fmt.Errorf("%s: %s: %w", v.Place(key), key, fmt.Errorf(format, args...))
}

// Place returns the origin of a key's value, for errors: FILE:LINE, the variable, "flag", or "config" if no source has set it.
func (v *Values) Place(key string) string {
	where := v.Origin[key]
	for at := key; where == "" && strings.Contains(at, "."); where = v.Origin[at] {
		at = at[:strings.LastIndexByte(at, '.')]
	}
	if where == "" || where == fromDefault {
		where = "config"
	}
	return where
}

// Given tells whether a source has set the key.
func (v *Values) Given(key string) bool { return v.Origin[key] != "" && v.Origin[key] != fromDefault }

// Set sets a key to a default that depends on other keys.
func (v *Values) Set(key string, value any) {
	_ = v.k.Set(strings.ReplaceAll(key, ".", slash), value) // it fails only for maps of other types
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

// normalBelow returns the members of a group or map in the form that programs use.
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
