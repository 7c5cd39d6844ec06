package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/protofly/protofly/internal/gobuild"
)

// command is a command that a page, or the comment of an example, tells people to run.
type command struct {
	page string
	line string
}

var (
	indented = regexp.MustCompile(`(?m)^(?:    |//\t)(\S.*)$`)
	inline   = regexp.MustCompile("`([^`\n]+)`")
	ours     = regexp.MustCompile(`^(bin/)?(protofly|protofly-node|go run|go build|\.ci/run)( |$)`)
	notation = strings.NewReplacer("[", " ", "]", " ", "…", "", "...", "")
	redirect = regexp.MustCompile(`[>|;&#].*$`)
)

// commands is every command of ours in the pages and in the examples' comments.
func commands(t *testing.T) []command {
	t.Helper()
	var all []command
	add := func(page, text string, forms ...*regexp.Regexp) {
		for _, form := range forms {
			for _, m := range form.FindAllStringSubmatch(text, -1) {
				if ours.MatchString(m[1]) {
					all = append(all, command{page, m[1]})
				}
			}
		}
	}
	for _, p := range pages(t) {
		if strings.HasSuffix(p.name, "PROTOCOL.md") { // has texts of protocols that look like commands
			continue
		}
		add(p.name, p.prose, indented, inline)
		for _, b := range p.blocks {
			if b.language == "sh" {
				add(p.name, "    "+strings.ReplaceAll(b.text, "\n", "\n    "), indented)
			}
		}
	}
	for _, pattern := range []string{"examples/*/*.go", "bench/*/doc.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name, _ := filepath.Rel(root, file)
			add(filepath.ToSlash(name), string(text), indented)
		}
	}
	return all
}

// words is a command's line without what only people read: brackets, what follows a redirection, quotes. A number that is
// called N is 1.
func (c command) words() []string {
	words := strings.Fields(strings.ReplaceAll(notation.Replace(redirect.ReplaceAllString(c.line, "")), `"`, ""))
	for i, w := range words {
		if w == "N" {
			words[i] = "1"
		}
	}
	return words
}

var (
	programs   = map[string]string{} // by package
	programsMu sync.Mutex
	programDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "pf-docs-") })
)

// program compiles a program, once.
func program(t *testing.T, pkg string) string {
	t.Helper()
	programsMu.Lock()
	defer programsMu.Unlock()
	if programs[pkg] == "" {
		dir, err := programDir()
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(dir, gobuild.Name(strings.ReplaceAll(pkg, "/", "-")))
		if err := gobuild.Program(t.Context(), out, pkg); err != nil {
			t.Fatal(err)
		}
		programs[pkg] = out
	}
	return programs[pkg]
}

// Every command exists, with the flags that it is given.
func TestCommands(t *testing.T) {
	t.Parallel()
	ci, err := os.ReadFile(filepath.Join(root, ".ci/run"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range commands(t) {
		words := c.words()
		if key := strings.Join(words, " "); seen[key] {
			continue
		} else {
			seen[key] = true
		}
		switch first := strings.TrimPrefix(words[0], "bin/"); {
		case first == ".ci/run":
			for _, step := range words[1:] {
				if !strings.Contains(string(ci), "\nstep "+step+" ") {
					t.Errorf("%s: %q: .ci/run has no step %s", c.page, c.line, step)
				}
			}
		case first == "go" && words[1] == "build":
			c.packages(t, words)
		case first == "go":
			c.run(t, words[2:])
		case first == "protofly":
			c.cobra(t, "cmd/runtime", words[1:])
		default:
			c.cobra(t, "cmd/msgnode", words[1:])
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d commands were found: this test looks at the wrong thing", len(seen))
	}
}

// packages tells whether each package that is built is a program.
func (c command) packages(t *testing.T, words []string) {
	for _, w := range words {
		if !strings.HasPrefix(w, "./") || w == "./" {
			continue
		}
		if text, err := exec.Command("go", "list", "-C", root, "-f", "{{.Name}}", w).CombinedOutput(); err != nil || strings.TrimSpace(string(text)) != "main" {
			t.Errorf("%s: %q: %s is no program: %s", c.page, c.line, w, text)
		}
	}
}

// run has the program of a "go run" read its flags, and then say what they are: it does so for none that it does not know.
func (c command) run(t *testing.T, words []string) {
	pkg := strings.TrimPrefix(words[0], "./")
	if pkg == "." || strings.HasPrefix(pkg, "bench/peers") { // a module of its own
		return
	}
	if _, err := os.Stat(filepath.Join(root, pkg)); err != nil {
		t.Errorf("%s: %q: there is no %s", c.page, c.line, pkg)
		return
	}
	var flags []string
	for i, w := range words[1:] {
		if w = strings.Trim(w, "'"); strings.HasPrefix(w, "-") || i > 0 && strings.HasPrefix(words[i], "-") {
			flags = append(flags, w)
		}
	}
	if out, err := exec.Command(program(t, pkg), append(flags, "-help")...).CombinedOutput(); err != nil {
		t.Errorf("%s: %q: %v\n%.300s", c.page, c.line, err, out)
	}
}

var usage = regexp.MustCompile(`(?m)^  protofly(?:-node)?((?: [a-z-]+)*)( \[command\])?`)

// cobra asks the program for the help of the command, which it gives for known flags only, and looks whose help it is.
func (c command) cobra(t *testing.T, pkg string, words []string) {
	out, err := exec.Command(program(t, pkg), append(slices.Clone(words), "--help")...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %q: %v\n%.300s", c.page, c.line, err, out)
		return
	}
	_, text, _ := strings.Cut(string(out), "Usage:\n")
	m := usage.FindStringSubmatch(text)
	if m == nil {
		t.Errorf("%s: %q: no usage in %.300s", c.page, c.line, out)
		return
	}
	named := strings.Fields(m[1])
	if len(words) < len(named) || !slices.Equal(words[:len(named)], named) {
		t.Errorf("%s: %q is the command %q", c.page, c.line, named)
		return
	}
	if strings.Contains(text, "[command]") && len(words) > len(named) && !strings.HasPrefix(words[len(named)], "-") {
		t.Errorf("%s: %q: %q has no command %s", c.page, c.line, named, words[len(named)])
	}
}
