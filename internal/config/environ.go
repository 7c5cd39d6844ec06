package config

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/knadh/koanf/providers/env/v2"
)

// environ reads the environment's variables.
func (l *loading) environ(environ []string) {
	s := l.schema
	from, old := map[string]string{}, s.oldVariables()
	given := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		given[name] = value
	}
	read := func(name, value string) (string, any) {
		if name == s.ConfigVariable() || s.Ignore != nil && s.Ignore(name) || strings.TrimSpace(value) == "" {
			return "", nil // an empty variable counts as not set, even if there is no such key
		}
		parts := s.variableParts(name)
		if key, ok := old[name]; ok {
			parts = key
			now := s.Variable(key...)
			if strings.TrimSpace(given[now]) != "" {
				l.fail(name, "it is the old name of %s, which is set too: keep %s", now, now)
				return "", nil
			}
			l.warnings = append(l.warnings, fmt.Sprintf("%s is called %s now; the next version does not take the old name", name, now))
		}
		if !utf8.ValidString(value) {
			l.fail(name, "%s: the text is not UTF-8", strings.Join(parts, "."))
			return "", nil
		}
		v, err := l.parse(parts, value)
		if err != nil {
			l.fail(name, "%v%s", err, l.rightVariable(parts))
			return "", nil
		}
		from[strings.Join(parts, slash)] = name
		return strings.Join(parts, slash), v
	}
	layer, err := env.Provider(slash, env.Opt{Prefix: s.Prefix, TransformFunc: read, EnvironFunc: func() []string { return environ }}).Read()
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	l.merge(layer, func(parts []string) string {
		for n := len(parts); n > 0; n-- { // the key, or one that it is in
			if name := from[strings.Join(parts[:n], slash)]; name != "" {
				return name
			}
		}
		for path, name := range from { // it is a group, with the key in it
			if strings.HasPrefix(path, strings.Join(parts, slash)+slash) {
				return name
			}
		}
		return "environment"
	})
}

// variableParts returns the key that an environment variable sets.
func (s *Schema) variableParts(name string) []string {
	if key, ok := s.Variables[name]; ok {
		return strings.Split(key, ".")
	}
	parts := strings.Split(strings.ToLower(strings.TrimPrefix(name, s.Prefix)), "__")
	if len(parts) > 1 && s.FoldNames != "" && parts[0] == s.FoldNames {
		parts[1] = strings.ReplaceAll(parts[1], "_", "-")
	}
	return parts
}

// oldVariables returns the names that variables had in earlier versions, with their keys.
func (s *Schema) oldVariables() map[string][]string {
	all := map[string][]string{}
	s.root().walk(nil, func(parts []string, k *Key) {
		if k.Type == Group {
			return
		}
		for _, name := range append([]string{k.Name}, k.Was...) {
			at := append(parts[:len(parts)-1:len(parts)-1], name)
			if s.SingleUnderscores {
				all[s.Prefix+strings.ToUpper(strings.Join(at, "_"))] = parts
			}
			all[s.Variable(at...)] = parts
		}
		delete(all, s.Variable(parts...))
	})
	return all
}

// rightVariable returns a hint for a variable of no key: the variable that was probably meant.
func (l *loading) rightVariable(parts []string) string {
	if l.root.find(parts) != nil {
		return ""
	}
	near := l.root.near(parts)
	if near == "" {
		return ""
	}
	return " It is " + l.schema.Variable(strings.Split(near, ".")...)
}

// Variable returns the value of a variable in an environment; "" if it is not set. Of several the last one counts.
func Variable(environ []string, name string) (value string) {
	for _, entry := range environ {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}
