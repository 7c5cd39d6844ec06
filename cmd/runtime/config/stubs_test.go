package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/protofly/protofly/sdk"
)

// install puts the descriptors of plug-ins into a folder.
func install(t *testing.T, plugins ...sdk.Descriptor) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, d := range plugins {
		text, err := json.Marshal(struct {
			sdk.Descriptor
			Executable string `json:"executable"`
			SHA256     string `json:"sha256"`
		}{d, d.Name, strings.Repeat("00", 32)})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, d.Name+".json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// quick is a plug-in with an option of each type.
func quick() sdk.Descriptor {
	return sdk.Descriptor{Name: "quick-one", Version: "1", Kind: sdk.KindP2P, Options: []sdk.Option{
		{Name: "listen", Type: sdk.OptionText, Default: ":0", About: "Where."},
		{Name: "cert", Type: sdk.OptionPath, About: "Which."},
		{Name: "token", Type: sdk.OptionText, Default: "", About: "Hush."},
		{Name: "window", Type: sdk.OptionSize, Default: 65536, Least: 1024, About: "How much."},
		{Name: "idle", Type: sdk.OptionDuration, Default: "30s", About: "How long."},
		{Name: "tries", Type: sdk.OptionInt, Default: 3, Most: 9, About: "How often."},
		{Name: "open", Type: sdk.OptionBool, Default: true, Was: []string{"isOpen"}, About: "Whether."},
		{Name: "mode", Type: sdk.OptionText, Default: "fast", Values: []string{"fast", "slow"}, About: "How."},
		{Name: "passwords", Type: sdk.OptionList, Default: []any{}, About: "Hush."},
		{Name: "stun", Type: sdk.OptionList, Default: []any{}, About: "Who."},
		{Name: "servers", Type: sdk.OptionGroups, About: "Who.", Options: []sdk.Option{{Name: "urls", Type: sdk.OptionList, About: "Where."}}},
		{Name: "later", Type: "of a later version", About: "What."},
	}}
}

// The options of a plug-in that describes them are checked, resolved and shown as every other key; those of others are passed on.
func TestPluginOptions(t *testing.T) {
	dir := install(t, quick(), sdk.Descriptor{Name: "silent", Version: "1", Kind: sdk.KindP2P}, sdk.Descriptor{Name: "none", Version: "1", Kind: sdk.KindP2P, Options: []sdk.Option{}})
	name := file(t, "domain: a.b\nplugins: {dir: "+dir+"}\nstubs:\n  quick-one: {cert: here.pem, window: 4MiB, idle: 90s, isOpen: false, token: hunter2, passwords: [hunter2], servers: [{urls: [x]}], later: {a: 1}}\n  silent: {anyThing: 4MiB}\n")
	l, err := Load(Sources{File: name, Environ: []string{"PROTOFLY_STUBS__QUICK_ONE__STUN=a:1,b:2", "PROTOFLY_STUBS__QUICK_ONE__TRIES=5"}})
	if err != nil {
		t.Fatal(err)
	}
	stubs, err := l.StubConfig()
	want := `{"cert":"` + filepath.Join(filepath.Dir(name), "here.pem") + `","idle":"1m30s","later":{"a":1},"open":false,"passwords":["hunter2"],"servers":[{"urls":["x"]}],"stun":["a:1","b:2"],"token":"hunter2","tries":5,"window":4194304}`
	if err != nil || string(stubs["quick-one"]) != want || string(stubs["silent"]) != `{"anyThing":"4MiB"}` {
		t.Errorf("%v\n%s\nwant\n%s\n%s", err, stubs["quick-one"], want, stubs["silent"])
	}
	if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], ":4: stubs.quick-one.isOpen is called stubs.quick-one.open now") {
		t.Errorf("%q", l.Warnings)
	}
	shown, err := l.Show(true)
	for _, part := range []string{"mode: fast # default", "listen: :0 # default", "window: 4MiB # " + name + ":4", "token: (hidden)", "tries: 5 # PROTOFLY_STUBS__QUICK_ONE__TRIES"} {
		if err != nil || !strings.Contains(shown, part) {
			t.Errorf("%v: no %q in\n%s", err, part, shown)
		}
	}
	if strings.Contains(shown, "hunter2") {
		t.Error(shown)
	}
	for text, want := range map[string]string{
		"quick-one: {windwo: 1}":                 `:3: unknown key "stubs.quick-one.windwo": did you mean "stubs.quick-one.window"?`,
		"quick-one: {window: 1}":                 `:3: stubs.quick-one.window: want of at least 1KiB`,
		"quick-one: {tries: 10}":                 `stubs.quick-one.tries: want from 0 to 9, not the number 10`,
		"quick-one: {mode: slowly}":              `stubs.quick-one.mode: want fast, slow, not "slowly"`,
		"quick-one: {open: 1}":                   `stubs.quick-one.open: want true or false`,
		"quick-one: {token: [x]}":                `stubs.quick-one.token: want a text, not a list`,
		"none: {anything: 1}":                    `unknown key "stubs.none.anything"`,
		"quick-one: {servers: [{}, {url: [x]}]}": `did you mean "stubs.quick-one.servers.1.urls"?`,
	} {
		if _, err := Load(Sources{File: file(t, "domain: a.b\nplugins: {dir: "+dir+"}\nstubs: {"+text+"}\n")}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q, got %v", text, want, err)
		}
	}
	if _, err := Load(Sources{File: file(t, "domain: 7\nplugins: {dir: "+dir+"}\nstubs: {quick-one: {windwo: 1}}\n")}); err == nil || !strings.Contains(err.Error(), "domain: want a text") || !strings.Contains(err.Error(), "windwo") {
		t.Errorf("not all mistakes at once: %v", err)
	}
}

