package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named is a folder in backquotes, and the names of tests behind it.
var named = regexp.MustCompile("`([a-z0-9/-]+)` ((?:Test[A-Za-z0-9]+)(?:, Test[A-Za-z0-9]+)*)")

// tests has the names of the tests in a folder.
func tests(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, file := range files {
		for _, name := range declared(t, file) {
			found[name] = true
		}
	}
	return found
}

// Each row of the tables of what an application can rely on has as many cells as its head, names at least one test, and names no other
// words in its last cell; each test is in the folder that it is said to be in.
func TestWhatApplicationsRelyOn(t *testing.T) {
	t.Parallel()
	const name = "docs/what-applications-rely-on.md"
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	rows, width := 0, 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if strings.HasPrefix(line, "| event ") {
			width = len(cells)
			continue
		}
		rows++
		if len(cells) != width {
			t.Errorf("%s: %d cells, want %d, in %q", name, len(cells), width, line)
			continue
		}
		event, last := strings.TrimSpace(cells[0]), cells[width-1]
		lists := named.FindAllStringSubmatch(last, -1)
		if rest := strings.Trim(named.ReplaceAllString(last, ""), " ,"); len(lists) == 0 || rest != "" {
			t.Errorf("%s: %q: want the tests as `folder` TestName, TestName; got %q", name, event, last)
		}
		for _, list := range lists {
			there := tests(t, list[1])
			for one := range strings.SplitSeq(list[2], ", ") {
				if !there[one] {
					t.Errorf("%s: %q: no %s in %s", name, event, one, list[1])
				}
			}
		}
	}
	if rows < 24 {
		t.Errorf("%s has %d rows", name, rows)
	}
}
