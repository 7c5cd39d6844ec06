package house

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

const modulePath = "github.com/protofly/protofly"

// root is the project's folder.
const root = "../.."

// The limits hold, except for the exceptions.
func TestHouse(t *testing.T) {
	t.Parallel()
	found, files, err := Sizes(root)
	if err != nil {
		t.Fatal(err)
	}
	list, err := Load(root, modulePath+"/...")
	if err != nil {
		t.Fatal(err)
	}
	if files < 500 || len(list) < 60 {
		t.Fatalf("only %d files and %d packages were found: this test looks at the wrong thing", files, len(list))
	}
	for _, f := range Variables(list) {
		f.What = strings.Replace(f.What, modulePath+"/", "", 1)
		found = append(found, f)
	}
	for _, p := range list {
		folder := strings.TrimPrefix(p.Path, modulePath+"/")
		if folder != "cmd/runtime" && folder != "core" && !strings.HasPrefix(folder, "core/") {
			continue
		}
		r := p.References()
		t.Logf("%-30s %d of %d references run upward", folder, len(r.Upward), len(r.All))
		if r.TooMany() {
			found = append(found, Finding{What: "upward " + folder, Figure: len(r.Upward), Detail: r.String()})
		}
	}
	for _, f := range found {
		t.Logf("%s: %d", f.What, f.Figure)
	}
	for _, problem := range compare(found, exceptions()) {
		t.Error(problem)
	}
}

// compare returns the findings that no exception allows, or that exceed their exception, and the exceptions that are not
// needed.
func compare(found []Finding, allowed map[string]int) (problems []string) {
	needed := map[string]bool{}
	for _, f := range found {
		figure, known := allowed[f.What]
		needed[f.What] = true
		switch {
		case !known:
			problems = append(problems, fmt.Sprintf("%s: %d (%s)", f.What, f.Figure, f.Detail))
		case f.Figure > figure:
			problems = append(problems, fmt.Sprintf("%s: %d, and the exception allows %d (%s)", f.What, f.Figure, figure, f.Detail))
		}
	}
	for _, what := range slices.Sorted(maps.Keys(allowed)) {
		if !needed[what] {
			problems = append(problems, what+": it holds now; take the exception out of internal/house/exceptions_test.go")
		}
	}
	return problems
}
