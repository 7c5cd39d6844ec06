package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	yamlv3 "go.yaml.in/yaml/v3"
)

// MaxFile is the largest file that is read, in bytes.
const MaxFile = 1 << 20

// Limits of a file. They bound the time to read it, since the YAML library compares the keys of a group with each other.
const (
	maxDepth = 64   // levels
	maxKeys  = 4096 // in one group
)

// file reads the file.
func (l *loading) file(name string) {
	text, err := readBounded(name)
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("config file: %w", err))
		return
	}
	if line := notUTF8(text); line > 0 {
		l.fail(fmt.Sprintf("%s:%d", name, line), "the text is not UTF-8: save it as UTF-8")
		return
	}
	var doc yamlv3.Node
	if err := yamlv3.Unmarshal(text, &doc); err != nil {
		l.fail("config file "+name, "%s", notYAML(err))
		return
	}
	if len(doc.Content) == 0 {
		return // empty
	}
	if doc.Content[0].Kind != yamlv3.MappingNode {
		l.fail("config file "+name, "want keys and values, as in \"domain: example.com\"")
		return
	}
	if line, why := tooMuch(doc.Content[0], 0); line > 0 {
		l.fail(fmt.Sprintf("%s:%d", name, line), "%s", why)
		return
	}
	in := koanf.New(slash)
	if err := in.Load(rawbytes.Provider(text), yaml.Parser()); err != nil {
		l.fail("config file "+name, "%s", notYAML(err))
		return
	}
	lines := map[string]int{}
	lineNumbers(doc.Content[0], nil, lines)
	layer := in.Raw()
	where := func(parts []string) string {
		for n := len(parts); n > 0; n-- {
			if line := lines[strings.Join(parts[:n], slash)]; line > 0 {
				return fmt.Sprintf("%s:%d", name, line)
			}
		}
		return name
	}
	l.resolvePaths(l.root, nil, layer, filepath.Dir(name), where)
	before := len(l.errs)
	defer func() { slices.SortStableFunc(l.errs[before:], byLine(name)) }()
	for key, line := range l.oldNames(lines) {
		lines[key] = line
	}
	l.merge(layer, where)
}

// oldNames returns the lines of keys that have an old name, by their new name.
func (l *loading) oldNames(lines map[string]int) map[string]int {
	renamed := map[string]int{}
	l.root.walk(nil, func(parts []string, k *Key) {
		for _, old := range k.Was {
			path := strings.Join(append(parts[:len(parts)-1:len(parts)-1], old), slash)
			if line := lines[path]; line > 0 && lines[strings.Join(parts, slash)] == 0 {
				renamed[strings.Join(parts, slash)] = line
			}
		}
	})
	return renamed
}

// byLine orders errors by their line in the file.
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

// readBounded reads a file of at most MaxFile bytes. The file may be a folder, a device or a pipe.
func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if info.IsDir() {
		return nil, fmt.Errorf("%s is a folder", name)
	}
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > MaxFile {
		return nil, fmt.Errorf("%s is too large: a configuration has at most %d bytes", name, MaxFile)
	}
	return text, nil
}

// notUTF8 returns the first line of a text that is not UTF-8; 0: all are.
func notUTF8(text []byte) int {
	if utf8.Valid(text) {
		return 0
	}
	line := 1
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			return line
		}
		line += bytes.Count(text[:n], []byte{'\n'})
		text = text[n:]
	}
	return line
}

// tooMuch returns the line where a document exceeds a limit, and which limit; 0: nowhere.
func tooMuch(n *yamlv3.Node, depth int) (line int, why string) {
	switch {
	case depth > maxDepth:
		return n.Line, fmt.Sprintf("more than %d levels, one below the other", maxDepth)
	case n.Kind == yamlv3.MappingNode && len(n.Content) > 2*maxKeys:
		return n.Line, fmt.Sprintf("more than %d keys in one group", maxKeys)
	}
	for _, below := range n.Content {
		if line, why := tooMuch(below, depth+1); line > 0 {
			return line, why
		}
	}
	return 0, ""
}

// lineNumbers notes the line of every key, and of the items of lists.
func lineNumbers(n *yamlv3.Node, parts []string, lines map[string]int) {
	switch {
	case len(parts) > 8:
	case n.Kind == yamlv3.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			at := append(parts[:len(parts):len(parts)], n.Content[i].Value)
			lines[strings.Join(at, slash)] = n.Content[i].Line
			lineNumbers(n.Content[i+1], at, lines)
		}
	case n.Kind == yamlv3.SequenceNode:
		for i, item := range n.Content {
			at := append(parts[:len(parts):len(parts)], fmt.Sprint(i))
			lines[strings.Join(at, slash)] = item.Line
			lineNumbers(item, at, lines)
		}
	}
}

// resolvePaths makes the paths of a file absolute: they are relative to its folder.
func (l *loading) resolvePaths(k *Key, parts []string, layer map[string]any, dir string, where func([]string) string) {
	for name, value := range layer {
		child := k.child(name)
		at := append(parts[:len(parts):len(parts)], name)
		if child == nil {
			continue
		}
		switch v := value.(type) {
		case map[string]any:
			if child.Type == Group || child.Type == Map {
				l.resolvePaths(child, at, v, dir, where)
			}
		case string:
			if child.Type == Path && v != "" {
				layer[name] = l.resolve(v, dir, strings.Join(at, "."), where(at))
			}
		}
	}
}

// resolve returns a path of the file as an absolute one. If the schema says so, a path that only exists in the current folder is
// relative to that, as in earlier versions.
func (l *loading) resolve(path, dir, key, where string) string {
	now, before := absolute(path, dir), absolute(path, ".")
	if !l.schema.WorkingFolder || now == before {
		return now
	}
	_, missing := os.Stat(now)
	if _, err := os.Stat(before); err != nil || !errors.Is(missing, os.ErrNotExist) {
		return now
	}
	l.warnings = append(l.warnings, fmt.Sprintf("%s: %s: paths are relative to the file's folder now, where there is no %s: write %s; the next version does not look for it in the current folder",
		where, key, now, before))
	return before
}
