package users

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/protofly/protofly/core/stubhost/sandbox"
)

// Each plug-in has an ID of its own, the same one each time, and another one with a host in another folder.
func TestUsersOfPlugins(t *testing.T) {
	u := &Users{Dir: "/a", First: sandbox.FirstUID}
	taken := map[uint32]string{}
	for n := range 500 { // among 65536 some get the same first choice
		name := fmt.Sprint("plugin", n)
		user, separate := u.of(name)
		if !separate || user.ID < sandbox.FirstUID || user.ID >= sandbox.FirstUID+sandbox.UIDs {
			t.Fatalf("%s: user %d, separate %v", name, user.ID, separate)
		}
		if owner := taken[user.ID]; owner != "" {
			t.Errorf("%s and %s share user %d", owner, name, user.ID)
		}
		taken[user.ID] = name
		if again, _ := u.of(name); again != user {
			t.Errorf("%s has users %d and %d", name, user.ID, again.ID)
		}
	}
	here, _ := u.of("plugin1")
	if elsewhere, _ := (&Users{Dir: "/b", First: sandbox.FirstUID}).of("plugin1"); elsewhere == here {
		t.Error("the same plug-in has the same user in another folder")
	}
}

// Without such IDs a plug-in runs under this process's user, from its copy, and its description says why.
func TestNoUsers(t *testing.T) {
	u := &Users{Dir: "/a", Why: "there are none"}
	as, err := u.Identify(Program{Name: "a", Path: "/copies/a"})
	if err != nil || as.Dedicated != nil || as.Path != "/copies/a" || u.Noteworthy(as) {
		t.Errorf("%+v, %v", as, err)
	}
	if text := u.Usual("a").String(); os.Geteuid() == 0 && !strings.Contains(text, "there are none") || os.Geteuid() > 0 && text != fmt.Sprint(os.Geteuid()) {
		t.Errorf("it says %q", text)
	}
}
