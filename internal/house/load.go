package house

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"

	"golang.org/x/tools/go/packages"
)

// Package is one type-checked package, for this operating system and without its tests.
type Package struct {
	Path  string
	fset  *token.FileSet
	files []*ast.File // without generated ones
	types *types.Package
	info  *types.Info
}

// Load reads the packages that match the go command's patterns in the folder dir. It takes what they import from the build
// cache.
func Load(dir string, patterns ...string) ([]*Package, error) {
	loaded, err := packages.Load(&packages.Config{Dir: dir,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo,
	}, patterns...)
	if err != nil {
		return nil, fmt.Errorf("load packages: %w", err)
	}
	var list []*Package
	var errs []error
	for _, l := range loaded {
		for _, e := range l.Errors {
			errs = append(errs, e)
		}
		p := &Package{Path: l.PkgPath, fset: l.Fset, types: l.Types, info: l.TypesInfo}
		for _, f := range l.Syntax {
			if !ast.IsGenerated(f) {
				p.files = append(p.files, f)
			}
		}
		list = append(list, p)
	}
	return list, errors.Join(errs...)
}

// file returns the name of the file of a position.
func (p *Package) file(at token.Pos) string { return filepath.Base(p.fset.Position(at).Filename) }
