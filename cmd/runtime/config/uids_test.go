package config

import (
	"fmt"
	"strings"
	"testing"
)

// The range of user IDs is a number or off, in the file as in a variable.
func TestPluginUIDs(t *testing.T) {
	for text, want := range map[string]uint32{"": 0, "uids:": 0, "uids: off": 0, "uids: 0": 0, "uids: 3000000000": 3_000_000_000, `uids: "70000"`: 70_000} {
		l, err := Load(Sources{File: file(t, "domain: a.b\nplugins:\n  node: msgnode-ws\n  "+text+"\n")})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := l.PluginUIDs(); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		if shown, err := l.Show(false); err != nil || want > 100_000 && !strings.Contains(shown, fmt.Sprintf("uids: %d\n", want)) || want == 0 && !strings.Contains(shown, "uids: 0\n") && !strings.Contains(shown, "uids: \"off\"\n") && !strings.Contains(shown, "uids: off\n") {
			t.Errorf("%s: %v\n%s", text, err, shown)
		}
	}
	for variable, want := range map[string]uint32{"off": 0, "0": 0, "70000": 70_000, "": 0} {
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
