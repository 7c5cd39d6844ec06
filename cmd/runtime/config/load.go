package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	yamlv3 "go.yaml.in/yaml/v3"
)

// slash separates the parts of a key inside koanf: the names of domains have dots.
const slash = "/"

// prefix is what the runtime's environment variables begin with.
const prefix = "PROTOFLY_"

// nodePrefix is what the Message Node's variables begin with: both may have the same environment.
const nodePrefix = prefix + "NODE_"

// FileVariable is the environment variable that names the file.
const FileVariable = prefix + "CONFIG"

// maxFile is the largest file that is read, in bytes.
const maxFile = 1 << 20

// Sources is where a configuration comes from.
type Sources struct {
	File    string            // empty: none
	Environ []string          // as os.Environ gives it
	Flags   map[string]string // key, dotted → value, of the flags that were given
}

// Loaded is a configuration and where each of its keys came from.
type Loaded struct {
	Config
	Origin map[string]string // key, dotted → "default", "FILE:LINE", the variable, or the flag
	k      *koanf.Koanf
}

// Load reads and checks a configuration. The error is every mistake that was found, joined; each names where it is.
func Load(s Sources) (*Loaded, error) {
	l := &loading{schema: root(), origin: map[string]string{}, k: koanf.New(slash)}
	base, missing := defaults()
	l.merge(base, func([]string) string { return "default" })
	if s.File != "" {
		l.file(s.File)
	}
	l.environ(s.Environ)
	l.flags(s.Flags)
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	out := &Loaded{Origin: l.origin, k: l.k}
	err := l.k.UnmarshalWithConf("", &out.Config, koanf.UnmarshalConf{
		DecoderConfig: &mapstructure.DecoderConfig{ErrorUnused: true, TagName: "koanf"}, // no weak types
	})
	if err != nil {
		return nil, err
	}
	out.UseAll = !l.k.Exists("plugins/use")
	if out.Plugins.Dir == "" {
		out.Plugins.Dir = filepath.Join(out.Data, "installed")
		_ = l.k.Set("plugins/dir", out.Plugins.Dir)
	}
	return out, out.check(missing)
}

// loading is the state of one Load.
type loading struct {
	schema *node
	k      *koanf.Koanf
	origin map[string]string
	errs   []error
}

func (l *loading) fail(where, format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf("%s: %s", where, fmt.Sprintf(format, args...)))
}

