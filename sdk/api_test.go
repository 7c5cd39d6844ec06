package sdk_test

import (
	"flag"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/api.txt anew")

const apiFile = "testdata/api.txt"

// TestExportedNames compares what the packages below sdk export with the list in testdata/api.txt. Other people's stubs,
// transports and applications depend on each of these names: one is added only for them, and what the core shares with
// sdk belongs below internal. Where a change is meant, write the list anew with
//
//	go test ./sdk -run TestExportedNames -update
//
// and say in CHANGELOG.md what people use instead of a name that has gone or has changed.
func TestExportedNames(t *testing.T) {
	var names []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		case d.Name() == "testdata" || d.Name() == "internal":
			return fs.SkipDir
		}
		names = append(names, exported(t, path)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	text, err := os.ReadFile(apiFile)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\r", "")), "\n")
	begin := slices.IndexFunc(want, func(line string) bool { return !strings.HasPrefix(line, "#") })
	comments, want := want[:begin:begin], want[begin:]
	if *update {
		if err := os.WriteFile(apiFile, []byte(strings.Join(append(comments, names...), "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	const how = "\nIf strangers need this, run: go test ./sdk -run TestExportedNames -update"
	for _, name := range names {
		if !slices.Contains(want, name) {
			t.Errorf("new in the interface: %s%s", name, how)
		}
	}
	for _, name := range want {
		if !slices.Contains(names, name) {
			t.Errorf("gone from the interface: %s%s, and say in CHANGELOG.md what replaces it", name, how)
		}
	}
}

// exported returns a line for each name that the package in folder exports on Linux; no lines if there is no package.
func exported(t *testing.T, folder string) (names []string) {
	t.Helper()
	on := build.Default
	on.GOOS, on.GOARCH = "linux", "amd64"
	found, err := on.ImportDir(folder, 0)
	if _, none := err.(*build.NoGoError); none {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	at := strings.TrimSuffix(filepath.ToSlash(filepath.Join("sdk", folder)), "/")
	add := func(words ...string) { names = append(names, at+": "+strings.Join(words, " ")) }
	for _, file := range found.GoFiles {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, file), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool { // parameters' names are not part of the interface
			if f, ok := n.(*ast.FuncType); ok {
				f.Params, f.Results = typesOf(f.Params), typesOf(f.Results)
			}
			return true
		})
		for _, d := range parsed.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				addFunc(d, add)
			case *ast.GenDecl:
				for _, s := range d.Specs {
					addSpec(d.Tok, s, add)
				}
			}
		}
	}
	return names
}

func addFunc(f *ast.FuncDecl, add func(...string)) {
	if !f.Name.IsExported() {
		return
	}
	if f.Recv == nil {
		add("func", f.Name.Name+signature(f.Type))
		return
	}
	of := f.Recv.List[0].Type
	if base := strings.TrimPrefix(types.ExprString(of), "*"); ast.IsExported(base) {
		add("method", "("+types.ExprString(of)+")", f.Name.Name+signature(f.Type))
	}
}

func addSpec(kind token.Token, s ast.Spec, add func(...string)) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, n := range s.Names {
			if n.IsExported() {
				add(kind.String(), n.Name)
			}
		}
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			addType(s, add)
		}
	}
}

// addType adds a type, and its members where it is a struct or an interface.
func addType(s *ast.TypeSpec, add func(...string)) {
	var members *ast.FieldList
	what := "field"
	switch of := s.Type.(type) {
	case *ast.StructType:
		members = of.Fields
		add("type", s.Name.Name, "struct")
	case *ast.InterfaceType:
		what, members = "method", of.Methods
		add("type", s.Name.Name, "interface")
	default:
		equals := ""
		if s.Assign.IsValid() {
			equals = "= "
		}
		add("type", s.Name.Name, equals+types.ExprString(s.Type))
		return
	}
	for _, m := range members.List {
		if len(m.Names) == 0 {
			add("embedded", s.Name.Name, types.ExprString(m.Type))
		}
		for _, n := range m.Names {
			f, isFunc := m.Type.(*ast.FuncType)
			switch {
			case !n.IsExported():
			case isFunc && what == "method":
				add(what, s.Name.Name+"."+n.Name+signature(f))
			default:
				add(what, s.Name.Name+"."+n.Name, types.ExprString(m.Type))
			}
		}
	}
}

// signature is a function's parameters and results.
func signature(f *ast.FuncType) string { return strings.TrimPrefix(types.ExprString(f), "func") }

// typesOf is parameters or results without their names.
func typesOf(l *ast.FieldList) *ast.FieldList {
	if l == nil {
		return nil
	}
	only := &ast.FieldList{}
	for _, f := range l.List {
		for range max(1, len(f.Names)) {
			only.List = append(only.List, &ast.Field{Type: f.Type})
		}
	}
	return only
}
