package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// Variables finds the package-level variables that are changed outside their declarations: by an assignment to
// them or to a part of them, by taking their address, by a method with a pointer receiver, or by delete, clear and copy.
// It leaves out pools (sync.Pool, alone or in structs and arrays), whose content has no effect on results. The figure is the
// number of places.
func Variables(list []*Package) []Finding {
	places := map[string][]string{}
	own := map[string]bool{}
	for _, p := range list {
		own[p.Path] = true
	}
	for _, p := range list {
		for _, f := range p.files {
			c := changes{info: p.info, note: func(v *types.Var, at token.Pos) {
				if !own[v.Pkg().Path()] {
					return // of another package, such as the locks of package syscall
				}
				what := v.Pkg().Path() + "." + v.Name()
				places[what] = append(places[what], fmt.Sprintf("%s/%s:%d", p.Path, p.file(at), p.fset.Position(at).Line))
			}}
			ast.Inspect(f, c.see)
		}
	}
	var found []Finding
	for what, at := range places {
		slices.Sort(at)
		found = append(found, Finding{What: "variable " + what, Figure: len(at), Detail: fmt.Sprintf("changed at %s", strings.Join(at, ", "))})
	}
	slices.SortFunc(found, func(a, b Finding) int { return strings.Compare(a.What, b.What) })
	return found
}

// changes finds changes of variables.
type changes struct {
	info *types.Info
	note func(v *types.Var, at token.Pos)
}

func (c changes) see(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			for _, to := range n.Lhs {
				c.changed(to)
			}
		}
	case *ast.IncDecStmt:
		c.changed(n.X)
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			c.changed(n.Key)
			c.changed(n.Value)
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			c.changed(n.X)
		}
	case *ast.CallExpr:
		c.called(n)
	}
	return true
}

// called checks a call: of a method with a pointer receiver, or of a built-in function that changes its first argument.
func (c changes) called(call *ast.CallExpr) {
	switch fn := ast.Unparen(call.Fun).(type) {
	case *ast.SelectorExpr:
		method := c.info.Selections[fn]
		if method == nil || method.Kind() != types.MethodVal {
			return
		}
		takes := method.Obj().Type().(*types.Signature).Recv().Type()
		_, byPointer := takes.Underlying().(*types.Pointer)
		if t := c.info.TypeOf(fn.X); byPointer && !isPointer(t) && !isPool(t) {
			c.changed(fn.X)
		}
	case *ast.Ident:
		builtin, ok := c.info.Uses[fn].(*types.Builtin)
		if ok && slices.Contains([]string{"clear", "copy", "delete"}, builtin.Name()) {
			c.changed(call.Args[0])
		}
	}
}

// changed notes the package-level variable that an expression is, or is a part of, if any. What a pointer points to is not part of
// a variable.
func (c changes) changed(e ast.Expr) {
	for {
		switch of := e.(type) {
		case *ast.ParenExpr:
			e = of.X
		case *ast.IndexExpr:
			e = of.X
		case *ast.SliceExpr:
			e = of.X
		case *ast.SelectorExpr:
			if c.info.Selections[of] == nil { // a name of another package
				e = of.Sel
				continue
			}
			if isPointer(c.info.TypeOf(of.X)) {
				return
			}
			e = of.X
		case *ast.Ident:
			v, ok := c.info.Uses[of].(*types.Var)
			if ok && !v.IsField() && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() && !isPool(v.Type()) {
				c.note(v, of.Pos())
			}
			return
		default:
			return
		}
	}
}

func isPointer(t types.Type) bool {
	if t == nil {
		return false
	}
	_, is := t.Underlying().(*types.Pointer)
	return is
}

// isPool tells whether a type is sync.Pool, or consists of sync.Pools.
func isPool(t types.Type) bool {
	if named, ok := types.Unalias(t).(*types.Named); ok {
		if name := named.Obj(); name.Pkg() != nil && name.Pkg().Path() == "sync" {
			return name.Name() == "Pool"
		}
	}
	switch of := t.Underlying().(type) {
	case *types.Array:
		return isPool(of.Elem())
	case *types.Struct:
		for field := range of.Fields() {
			if !isPool(field.Type()) {
				return false
			}
		}
		return of.NumFields() > 0
	}
	return false
}