// merge checks a layer and puts it over those before it.
func (l *loading) merge(layer map[string]any, where func(parts []string) string) {
	l.schema.check(nil, layer, func(parts []string, why string) { l.fail(where(parts), "%s", why) })
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

// file reads the file.
func (l *loading) file(name string) {
	text, err := readBounded(name)
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("config file: %w", err))
		return
	}
	var doc yamlv3.Node
	if err := yamlv3.Unmarshal(text, &doc); err != nil {
		l.fail(name, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	if len(doc.Content) == 0 {
		return // empty
	}
	if doc.Content[0].Kind != yamlv3.MappingNode {
		l.fail(name, "want keys and values, as in \"domain: example.com\"")
		return
	}
	in := koanf.New(slash)
	if err := in.Load(rawbytes.Provider(text), yaml.Parser()); err != nil {
		l.fail(name, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	lines := map[string]int{}
	lineNumbers(doc.Content[0], nil, lines)
	layer := in.Raw()
	resolvePaths(l.schema, layer, filepath.Dir(name))
	before := len(l.errs)
	defer func() { slices.SortStableFunc(l.errs[before:], byLine(name)) }()
	l.merge(layer, func(parts []string) string {
		for n := len(parts); n > 0; n-- {
			if line := lines[strings.Join(parts[:n], slash)]; line > 0 {
				return fmt.Sprintf("%s:%d", name, line)
			}
		}
		return name
	})
}

// byLine orders errors as the file that they are about is read.
func byLine(name string) func(a, b error) int {
	line := func(err error) (n int) {
		if rest, ok := strings.CutPrefix(err.Error(), name+":"); ok {
			_, _ = fmt.Sscanf(rest, "%d", &n)
		}
		return n
	}
	return func(a, b error) int {
		return cmp.Or(cmp.Compare(line(a), line(b)), strings.Compare(a.Error(), b.Error()))
	}
}

func readBounded(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a folder", name)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", name, info.Size(), maxFile)
	}
	return os.ReadFile(name)
}

// lineNumbers notes the line of every key.
func lineNumbers(n *yamlv3.Node, parts []string, lines map[string]int) {
	if n.Kind != yamlv3.MappingNode || len(parts) > 8 {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		at := append(parts[:len(parts):len(parts)], n.Content[i].Value)
		lines[strings.Join(at, slash)] = n.Content[i].Line
		lineNumbers(n.Content[i+1], at, lines)
	}
}

// resolvePaths makes the paths of a file absolute: they are relative to its folder.
func resolvePaths(n *node, layer map[string]any, dir string) {
	for name, value := range layer {
		child := n.keys[name]
		switch v := value.(type) {
		case map[string]any:
			if child != nil && child.kind == group {
				resolvePaths(child, v, dir)
			}
		case string:
			if child != nil && child.kind == path && v != "" {
				layer[name] = absolute(v, dir)
			}
		}
	}
}

// absolute is p from dir; "~/" is the home folder.
func absolute(p, dir string) string {
	if rest, ok := strings.CutPrefix(p, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
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

// environ reads the environment's variables.
func (l *loading) environ(environ []string) {
	from := map[string]string{}
	provider := env.Provider(slash, env.Opt{Prefix: prefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			if name == FileVariable || strings.HasPrefix(name, nodePrefix) || strings.TrimSpace(value) == "" {
				return "", nil // an empty variable is as if it was not set, whatever its name
			}
			parts := variableParts(name)
			v, err := l.parse(parts, value)
			if err != nil {
				l.fail(name, "%v%s", err, l.rightVariable(parts))
				return "", nil
			}
			from[strings.Join(parts, slash)] = name
			return strings.Join(parts, slash), v
		}})
	layer, err := provider.Read()
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	l.merge(layer, func(parts []string) string { return from[strings.Join(parts, slash)] })
}

// variableParts is the key that an environment variable sets.
func variableParts(name string) []string {
	if name == prefix+"SOCKET" {
		return []string{"api", "socket"}
	}
	parts := strings.Split(strings.ToLower(strings.TrimPrefix(name, prefix)), "__")
	if parts[0] == "stubs" && len(parts) > 1 {
		parts[1] = strings.ReplaceAll(parts[1], "_", "-")
	}
	return parts
}

// rightVariable is what to add about a variable of no key: the one that was probably meant.
func (l *loading) rightVariable(parts []string) string {
	if l.schema.find(parts) != nil {
		return ""
	}
	near := l.schema.near(parts)
	if near == "" {
		return ""
	}
	return " It is " + prefix + strings.ToUpper(strings.ReplaceAll(near, ".", "__"))
}

// parse reads a value that came as a text, as the key at the path takes it.
func (l *loading) parse(parts []string, value string) (any, error) {
	n := l.schema.find(parts)
	if n == nil {
		return nil, errors.New(l.schema.unknown(parts))
	}
	key := strings.Join(parts, ".")
	switch n.kind {
	case group, byName:
		return nil, fmt.Errorf("%s: it takes keys below it, not a value", key)
	case gone:
		return nil, fmt.Errorf("%s: %s", key, n.want)
	case path:
		if value != "" {
			value = absolute(value, ".")
		}
	case truth:
		if value != "true" && value != "false" {
			return nil, fmt.Errorf("%s: want true or false, not %s", key, strconv.Quote(value))
		}
		return value == "true", nil
	case list:
		items := []any{}
		for item := range strings.SplitSeq(value, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
		return items, nil
	case anything:
		var v any
		if err := yamlv3.Unmarshal([]byte(value), &v); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		return v, nil
	}
	return value, nil
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
		at := layer
		for _, part := range parts[:len(parts)-1] {
			if _, ok := at[part].(map[string]any); !ok {
				at[part] = map[string]any{}
			}
			at = at[part].(map[string]any)
		}
		at[parts[len(parts)-1]] = v
	}
	l.merge(layer, func([]string) string { return "flag" })
}
