package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// The limits of a file, a function and a struct.
const (
	MaxLines    = 400 // of a file
	MaxFunction = 60  // lines of a function, from its first to its last; tests may be longer
	MaxFields   = 25  // of a struct, those of a struct within it not counted
)

// Finding is one place that exceeds a limit.
type Finding struct {
	What   string // the limit and the place: "function core/bus.route"
	Figure int    // the present figure
	Detail string // the file and line, or further text
}

// Sizes finds what exceeds the limits in the Go files below root, for every system and with tests. It leaves out folders that
// the go tool ignores. It also returns the number of files.
func Sizes(root string) (found []Finding, files int, err error) {
	fset := token.NewFileSet()
	err = filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() {
			if at != root && (name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(at) != ".go" {
			return nil
		}
		text, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, filepath.ToSlash(relative), text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files++
		found = append(found, sizes(fset, f)...)
		return nil
	})
	return found, files, err
}

// sizes finds what exceeds the limits in one file. The file's name is its path below the root.
func sizes(fset *token.FileSet, f *ast.File) (found []Finding) {
	if ast.IsGenerated(f) {
		return nil
	}
	file := fset.File(f.FileStart)
	name := file.Name()
	if n := fset.Position(f.FileEnd).Line; n > MaxLines {
		found = append(found, Finding{What: "file " + name, Figure: n, Detail: "lines"})
	}
	where := func(kind, declared string, at token.Pos) Finding {
		return Finding{What: kind + " " + path.Dir(name) + "." + declared, Detail: fmt.Sprintf("in %s", fset.Position(at))}
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || strings.HasSuffix(name, "_test.go") {
			continue
		}
		if n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1; n > MaxFunction {
			finding := where("function", receiver(fn)+fn.Name.Name, fn.Pos())
			finding.Figure = n
			found = append(found, finding)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		t, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if s, ok := t.Type.(*ast.StructType); ok && s.Fields.NumFields() > MaxFields {
			finding := where("struct", t.Name.Name, t.Pos())
			finding.Figure = s.Fields.NumFields()
			found = append(found, finding)
		}
		return true
	})
	return found
}

// receiver returns the type of a method and a dot, or "" for a function.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return ""
	}
	t := fn.Recv.List[0].Type
	for {
		switch of := t.(type) {
		case *ast.StarExpr:
			t = of.X
		case *ast.IndexExpr:
			t = of.X
		case *ast.IndexListExpr:
			t = of.X
		case *ast.Ident:
			return of.Name + "."
		default:
			return ""
		}
	}
}