// A plug-in's description of its options cannot put anything into the configuration, whatever it is.
func TestHostileOptions(t *testing.T) {
	evil := "x\n\x1b[2Jdomain: evil.example\n#"
	dir := install(t, sdk.Descriptor{Name: "evil", Version: "1", Kind: sdk.KindP2P, About: evil, Options: []sdk.Option{
		{Name: "text", Type: sdk.OptionText, Default: evil, About: evil, Unit: evil, Values: []string{evil}, Was: []string{"Text"}},
		{Name: "wrong", Type: sdk.OptionInt, Default: "many", About: "x"},
		{Name: "deep", Type: sdk.OptionGroup, Default: 3, About: "x", Options: []sdk.Option{{Name: "text", Type: sdk.OptionText, Default: []any{1}, About: evil}}},
		{Name: "any", Type: "new", Default: map[string]any{"a": evil}, About: "x"},
	}})
	text, err := Bundled(Sources{Flags: map[string]string{"plugins.dir": dir}}).Init(map[string]string{"domain": "a.b", "plugins.dir": dir})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "\x1b") || strings.Contains(text, "\ndomain: evil") || !strings.Contains(text, "#text: ") || strings.Contains(text, "wrong: many") || !strings.Contains(text, "exclude_interfaces") {
		t.Errorf("%s", text)
	}
	l, err := Load(Sources{File: file(t, text)})
	if err != nil || l.Domain != "a.b" {
		t.Errorf("%+v, %v\n%s", l, err, text)
	}
}

// The file of config init can be used unchanged, with all bundled plug-ins.
func TestInit(t *testing.T) {
	text, err := Bundled(Sources{}).Init(nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Load(Sources{File: file(t, text)})
	if err != nil || !l.UseAll || len(l.Stubs["quic"]) > 0 {
		t.Fatalf("%v %v", l, err)
	}
	for _, key := range Bundled(Sources{}).Leaves() {
		last := key[strings.LastIndexByte(key, '.')+1:]
		if !strings.Contains(text, "#"+last+": ") && !strings.Contains(text, last+":") {
			t.Errorf("no %s", key)
		}
	}
	for _, plugin := range []string{"quic", "webrtc", "msgnode-ws"} {
		if !strings.Contains(text, "\n  "+plugin+":\n") {
			t.Errorf("no %s in\n%s", plugin, text)
		}
	}
}
