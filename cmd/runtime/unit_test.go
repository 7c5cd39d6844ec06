package main

import (
	"strings"
	"testing"

	"github.com/protofly/protofly/internal/unitfile"
)

// The unit starts this program with flags that it has, and paths that the unit makes.
func TestUnit(t *testing.T) {
	u := unitfile.Read(t, "protofly.service")
	code, help, errs := newShell(t).run("run", "--help")
	if code != 0 {
		t.Fatal(errs)
	}
	u.Fits(t, help)
	if filter := u.Value("SystemCallFilter"); !strings.Contains(filter, " seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self") {
		t.Errorf("plug-ins cannot be confined: %s", filter)
	}
	for _, hidden := range []string{"ProtectProc", "ProcSubset", "PrivateUsers"} {
		if u.Value(hidden) != "" {
			t.Errorf("%s hides who uses the socket", hidden)
		}
	}
	t.Run("verify", func(t *testing.T) { u.Verify(t, "protofly.service") })
}
