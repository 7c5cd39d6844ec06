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
	return fmt.Errorf("%s: %s: %w", v.Place(key), key, fmt.Errorf(format, args...))
}

// Place is where a key's value comes from, for errors: FILE:LINE, the variable, flag, or config where nobody gave it.
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
