package house

import (
	"fmt"
	"go/ast"
	"go/types"
	"maps"
	"slices"
	"strings"
)

// MaxUpward is how many percent of the references between the files of a package may run upward.
const MaxUpward = 5

// Reference says that one file of a package uses names that another one declares.
type Reference struct {
	From, To string   // files' names
	Names    []string // what is used, sorted
}

// References has the references between a package's files: the best order of the files, all references, and those that run upward
// in that order.
type References struct {
	Order  []string
	All    []Reference
	Upward []Reference
}

// TooMany tells whether more run upward than [MaxUpward] allows.
func (r References) TooMany() bool { return len(r.Upward)*100 > len(r.All)*MaxUpward }

// String returns the figures and each upward reference as text.
func (r References) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d run upward in the best order: %s", len(r.Upward), len(r.All), strings.Join(r.Order, " "))
	for _, up := range r.Upward {
		fmt.Fprintf(&b, "\n\t%s uses of %s: %s", up.From, up.To, strings.Join(up.Names, ", "))
	}
	return b.String()
}

// References finds the references between the package's files, and the best order of the files.
func (p *Package) References() References {
	used := map[[2]string]map[string]bool{}
	counts := map[string]bool{}
	for _, f := range p.files {
		counts[p.file(f.Pos())] = true
	}
	for _, f := range p.files {
		from := p.file(f.Pos())
		ast.Inspect(f, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			obj := p.info.Uses[id]
			if !p.declares(obj) {
				return true
			}
			if to := p.file(obj.Pos()); to != from && counts[to] {
				between := [2]string{from, to}
				if used[between] == nil {
					used[between] = map[string]bool{}
				}
				used[between][obj.Name()] = true
			}
			return true
		})
	}
	return refer(used)
}

// declares tells whether the package declares the object, in its scope or as a method or field.
func (p *Package) declares(obj types.Object) bool {
	if obj == nil || obj.Pkg() != p.types {
		return false
	}
	switch obj := obj.(type) {
	case *types.Var:
		return obj.IsField() || obj.Parent() == p.types.Scope()
	case *types.PkgName, *types.Label:
		return false
	}
	return true
}

func refer(used map[[2]string]map[string]bool) (r References) {
	for between, names := range used {
		r.All = append(r.All, Reference{From: between[0], To: between[1], Names: slices.Sorted(maps.Keys(names))})
	}
	slices.SortFunc(r.All, func(a, b Reference) int { return strings.Compare(a.From+"\x00"+a.To, b.From+"\x00"+b.To) })
	uses := map[string][]string{}
	for _, one := range r.All {
		uses[one.From] = append(uses[one.From], one.To)
	}
	r.Order = order(uses)
	place := map[string]int{}
	for at, file := range r.Order {
		place[file] = at
	}
	for _, one := range r.All {
		if place[one.From] > place[one.To] {
			r.Upward = append(r.Upward, one)
		}
	}
	return r
}
