package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// slash separates the parts of a key inside koanf, since names of domains have dots.
const slash = "/"

// fromDefault is the origin of a value that no source has set.
const fromDefault = "default"

// loading is the state of one Load.
type loading struct {
	schema   *Schema
	root     *Key
	k        *koanf.Koanf
	origin   map[string]string
	errs     []error
	more     int // number of mistakes beyond those in errs
	warnings []string
}

func (l *loading) fail(where, format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf("%s: %s", where, fmt.Sprintf(format, args...)))
}

// merge checks a layer and overlays the earlier layers with it.
func (l *loading) merge(layer map[string]any, where func(parts []string) string) {
	c := &checker{root: l.root,
		fail: func(parts []string, why string) { l.fail(where(parts), "%s", why) },
		warn: func(parts []string, why string) { l.warnings = append(l.warnings, where(parts)+": "+why) }}
	warned := len(l.warnings)
	c.check(l.root, nil, layer)
	slices.Sort(l.warnings[warned:])
	l.more += max(0, c.mistakes-maxMistakes)
	for _, parts := range leafPaths(nil, layer) {
		l.origin[strings.Join(parts, ".")] = where(parts)
	}
	if err := l.k.Load(confmap.Provider(layer, ""), nil); err != nil {
		l.errs = append(l.errs, err)
	}
}

// leafPaths returns the paths of all values in a map, sorted.
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

// flags merges the values of the given flags, over all other sources.
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

// parse converts a text to a value of the key at the path.
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
