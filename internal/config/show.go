package config

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Show returns the effective configuration as YAML in the form of a file, with secrets hidden. If origin is set, each line says
// where its value comes from. For the given names below a map (map → names), it shows defaults too.
func (v *Values) Show(origin bool, names map[string][]string) (string, error) {
	raw := v.k.Raw()
	for key, list := range names {
		v.fill(raw, key, list)
	}
	var doc yaml.Node
	if err := doc.Encode(conceal(v.schema.root(), "", raw)); err != nil {
		return "", fmt.Errorf("show config: %w", err)
	}
	if origin {
		v.annotate(&doc, nil)
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(&doc); err != nil {
		return "", fmt.Errorf("show config: %w", err)
	}
	return out.String(), e.Close()
}

// fill adds the defaults of names below a map.
func (v *Values) fill(raw map[string]any, key string, names []string) {
	k := v.schema.root().find(strings.Split(key, "."))
	below, _ := raw[key].(map[string]any)
	if k == nil || below == nil {
		return
	}
	for _, name := range names {
		if named := k.Named[name]; named != nil {
			all := named.defaults()
			given, _ := below[name].(map[string]any)
			overlay(all, given)
			below[name] = all
		}
	}
}

// overlay overlays a group with given values.
func overlay(under, given map[string]any) {
	for name, value := range given {
		below, isMap := value.(map[string]any)
		if before, ok := under[name].(map[string]any); ok && isMap {
			overlay(before, below)
			continue
		}
		under[name] = value
	}
}

// annotate adds a comment with the origin to each value.
func (v *Values) annotate(n *yaml.Node, parts []string) {
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := append(parts[:len(parts):len(parts)], key.Value)
		from := v.Origin[strings.Join(at, ".")]
		if from == "" && v.schema.root().find(at).isLeaf() {
			from = fromDefault
		}
		if from != "" && (value.Kind != yaml.MappingNode || len(value.Content) == 0) {
			if value.Kind == yaml.ScalarNode {
				value.LineComment = from
			} else {
				key.HeadComment = from
			}
		}
		v.annotate(value, at)
	}
}

// isLeaf tells whether the key takes a value.
func (k *Key) isLeaf() bool { return k != nil && k.Type != Group && k.Type != Map && k.Type != Any }

// conceal returns v without secrets: values of secret keys, and passwords in URLs. k is v's key; nil: the schema has none.
func conceal(k *Key, name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, below := range v {
			var child *Key
			if k != nil && k.Type == Groups {
				k = &Key{Keys: k.Keys}
			}
			if k != nil {
				child = k.child(name)
			}
			out[name] = conceal(child, name, below)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = conceal(k, name, item)
		}
		return out
	case nil:
		return nil
	case int64:
		if v == 0 { // a default, not a secret
			return v
		}
	case string:
		switch {
		case v == "":
			return v
		case k != nil && k.Hide != nil:
			return k.Hide(v)
		case k.holdsSecret(name):
			return hidden
		}
		return concealURL(v)
	}
	if k.holdsSecret(name) {
		return hidden
	}
	return v
}

// holdsSecret tells whether the value of k is secret: by the schema, or by the name if k is nil.
func (k *Key) holdsSecret(name string) bool {
	if k.isLeaf() {
		return k.Secret
	}
	return LooksSecret(name)
}

// literal returns a value as YAML on one line.
func literal(v any) string {
	var n yaml.Node
	if n.Encode(v) != nil {
		return strconv.Quote(fmt.Sprint(v))
	}
	n.Style = yaml.FlowStyle
	text, err := yaml.Marshal(&n)
	if err != nil {
		return strconv.Quote(fmt.Sprint(v))
	}
	return strings.TrimSpace(string(text))
}
