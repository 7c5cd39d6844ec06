package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// width is the longest line of a comment.
const width = 100

// Init returns a commented file that has every key with its default, behind a "#". Keys that are given (dotted → value), and
// those that are required, are set.
func (s *Schema) Init(given map[string]string) (string, error) {
	w := &initial{schema: s, given: map[string]any{}}
	for key, value := range given {
		k := s.root().find(strings.Split(key, "."))
		if k == nil {
			return "", fmt.Errorf("%s", s.root().unknown(strings.Split(key, ".")))
		}
		v, err := k.parse(value)
		if err == nil {
			err = k.meaning(v)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", key, err)
		}
		w.given[key] = v
	}
	w.comment("", fmt.Sprintf("The configuration of %s. Every key is here at its default, behind a \"#\": take the \"#\" away, and nothing else, to set it. "+
		"A variable of the environment wins over this file, and a flag over both: log.level is %s.", s.Program, s.Variable("log", "level")))
	w.group(s.root(), nil)
	return w.String(), nil
}

type initial struct {
	strings.Builder
	schema *Schema
	given  map[string]any
}

// group writes the members of a group.
func (w *initial) group(k *Key, parts []string) {
	for i := range k.Keys {
		if k.Keys[i].Gone != "" {
			continue
		}
		if i > 0 || len(parts) == 0 {
			w.WriteByte('\n')
		}
		w.key(&k.Keys[i], append(parts[:len(parts):len(parts)], k.Keys[i].Name))
	}
}

func (w *initial) key(k *Key, parts []string) {
	indent := strings.Repeat("  ", len(parts)-1)
	w.comment(indent, k.sentence())
	if k.Type == Group {
		fmt.Fprintf(w, "%s%s:\n", indent, k.Name)
		w.group(k, parts)
		return
	}
	if len(k.Named) > 0 {
		fmt.Fprintf(w, "%s%s:\n", indent, k.Name)
		for i, name := range slices.Sorted(maps.Keys(k.Named)) {
			if i > 0 {
				w.WriteByte('\n')
			}
			named := *k.Named[name]
			named.Name = name
			w.key(&named, append(parts[:len(parts):len(parts)], name))
		}
		return
	}
	value, set := w.given[strings.Join(parts, ".")]
	switch {
	case set:
		fmt.Fprintf(w, "%s%s: %s\n", indent, k.Name, literal(value))
	case k.Required != "" && k.Default == nil:
		fmt.Fprintf(w, "%s%s: %s\n", indent, k.Name, k.Example)
	case k.Default != nil && (k.Empty == "" || !isEmpty(k.Default)) && k.Default != "":
		fmt.Fprintf(w, "%s#%s: %s\n", indent, k.Name, k.written(k.Default))
	default:
		fmt.Fprintf(w, "%s#%s: %s\n", indent, k.Name, k.example())
	}
}

func isEmpty(v any) bool {
	items, ok := v.([]any)
	return ok && len(items) == 0
}

// comment writes a text in lines of a comment.
func (w *initial) comment(indent, text string) {
	line := indent + "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width && line != indent+"#" {
			w.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	if line != indent+"#" {
		w.WriteString(line + "\n")
	}
}

// sentence returns the comment of a key, without its default.
func (k *Key) sentence() string {
	text := k.About
	if words := k.takes(); len(k.Words) > 0 || strings.Contains(words, "; ") || k.Type == Size || k.Type == Duration {
		text += " It takes " + words + "."
	}
	if k.Shown != "" && (k.Default == nil || k.Default == "" || isEmpty(k.Default)) {
		text += " Default: " + k.Shown + "."
	}
	return text
}

// takes describes the type, unit, words and range of a key; "" for a group.
func (k *Key) takes() string {
	var parts []string
	switch {
	case k.Type == Group:
		return ""
	case len(k.Words) > 0:
		parts = append(parts, strings.Join(k.Words, ", "))
		if k.Type == List {
			parts[0] = "a list of " + parts[0]
		}
	case k.Type == Map && k.Each != nil && k.Each.Type == Map:
		parts = append(parts, "names, each with keys below it")
	case k.Type == Map && k.Each != nil:
		parts = append(parts, "names, each with a "+string(k.Each.Type))
	case k.Type == Groups:
		parts = append(parts, "a list of groups of keys")
	case k.Type == Bool, k.Type == Any:
		parts = append(parts, string(k.Type))
	default:
		parts = append(parts, "a "+string(k.Type))
	}
	if k.Unit != "" {
		parts = append(parts, k.Unit)
	}
	switch {
	case k.Most == math.MaxInt32 && k.Least == 0: // the largest int on any machine: no limit to mention
	case k.Most != 0:
		parts = append(parts, "from "+k.readable(k.Least)+" to "+k.readable(k.Most))
	case k.Least != 0:
		parts = append(parts, "at least "+k.readable(k.Least))
	}
	if k.Zero != "" {
		parts = append(parts, k.readable(0)+": "+k.Zero)
	}
	return strings.Join(parts, "; ")
}

// readable returns a number with its unit, as people write it.
func (k *Key) readable(n int64) string {
	if k.Type == Duration {
		return FormatDuration(time.Duration(n))
	}
	return k.number(n)
}

// written returns a value as it is written in a file.
func (k *Key) written(v any) string {
	if n, ok := whole(v); ok && k.Type == Size {
		return FormatSize(n)
	}
	return literal(v)
}

// example returns a value that the key takes.
func (k *Key) example() string {
	if k.Example != "" {
		return k.Example
	}
	switch k.Type {
	case List, Groups:
		return "[]"
	case Map, Any:
		return "{}"
	}
	return `""`
}
