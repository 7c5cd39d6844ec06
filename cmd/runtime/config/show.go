package config

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"

	"go.yaml.in/yaml/v3"
)

// hidden stands where a secret is.
const hidden = "(hidden)"

// Show is the effective configuration as YAML that could be a file, with secrets hidden; with origin, each line says
// where its value came from.
func (l *Loaded) Show(origin bool) (string, error) {
	var doc yaml.Node
	if err := doc.Encode(conceal("", l.k.Raw())); err != nil {
		return "", fmt.Errorf("show config: %w", err)
	}
	if origin {
		l.annotate(&doc, nil)
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(&doc); err != nil {
		return "", fmt.Errorf("show config: %w", err)
	}
	return out.String(), e.Close()
}

// annotate writes behind each value where it came from.
func (l *Loaded) annotate(n *yaml.Node, parts []string) {
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := append(parts[:len(parts):len(parts)], key.Value)
		if from := l.Origin[strings.Join(at, ".")]; from != "" {
			if value.Kind == yaml.ScalarNode {
				value.LineComment = from
			} else {
				key.HeadComment = from
			}
		}
		l.annotate(value, at)
	}
}

// conceal is v without its secrets: values whose key says that they are one, and passwords in URLs.
func conceal(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, below := range v {
			out[name] = conceal(name, below)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = conceal(key, item)
		}
		return out
	case nil:
		return nil
	case string:
		if v == "" {
			return v
		}
		if secret(key) {
			return hidden
		}
		return concealURL(v)
	}
	if secret(key) {
		return hidden
	}
	return v
}

// concealURL is v without a password, and without parameters that are secrets, where v is a URL.
func concealURL(v string) string {
	u, err := url.Parse(v)
	if scheme, rest, ok := strings.Cut(v, "://"); err != nil && ok {
		if at := strings.LastIndexByte(rest, '@'); at >= 0 { // a password that is not escaped, perhaps
			return scheme + "://" + hidden + rest[at:]
		}
	}
	if err != nil || u.Host == "" {
		return v
	}
	if _, has := u.User.Password(); has {
		v = v[:strings.Index(v, "://")+3] + u.User.Username() + ":" + hidden + v[strings.LastIndexByte(v, '@'):]
	}
	before, query, ok := strings.Cut(v, "?")
	if !ok {
		return v
	}
	parameters := strings.Split(query, "&")
	for i, p := range parameters {
		if name, _, has := strings.Cut(p, "="); has && secret(name) {
			parameters[i] = name + "=" + hidden
		}
	}
	return before + "?" + strings.Join(parameters, "&")
}

// secret tells whether a key of this name holds one.
func secret(key string) bool {
	key = strings.ToLower(key)
	if strings.HasSuffix(key, "_file") {
		return false // where the secret is, as token_file
	}
	for _, word := range []string{"secret", "password", "passwd", "passphrase", "token", "credential", "private", "authorization", "cookie", "psk"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	for _, name := range []string{"key", "pass", "pwd", "auth"} {
		if key == name || strings.HasSuffix(key, "_"+name) || strings.HasSuffix(key, "-"+name) {
			return true
		}
	}
	return strings.HasSuffix(key, "apikey")
}
