package house

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// parseUses reads "a>b c>a": a uses b, and c uses a.
func parseUses(text string) map[string][]string {
	uses := map[string][]string{}
	for _, one := range strings.Fields(text) {
		from, to, _ := strings.Cut(one, ">")
		uses[from] = append(uses[from], to)
	}
	return uses
}

// runUp returns how many uses run upward in an order, which has to have every name once.
func runUp(t *testing.T, uses map[string][]string, order []string) (count int) {
	t.Helper()
	if sorted := slices.Compact(slices.Sorted(slices.Values(order))); len(sorted) != len(order) {
		t.Errorf("the order has a name twice: %q", order)
	}
	for from, to := range uses {
		for _, name := range to {
			at, where := slices.Index(order, from), slices.Index(order, name)
			if at < 0 || where < 0 {
				t.Fatalf("%s or %s is not in the order %q", from, name, order)
			}
			if at > where {
				count++
			}
		}
	}
	return count
}

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		what, uses string
		upward     int
	}{
		{"nothing", "", 0},
		{"a chain", "c>b b>a", 0},
		{"a diamond", "a>b a>c b>d c>d a>d", 0},
		{"two that use each other", "a>b b>a", 1},
		{"two circles apart", "a>b b>a c>d d>c a>c", 2},
		{"a circle of four", "a>b b>c c>d d>a", 1},
		{"two circles through one", "a>b b>a a>c c>a", 2},
		{"each uses each other", "a>b a>c a>d b>a b>c b>d c>a c>b c>d d>a d>b d>c", 6},
		{"one use breaks two circles", "a>b b>c c>a b>d d>a a>e", 1},
	} {
		uses := parseUses(c.uses)
		if got := runUp(t, uses, order(uses)); got != c.upward {
			t.Errorf("%s: %d run upward, want %d", c.what, got, c.upward)
		}
	}
}

// The search finds the order of a package in which only a few references run upward, whatever the files are called, and always
// finds the same one.
func TestOrderOfMany(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const files, back = 40, 4
	for range 10 {
		names := make([]string, files)
		for n, at := range random.Perm(files) {
			names[n] = string(rune('a'+at%26)) + string(rune('a'+at/26))
		}
		uses := map[string][]string{}
		for i := range files {
			for j := i + 1; j < files; j++ {
				if random.IntN(4) == 0 {
					uses[names[i]] = append(uses[names[i]], names[j])
				}
			}
		}
		for range back {
			i := random.IntN(files - 1)
			j := i + 1 + random.IntN(files-1-i)
			uses[names[j]] = append(uses[names[j]], names[i])
		}
		first := order(uses)
		if got := runUp(t, uses, first); got > back {
			t.Errorf("%d run upward, and there is an order where at most %d do", got, back)
		}
		for name := range uses {
			slices.Reverse(uses[name])
		}
		if !slices.Equal(first, order(uses)) {
			t.Error("the same package has two orders")
		}
	}
}
