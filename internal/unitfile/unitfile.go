// Package unitfile is for tests that check a systemd unit against the program that it starts.
package unitfile

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Unit is a service.
type Unit struct {
	Settings map[string][]string // the values of each key in all sections, in order
	text     string
}

// maxExposure is the highest exposure level that systemd-analyze may find, on its scale from 0 (best) to 10.
const maxExposure = 2.0

// Read reads the unit in a file.
func Read(t *testing.T, path string) Unit {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	u := Unit{Settings: map[string][]string{}, text: string(text)}
	for line := range strings.Lines(u.text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			u.Settings[key] = append(u.Settings[key], value)
		}
	}
	return u
}

// Value returns the last value of a key; "" if there is none.
func (u Unit) Value(key string) string {
	if values := u.Settings[key]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

// Command returns the command line of the service, with systemd's specifiers replaced by the paths of a system service.
func (u Unit) Command() []string {
	return strings.Fields(strings.NewReplacer("%S", "/var/lib", "%t", "/run").Replace(u.Value("ExecStart")))
}

// Fits checks that the unit makes every path in its command, or its first lines say how to make it, and that the program has every
// flag. help is the program's help text for the command.
func (u Unit) Fits(t *testing.T, help string) {
	t.Helper()
	folders := []string{"/etc/" + u.Value("ConfigurationDirectory") + "/", "/var/lib/" + u.Value("StateDirectory"), "/run/" + u.Value("RuntimeDirectory") + "/"}
	for _, word := range u.Command() {
		switch {
		case strings.HasPrefix(word, "-"):
			if !regexp.MustCompile(`(?m)^ +(-\w, )?` + regexp.QuoteMeta(word) + ` `).MatchString(help) {
				t.Errorf("the program has no flag %s", word)
			}
		case strings.HasPrefix(word, "/usr/local/"):
			if explained, _, _ := strings.Cut(u.text, "[Unit]"); !strings.Contains(explained, word) && !strings.Contains(explained, filepath.Dir(word)+"/") {
				t.Errorf("nothing says how %s comes to be", word)
			}
		case strings.HasPrefix(word, "/"):
			if !slices.ContainsFunc(folders, func(dir string) bool { return strings.HasPrefix(word, dir) }) {
				t.Errorf("the unit does not make %s", word)
			}
		}
	}
}

// Verify runs systemd-analyze, which finds mistakes in the unit and measures its exposure. It skips the test if there is no
// systemd-analyze.
func (u Unit) Verify(t *testing.T, name string) {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here: the unit is not verified")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(u.text, u.Command()[0], self)), 0o600); err != nil { // the program of a unit has to exist
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "verify", "--man=no", path).CombinedOutput(); err != nil || strings.Contains(string(out), name) {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := exec.Command(program, "security", "--offline=yes", "--no-pager", path).CombinedOutput()
	if exited := new(exec.ExitError); errors.As(err, &exited) && strings.Contains(string(out), "offline") {
		t.Skipf("this systemd cannot tell what a unit leaves open: %s", out)
	}
	found := regexp.MustCompile(`exposure level for ` + regexp.QuoteMeta(name) + `: ([0-9.]+)`).FindStringSubmatch(string(out))
	if found == nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if exposure, err := strconv.ParseFloat(found[1], 64); err != nil || exposure > maxExposure {
		t.Errorf("the unit leaves more open than %v of 10:\n%s", maxExposure, out)
	}
}
