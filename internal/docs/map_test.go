package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mapRow is a row of docs/map.md: where something is done, the function, its file.
var mapRow = regexp.MustCompile("(?m)^\\| [^|]+ \\| `([^`|]+)` \\| \\[([^]|]+)\\]\\(\\.\\./([^)|]+)\\) \\|$")

// declared is the functions and methods of a file, as the map names them: Function, Type.Method.
func declared(t *testing.T, path string) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return nil
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		name := f.Name.Name
		if f.Recv != nil {
			of := f.Recv.List[0].Type
			if star, ok := of.(*ast.StarExpr); ok {
				of = star.X
			}
			if generic, ok := of.(*ast.IndexExpr); ok {
				of = generic.X
			}
			if of, ok := of.(*ast.Ident); ok {
				name = of.Name + "." + name
			}
		}
		names = append(names, name)
	}
	return names
}

// Each function that the map names is in the file that it names.
func TestMap(t *testing.T) {
	t.Parallel()
	const name = "docs/map.md"
	p := readPage(t, name)
	rows := mapRow.FindAllStringSubmatch(p.prose, -1)
	for _, row := range rows {
		function, shown, path := row[1], row[2], row[3]
		if shown != path {
			t.Errorf("%s: the link that says %s leads to %s", name, shown, path)
		}
		if names := declared(t, filepath.Join(root, path)); !slices.Contains(names, function) {
			t.Errorf("%s: %s has no function %s: name the one that does it now, as Function or Type.Method, and its file", name, path, function)
		}
	}
	if lines, heads := strings.Count(p.prose, "\n| "), strings.Count(p.prose, "\n| where"); len(rows) != lines-heads || len(rows) < 50 {
		t.Errorf("%s: %d of %d rows name a function in backquotes and a file as a link", name, len(rows), lines-heads)
	}
}

var roomLine = regexp.MustCompile(`(?m)^//\tcore/([a-z]+) `)

// The packages that core/doc.go lists are the folders of core.
func TestRooms(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "core", "doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	section, _, _ := strings.Cut(string(text), "# The words")
	var listed, there []string
	for _, m := range roomLine.FindAllStringSubmatch(section, -1) {
		listed = append(listed, m[1])
	}
	folders, err := os.ReadDir(filepath.Join(root, "core"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if f.IsDir() {
			there = append(there, f.Name())
		}
	}
	slices.Sort(listed)
	if !slices.Equal(listed, there) {
		t.Errorf("core/doc.go lists the packages %q; the folders of core are %q", listed, there)
	}
}
