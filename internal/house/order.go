package house

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// order sorts names so that the fewest uses run from a name to an earlier one. uses has the names that each name uses. The same
// uses give the same order. The order within a circle comes from a local search with many starts. It finds the best order for
// circles of this project's size, but that is not proven.
func order(uses map[string][]string) (sorted []string) {
	g := newGraph(uses)
	for _, circle := range g.circles() {
		for _, n := range g.untangle(circle) {
			sorted = append(sorted, g.names[n])
		}
	}
	return sorted
}

// graph says which name uses which, by number.
type graph struct {
	names []string
	uses  [][]bool
}

func newGraph(uses map[string][]string) *graph {
	all := map[string]bool{}
	for from, to := range uses {
		all[from] = true
		for _, name := range to {
			all[name] = true
		}
	}
	g := &graph{names: slices.Sorted(maps.Keys(all))}
	number := map[string]int{}
	for n, name := range g.names {
		number[name] = n
		g.uses = append(g.uses, make([]bool, len(g.names)))
	}
	for from, to := range uses {
		for _, name := range to {
			g.uses[number[from]][number[name]] = true
		}
	}
	return g
}

// circles returns the strongly connected components: the names of one group use each other, directly or through others. A group
// comes before those that it uses. (Tarjan's algorithm finds them in the reverse order.)
func (g *graph) circles() (groups [][]int) {
	const unseen = 0
	seen, low := make([]int, len(g.names)), make([]int, len(g.names))
	var stack []int
	on := make([]bool, len(g.names))
	next := unseen
	var visit func(n int)
	visit = func(n int) {
		next++
		seen[n], low[n] = next, next
		stack, on[n] = append(stack, n), true
		for m, used := range g.uses[n] {
			switch {
			case !used:
			case seen[m] == unseen:
				visit(m)
				low[n] = min(low[n], low[m])
			case on[m]:
				low[n] = min(low[n], seen[m])
			}
		}
		if low[n] != seen[n] {
			return
		}
		at := slices.Index(stack, n)
		group := slices.Clone(stack[at:])
		stack = stack[:at]
		for _, m := range group {
			on[m] = false
		}
		groups = append(groups, group)
	}
	for n := range g.names {
		if seen[n] == unseen {
			visit(n)
		}
	}
	slices.Reverse(groups)
	return groups
}

// beginnings is the number of starts of the search for the best order of a circle.
const beginnings = 60

// untangle returns the best order of one group.
func (g *graph) untangle(group []int) []int {
	if len(group) < 2 {
		return group
	}
	slices.Sort(group)
	random := rand.New(rand.NewPCG(1, 2)) // the same each time
	var best []int
	for range beginnings {
		o := slices.Clone(group)
		random.Shuffle(len(o), func(i, j int) { o[i], o[j] = o[j], o[i] })
		for g.improve(o) {
		}
		if best == nil || g.upward(o) < g.upward(best) {
			best = o
		}
	}
	return best
}

// improve moves each name to where it costs least. It tells whether the order has become better.
func (g *graph) improve(o []int) (better bool) {
	for i := range o {
		n, to, least := o[i], i, 0
		for cost, j := 0, i-1; j >= 0; j-- { // n goes before o[j]
			if cost += g.cost(o[j], n) - g.cost(n, o[j]); cost < least {
				to, least = j, cost
			}
		}
		for cost, j := 0, i+1; j < len(o); j++ { // n goes behind o[j]
			if cost += g.cost(n, o[j]) - g.cost(o[j], n); cost < least {
				to, least = j, cost
			}
		}
		if least < 0 {
			better = true
			if to < i {
				copy(o[to+1:i+1], o[to:i])
			} else {
				copy(o[i:to], o[i+1:to+1])
			}
			o[to] = n
		}
	}
	return better
}

// cost returns 1 if n uses m: the cost of n coming after m.
func (g *graph) cost(n, m int) int {
	if g.uses[n][m] {
		return 1
	}
	return 0
}

// upward returns how many uses run upward in an order.
func (g *graph) upward(o []int) (count int) {
	for i := range o {
		for j := range i {
			count += g.cost(o[i], o[j])
		}
	}
	return count
}
