package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/protofly/protofly/core/stubhost/sandbox"
)

// The range of user IDs is a number or off, in the file as in a variable.
func TestPluginUIDs(t *testing.T) {
	for text, want := range map[string]uint32{"": sandbox.FirstUID, "uids:": sandbox.FirstUID, "uids: off": 0, "uids: 0": 0, "uids: 3000000000": 3_000_000_000, `uids: "70000"`: 70_000} {
		l, err := Load(Sources{File: file(t, "domain: a.b\nplugins:\n  node: msgnode-ws\n  "+text+"\n")})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := l.PluginUIDs(); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		if shown, err := l.Show(false); err != nil || want == 0 != !strings.Contains(shown, fmt.Sprintf("uids: %d\n", want)) && text != `uids: "70000"` && text != "uids: 0" {
			t.Errorf("%s: %v\n%s", text, err, shown)
		}
	}
	for variable, want := range map[string]uint32{"off": 0, "0": 0, "70000": 70_000, "": sandbox.FirstUID} {
		l, err := Load(Sources{Environ: []string{"PROTOFLY_DOMAIN=a.b", "PROTOFLY_PLUGINS__UIDS=" + variable}})
		if err != nil {
			t.Errorf("%s: %v", variable, err)
			continue
		}
		if got, err := l.PluginUIDs(); err != nil || got != want {
			t.Errorf("%s: %d, %v", variable, got, err)
		}
	}
}
