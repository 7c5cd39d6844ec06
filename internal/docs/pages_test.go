package docs

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(cleaning{m}) }

// cleaning removes the compiled programs behind the tests.
type cleaning struct{ *testing.M }

func (c cleaning) Run() int {
	code := c.M.Run()
	if dir, err := programDir(); err == nil {
		_ = os.RemoveAll(dir)
	}
	return code
}

const root = "../.."

// page is a Markdown file.
type page struct {
	name   string // from the project's root
	prose  string // its text without fenced blocks
	blocks []block
}

// block is a fenced block.
type block struct{ language, from, text string }

var (
	fence  = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```\n")
	origin = regexp.MustCompile(`<!-- from (\S+) -->\n\z`)
)

func readPage(t *testing.T, name string) page {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	text, p, at := string(raw), page{name: name}, 0
	for _, m := range fence.FindAllStringSubmatchIndex(text, -1) {
		before := text[at:m[0]]
		b := block{language: text[m[2]:m[3]], text: text[m[4]:m[5]]}
		if from := origin.FindStringSubmatch(before); from != nil {
			b.from = from[1]
		}
		p.blocks = append(p.blocks, b)
		p.prose += before
		at = m[1]
	}
	p.prose += text[at:]
	return p
}

// pages is every page of the project.
func pages(t *testing.T) []page {
	t.Helper()
	var all []page
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(path, ".md") {
			name, _ := filepath.Rel(root, path)
			all = append(all, readPage(t, filepath.ToSlash(name)))
		}
		return nil
	})
	if err != nil || len(all) < 10 {
		t.Fatalf("%d pages: %v", len(all), err)
	}
	return all
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the headings of a page, as hosts of Markdown name them in links.
func (p page) anchors() []string {
	var all []string
	for _, h := range heading.FindAllStringSubmatch(p.prose, -1) {
		all = append(all, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
	}
	return all
}

// Every link to something in the project is valid.
func TestLinks(t *testing.T) {
	t.Parallel()
	all, checked := pages(t), 0
	byName := map[string]page{}
	for _, p := range all {
		byName[p.name] = p
	}
	for _, p := range all {
		for _, l := range link.FindAllStringSubmatch(p.prose, -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			checked++
			path, anchor, _ := strings.Cut(l[1], "#")
			target := p.name
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(p.name), path))
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil || strings.HasPrefix(target, "..") {
				t.Errorf("%s: the link to %s leads nowhere", p.name, l[1])
			} else if anchor != "" && !slices.Contains(byName[target].anchors(), anchor) {
				t.Errorf("%s: %s has no heading %q; it has %q", p.name, target, anchor, byName[target].anchors())
			}
		}
	}
	if checked < 60 {
		t.Errorf("only %d links were found: this test looks at the wrong thing", checked)
	}
}

// Every page can be found from the front.
func TestEveryPageIsLinked(t *testing.T) {
	t.Parallel()
	linked := map[string]bool{"README.md": true}
	for _, p := range pages(t) {
		for _, l := range link.FindAllStringSubmatch(p.prose, -1) {
			path, _, _ := strings.Cut(l[1], "#")
			linked[filepath.ToSlash(filepath.Join(filepath.Dir(p.name), path))] = true
		}
	}
	for _, p := range pages(t) {
		if !linked[p.name] {
			t.Errorf("no page has a link to %s", p.name)
		}
	}
}

var (
	code  = regexp.MustCompile("`([^`\n]+)`")
	place = regexp.MustCompile(`^(sdk|core|internal|plugins|cmd|bench|examples|docs)(/[\w-]+)+(\.[a-z]\w*)?$`)
)

// Every folder and file that a page names in its text is there. The change log may name what was.
func TestPlaces(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, p := range pages(t) {
		if p.name == "CHANGELOG.md" {
			continue
		}
		for _, m := range code.FindAllStringSubmatch(p.prose, -1) {
			if !place.MatchString(m[1]) {
				continue
			}
			checked++
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s: there is no %s", p.name, m[1])
			}
		}
	}
	if checked < 60 {
		t.Errorf("only %d places were found: this test looks at the wrong thing", checked)
	}
}

// The front page fits its reader.
func TestFrontPageIsShort(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n > 150 {
		t.Errorf("README.md has %d lines, at most 150", n)
	}
}

// tokens is Go text without comments and white space.
func tokens(text string) []string {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(text))
	s.Init(file, []byte(text), nil, 0)
	var all []string
	for {
		_, kind, literal := s.Scan()
		switch {
		case kind == token.EOF:
			return all
		case kind == token.SEMICOLON && literal == "\n": // at a line's end
		case literal != "":
			all = append(all, literal)
		default:
			all = append(all, kind.String())
		}
	}
}

// contains tells whether part is in whole, in one piece.
func contains(whole, part []string) bool {
	for i := range whole {
		if i+len(part) <= len(whole) && slices.Equal(whole[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// Fenced Go is in a file that is compiled.
func TestGoIsCompiled(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.language != "go" {
				continue
			}
			checked++
			if b.from == "" {
				t.Errorf("%s: a block of Go does not say which file it is from:\n%s", p.name, b.text)
				continue
			}
			text, err := os.ReadFile(filepath.Join(root, b.from))
			if err != nil {
				t.Errorf("%s: %v", p.name, err)
				continue
			}
			whole := tokens(string(text))
			for part := range strings.SplitSeq(b.text, "\n}\n") {
				if !contains(whole, tokens(part)) {
					t.Errorf("%s: this is not in %s:\n%s", p.name, b.from, part)
				}
			}
		}
	}
	if checked < 8 {
		t.Errorf("only %d blocks were found: this test looks at the wrong thing", checked)
	}
}

// Fenced YAML is a configuration of the runtime.
func TestYAMLIsTaken(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.language != "yaml" {
				continue
			}
			file := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(program(t, "cmd/runtime"), "config", "show", "--config", file).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s\n%s", p.name, err, out, b.text)
			}
		}
	}
}
