package config

import (
	"strings"
	"testing"

	"github.com/protofly/protofly/core/stubhost/sandbox"
)

// plugins.uids is a word, or the first of the IDs, in the file and in a variable.
func TestPluginUIDs(t *testing.T) {
	auto, off := sandbox.Users{Mode: sandbox.Auto}, sandbox.Users{Mode: sandbox.Off}
	for _, c := range []struct {
		text  string
		want  sandbox.Users
		shown string
	}{
		{"", auto, "uids: auto"}, {"uids:", auto, "uids: auto"}, {"uids: auto", auto, "uids: auto"},
		{"uids: on", sandbox.Users{Mode: sandbox.Required}, `uids: "on"`}, {"uids: off", off, `uids: "off"`}, {"uids: 0", off, "uids: 0"},
		{"uids: 3000000000", sandbox.Users{Mode: sandbox.Auto, First: 3_000_000_000}, "uids: 3000000000"},
		{`uids: "70000"`, sandbox.Users{Mode: sandbox.Auto, First: 70_000}, `uids: "70000"`},
	} {
		l, err := Load(Sources{File: file(t, "domain: a.b\nplugins:\n  node: msgnode-ws\n  "+c.text+"\n")})
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got, err := l.PluginUIDs(); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", c.text, got, err)
		}
		if shown, err := l.Show(false); err != nil || !strings.Contains(shown, "  "+c.shown+"\n") {
			t.Errorf("%s: %v\n%s", c.text, err, shown)
		}
	}
	for variable, want := range map[string]sandbox.Users{
		"auto": auto, "on": {Mode: sandbox.Required}, "off": off, "0": off, "70000": {Mode: sandbox.Auto, First: 70_000}, "": auto,
	} {
		l, err := Load(Sources{Environ: []string{"PROTOFLY_DOMAIN=a.b", "PROTOFLY_PLUGINS__UIDS=" + variable}})
		if err != nil {
			t.Errorf("%s: %v", variable, err)
			continue
		}
		if got, err := l.PluginUIDs(); err != nil || got != want {
			t.Errorf("%s: %+v, %v", variable, got, err)
		}
	}
}
