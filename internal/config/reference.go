package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Reference returns the tables of the reference page in Markdown: one for the keys at the top, and one for each group.
func (s *Schema) Reference() string {
	w := &reference{schema: s}
	w.group("Keys at the top", "", s.root(), nil)
	return w.String()
}

type reference struct {
	strings.Builder
	schema *Schema
}

// group writes a table of the values in a group, then the groups in it.
func (w *reference) group(title, about string, k *Key, parts []string) {
	fmt.Fprintf(w, "\n### %s\n\n", title)
	if about != "" {
		fmt.Fprintf(w, "%s\n\n", cell(about))
	}
	w.table(k, parts)
	for i := range k.Keys {
		child := &k.Keys[i]
		at := append(parts[:len(parts):len(parts)], child.Name)
		switch {
		case child.Gone != "":
		case child.Type == Group:
			w.group(code(strings.Join(at, ".")), child.About, child, at)
		case child.Type == Groups:
			w.group("Each item of "+code(strings.Join(at, ".")), "", &Key{Keys: child.Keys}, append(at, "…"))
		case len(child.Named) > 0:
			for _, name := range slices.Sorted(maps.Keys(child.Named)) {
				w.group(code(strings.Join(append(at, name), ".")), child.Named[name].About, child.Named[name], append(at[:len(at):len(at)], name))
			}
		}
	}
}

func (w *reference) table(k *Key, parts []string) {
	rows := 0
	for i := range k.Keys {
		child := &k.Keys[i]
		if child.Type == Group || child.Gone != "" {
			continue
		}
		if rows++; rows == 1 {
			w.WriteString("| key | takes | default | variable, flag | |\n|---|---|---|---|---|\n")
		}
		at := append(parts[:len(parts):len(parts)], child.Name)
		from := ""
		if !slices.Contains(at, "…") {
			from = w.schema.Variable(at...)
			if child.Type == Map {
				from += "__…"
			}
			from = code(from)
		}
		for variable, key := range w.schema.Variables {
			if key == strings.Join(at, ".") {
				from += " or " + code(variable)
			}
		}
		if child.Flag != "" {
			from += ", " + code("--"+child.Flag)
		}
		about := cell(child.About)
		for _, old := range child.Was {
			about += " Earlier versions called it " + code(old) + "."
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", code(child.Name), cell(child.takes()), child.byDefault(), from, about)
	}
}

// byDefault returns the default as the table has it.
func (k *Key) byDefault() string {
	switch {
	case k.Shown != "":
		return cell(k.Shown)
	case k.Required != "" && k.Default == nil:
		return "**required**"
	case k.Default == nil || k.Default == "":
		return "none"
	}
	return code(k.written(k.Default))
}

func code(text string) string { return "`" + strings.ReplaceAll(text, "|", "\\|") + "`" }

func cell(text string) string { return strings.NewReplacer("|", "\\|", "<", "&lt;").Replace(text) }
