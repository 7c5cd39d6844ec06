package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// example is a schema with a key of each type.
func example() *Schema {
	return &Schema{Program: "example", Prefix: "EXAMPLE_", SingleUnderscores: true, FoldNames: "parts", WorkingFolder: true, Keys: []Key{
		{Name: "name", Type: Text, Required: "it is required", Example: "somebody", About: "A name."},
		{Name: "folder", Type: Path, Default: "", About: "A folder."},
		{Name: "open", Type: Bool, Default: false, Flag: "open", About: "Whether it is open."},
		{Name: "user", Type: Scalar, Default: "auto", About: "Who."},
		{Name: "cluster", Type: Text, Default: "", Hide: func(string) string { return "(a cluster)" }, About: "Where."},
		{Name: "pin", Type: Int, Secret: true, Default: int64(0), About: "Hush."},
		{Name: "limits", About: "Limits.", Keys: []Key{
			{Name: "rows", Type: Int, Default: int64(7), Least: 1, Most: 100, Unit: "rows", About: "How many."},
			{Name: "min_free", Type: Size, Default: int64(16 << 20), Least: 1 << 10, Zero: "none", Was: []string{"minFree"}, About: "How much."},
			{Name: "idle", Type: Duration, Default: "24h", Least: int64(time.Second), Most: int64(time.Hour * 48), Was: []string{"rest"}, About: "How long."},
		}},
		{Name: "peers", Type: List, Default: []any{"any"}, Empty: "name somebody", About: "Who."},
		{Name: "networks", Type: List, Default: []any{"public"}, Words: []string{"public", "private"}, Nothing: "write []", About: "Where."},
		{Name: "level", Type: Text, Default: "info", Words: []string{"info", "warn"}, About: "How much."},
		{Name: "servers", Type: Groups, Default: []any{}, About: "Servers.", Keys: []Key{
			{Name: "urls", Type: List, About: "Where."}, {Name: "password", Type: Text, Secret: true, About: "Hush."}}},
		{Name: "parts", Type: Map, Default: map[string]any{}, Each: &Key{Type: Map, Each: &Key{Type: Any}}, About: "Parts.",
			Named: map[string]*Key{"quick-one": {About: "One.", Keys: []Key{{Name: "max_speed", Type: Int, Default: int64(3), Was: []string{"maxSpeed"}, About: "Speed."}}}}},
		{Name: "gone", Gone: "it is not there any more"},
	}}
}

type exampleConfig struct {
	Name    string `koanf:"name"`
	Folder  string `koanf:"folder"`
	Open    bool   `koanf:"open"`
	User    string `koanf:"user"`
	Cluster string `koanf:"cluster"`
	PIN     int    `koanf:"pin"`
	Limits  struct {
		Rows    int           `koanf:"rows"`
		MinFree int64         `koanf:"min_free"`
		Idle    time.Duration `koanf:"idle"`
	} `koanf:"limits"`
	Peers    []string                  `koanf:"peers"`
	Networks []string                  `koanf:"networks"`
	Level    string                    `koanf:"level"`
	Servers  []map[string]any          `koanf:"servers"`
	Parts    map[string]map[string]any `koanf:"parts"`
}

func file(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "example.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func load(t testing.TB, from Sources) (exampleConfig, *Values) {
	t.Helper()
	v, err := example().Load(from)
	if err != nil {
		t.Fatal(err)
	}
	var c exampleConfig
	if err := v.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c, v
}

// mistaken loads a configuration that has to be refused, and wants each of the words in the error.
func mistaken(t *testing.T, from Sources, words ...string) {
	t.Helper()
	_, err := example().Load(from)
	if err == nil {
		t.Fatalf("accepted; want %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("want %q in\n%v", word, err)
		}
	}
}

func TestValues(t *testing.T) {
	c, _ := load(t, Sources{File: file(t, `
name: bob
limits: {rows: 9, min_free: 4MiB, idle: 90s}
networks: []
servers: [{urls: [a, b], password: hush}]
parts: {quick-one: {max_speed: 5}, other: {anything: [1, {a: b}]}}
user: 7
`), Environ: []string{"EXAMPLE_PEERS=a, b", "EXAMPLE_NETWORKS=[private]", "EXAMPLE_PARTS__QUICK_ONE__MAX_SPEED=6"}, Flags: map[string]string{"open": "true"}})
	if c.Name != "bob" || !c.Open || c.User != "7" || c.Limits.Rows != 9 || c.Limits.MinFree != 4<<20 || c.Limits.Idle != 90*time.Second ||
		!reflect.DeepEqual(c.Peers, []string{"a", "b"}) || !reflect.DeepEqual(c.Networks, []string{"private"}) ||
		!reflect.DeepEqual(c.Servers, []map[string]any{{"urls": []string{"a", "b"}, "password": "hush"}}) || fmt.Sprint(c.Parts["quick-one"]) != "map[max_speed:6]" {
		t.Errorf("%+v", c)
	}
	if c, _ = load(t, Sources{File: file(t, "name: bob")}); c.Limits.MinFree != 16<<20 || c.Limits.Idle != 24*time.Hour || len(c.Networks) != 1 || c.User != "auto" {
		t.Errorf("%+v", c)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "65536": 65536, "4MiB": 4 << 20, "1GiB": 1 << 30, "3KiB": 3 << 10, "-1KiB": -1 << 10} {
		if n, err := ParseSize(text); err != nil || n != want {
			t.Errorf("%s: %d, %v", text, n, err)
		}
	}
	for _, text := range []string{"", "MiB", "4 MiB", "4MB", "4mib", "4.5MiB", "1e3", "0x10", "+4", "9223372036854775807KiB", "-9223372036854775807KiB", "4MiBKiB"} {
		if n, err := ParseSize(text); err == nil {
			t.Errorf("%q is %d", text, n)
		}
	}
	for n, want := range map[int64]string{0: "0", 1000: "1000", 1 << 30: "1GiB", 3 << 10: "3KiB", 1<<20 + 1: "1048577"} {
		if got := FormatSize(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	for d, want := range map[time.Duration]string{24 * time.Hour: "24h", 90 * time.Second: "1m30s", time.Minute: "1m", 0: "0s", 100 * time.Minute: "1h40m", 10 * time.Minute: "10m", 10 * time.Second: "10s"} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}

func TestWrongValues(t *testing.T) {
	for text, want := range map[string]string{
		"limits: {rows: 0}":                    `:2: limits.rows: want from 1 to 100, not the number 0`,
		"limits: {rows: -1}":                   `the negative number -1`,
		"limits: {rows: 1.5}":                  `limits.rows: want a whole number, not the number 1.5`,
		"limits: {rows: 99999999999999999999}": `limits.rows: want a whole number`,
		"limits: {min_free: 1}":                `:2: limits.min_free: want of at least 1KiB, or 0: none`,
		"limits: {min_free: 4 MiB}":            `want a size, such as 65536 (bytes) or 64KiB, not the text "4 MiB"`,
		"limits: {idle: 10}":                   `limits.idle: want a duration such as 30s, not the number 10`,
		"limits: {idle: 72h}":                  `limits.idle: want a duration from 1s to 48h0m0s, not 72h`,
		"limits: {idle: 10 s}":                 `want a duration such as 30s`,
		"limits: {idle: '-5s'}":                `want a duration from 1s`,
		"open: yes":                            `want true or false, not the text "yes"`,
		"open: 1":                              `want true or false, not the number 1`,
		"peers: []":                            `:2: peers: it is empty: name somebody`,
		"peers:":                               `:2: peers: it is empty: name somebody`,
		"networks:":                            `:2: networks: it is empty: write []`,
		"networks: [everywhere]":               `networks: want public, private, not "everywhere"`,
		"networks: public":                     `want a list of texts`,
		"level: ''":                            `level: want info, warn, not ""`,
		"user: [1]":                            `want a text or a whole number`,
		"gone: 1":                              `gone: it is not there any more`,
		"servers: [{urls: a}]":                 `:2: servers.0.urls: want a list of texts`,
		"servers: [{url: [a]}]":                `unknown key "servers.0.url": did you mean "servers.0.urls"?`,
		"servers:\n- urls: [a]\n- urls: 3\n":   `:4: servers.1.urls: want a list of texts`,
		"servers: [3]":                         `servers.0: want keys below it`,
		"servers: [null]":                      `want a list of groups of keys, not nothing`,
		"parts: {quick-one: {speed: 1}}":       `unknown key "parts.quick-one.speed"`,
		"parts: {quick-one: {max_sped: 1}}":    `did you mean "parts.quick-one.max_speed"?`,
		"limit: {}":                            `did you mean "limits"?`,
		"\"na\\0me\": x":                       `unknown key "na`,
		"level: \"in\\0fo\"":                   `level: the text has a control character in it (U+0000)`,
		"peers: [\"a\\u001b[2J\"]":             `control character`,
		"cluster: {url: hunter2}":              `cluster: want a text`,
	} {
		t.Run(text, func(t *testing.T) { mistaken(t, Sources{File: file(t, "name: bob\n"+text)}, want) })
	}
	for variable, want := range map[string]string{
		"EXAMPLE_OPEN=yes":              `EXAMPLE_OPEN: open: want true or false`,
		"EXAMPLE_LIMITS__ROWS=many":     `limits.rows: want a whole number, not "many"`,
		"EXAMPLE_LIMITS__ROWS=1000":     `EXAMPLE_LIMITS__ROWS: limits.rows: want from 1 to 100`,
		"EXAMPLE_LIMITS__MIN_FREE=x":    `EXAMPLE_LIMITS__MIN_FREE: limits.min_free: want a size`,
		"EXAMPLE_PEERS=,":               `EXAMPLE_PEERS: peers: it is empty: name somebody`,
		"EXAMPLE_PEERS=[]":              `EXAMPLE_PEERS: peers: it is empty: name somebody`,
		"EXAMPLE_NETWORKS=,":            `networks: it is empty: leave the variable out, or write []`,
		"EXAMPLE_NETWORKS=[":            `networks: want public, private, not "["`,
		"EXAMPLE_SERVERS=[{urls: 3}]":   `EXAMPLE_SERVERS: servers.0.urls: want a list of texts`,
		"EXAMPLE_LEVEL=\xff":            `EXAMPLE_LEVEL: level: the text is not UTF-8`,
		"EXAMPLE_LEVEL=a\x00b":          `EXAMPLE_LEVEL: level: the text has a control character`,
		"EXAMPLE_GONE=1":                `EXAMPLE_GONE: gone: it is not there any more`,
		"EXAMPLE_PARTS__QUICK_ONE__X=1": `unknown key "parts.quick-one.x"`,
		"EXAMPLE_LIMITS__ROWS__MORE=1":  `unknown key "limits.rows.more"`,
		"EXAMPLE_LIMITS=1":              `limits: it takes keys below it`,
		"EXAMPLE_LIMITS__MIN_FRE=1":     `It is EXAMPLE_LIMITS__MIN_FREE`,
	} {
		t.Run(variable, func(t *testing.T) {
			mistaken(t, Sources{File: file(t, "name: bob\n"), Environ: []string{variable}}, want)
		})
	}
	mistaken(t, Sources{File: file(t, "level: info\n")}, "config: name: it is required")
}

// A value of the wrong type may be a secret in the wrong place, and is not shown.
func TestErrorsShowNoSecrets(t *testing.T) {
	for text, variable := range map[string]string{"pin: hunter2": "", "pin: [hunter2]": "", "cluster: [hunter2]": "", "servers: [{password: [hunter2]}]": "", "": "EXAMPLE_PIN=hunter2",
		"cluster: *hunter2": "", "parts: {other: {password: *hunter2}}": "", "#": "EXAMPLE_PARTS__OTHER__PASSWORD=*hunter2", "# ": "EXAMPLE_PEERS=[*hunter2]"} {
		_, err := example().Load(Sources{File: file(t, "name: bob\n"+text), Environ: []string{variable}})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s%s: %v", text, variable, err)
		}
	}
}

// A file that is not a configuration gives an error that says why, in bounded time and memory.
func TestFilesThatAreNone(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 9 {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", 'b'+i, 'b'+i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", 'a'+i), 10), ", "))
	}
	for what, c := range map[string]struct{ text, want string }{
		"duplicate":       {"name: a\nlevel: info\nname: b\n", "already defined"},
		"duplicate below": {"limits:\n  rows: 1\n  rows: 2\n", "already defined"},
		"not UTF-8":       {"name: bob\nlevel: in\xfffo\n", ":2: the text is not UTF-8"},
		"UTF-16":          {"\xff\xfen\x00a\x00", "not UTF-8"},
		"NUL":             {"name: bo\x00b\n", "control characters"},
		"a bomb":          {bomb, "excessive aliasing"},
		"a circle":        {"name: &a [*a]\n", "config file"},
		"deep":            {"parts: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "more than 64 levels"},
		"many keys":       {strings.Repeat("a: 1\n", 5000), ":1: more than 4096 keys in one group"},
		"large":           {"#" + strings.Repeat("x", MaxFile), "at most"},
		"not closed":      {"name: [", "line"},
		"a text":          {"just a text", "want keys and values"},
		"a list":          {"- a", "want keys and values"},
		"tabs":            {"limits:\n\trows: 1\n", "config file"},
	} {
		t.Run(what, func(t *testing.T) { mistaken(t, Sources{File: file(t, c.text)}, c.want) })
	}
	t.Run("a folder", func(t *testing.T) { mistaken(t, Sources{File: t.TempDir()}, "is a folder") })
	t.Run("nothing", func(t *testing.T) { mistaken(t, Sources{File: "/nowhere/x"}, "/nowhere/x") })
	if runtime.GOOS == "linux" {
		t.Run("an endless file", func(t *testing.T) { mistaken(t, Sources{File: "/dev/zero"}, "at most") })
	}
	if runtime.GOOS != "windows" && os.Getuid() != 0 {
		t.Run("unreadable", func(t *testing.T) {
			name := file(t, "name: bob")
			if err := os.Chmod(name, 0); err != nil {
				t.Fatal(err)
			}
			mistaken(t, Sources{File: name}, "permission denied")
		})
	}
	load(t, Sources{File: file(t, "\ufeffname: bob\r\nlimits: &l {rows: 3}\r\nparts: {a: *l}\r\n")})
	mistaken(t, Sources{File: file(t, "")}, "name: it is required")
}

// However many mistakes there are, they are reported in bounded time and length.
func TestManyMistakes(t *testing.T) {
	var text strings.Builder
	text.WriteString("name: bob\n")
	n := 0
	for ; n < 4000; n++ {
		fmt.Fprintf(&text, "lmits%d: 1\n", n)
	}
	name := file(t, text.String())
	_, err := example().Load(Sources{File: name})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("\nand %d mistakes more", n-maxMistakes)) || len(err.Error()) > 64<<10 {
		t.Fatalf("%.1000v", err)
	}
	if _, again := example().Load(Sources{File: name}); again == nil || again.Error() != err.Error() {
		t.Error("it is said differently each time")
	}
}

func TestSecretsAreHidden(t *testing.T) {
	_, v := load(t, Sources{File: file(t, `
name: bob
cluster: nats://hunter2@h
servers: [{urls: ["https://me:hunter2@h/?token=hunter2"], password: hunter2}]
parts: {other: {api_token: hunter2, below: [{password: hunter2}], private: 7203}}
`)})
	text, err := v.Show(true, map[string][]string{"parts": {"quick-one", "nobody"}})
	if err != nil || strings.Contains(text, "hunter2") || strings.Contains(text, "7203") {
		t.Errorf("%v\n%s", err, text)
	}
	for _, want := range []string{"cluster: (a cluster)", "password: (hidden)", "max_speed: 3 # default", "level: info # default", "name: bob # " + "/"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{"name: a.b", "name: a\nlimits: {minFree: 4MiB, idle: 10s}", "a: &a [*a]", "? {a: b}\n: c", "parts: {? [a] : b}", "name: !!binary aGk=", "parts: {q: {1: 2}}",
		"limits: ~", "servers: [{urls: [x]}]", "<<: {name: a}", "name: a\nname: b", "name: \"\\0\"", "limits: {rows: 99999999999999999999}"} {
		f.Add(seed, "EXAMPLE_LEVEL=info")
		f.Add(seed, "EXAMPLE_LIMITS_MINFREE=4KiB")
	}
	f.Fuzz(func(t *testing.T, text, variable string) {
		if len(text) > 4096 {
			return
		}
		v, err := example().Load(Sources{File: file(t, text), Environ: []string{variable}})
		if v == nil || err != nil || v.Given("pin") { // a hidden number is not a number
			return
		}
		var c exampleConfig
		if err := v.Decode(&c); err != nil {
			t.Fatal("a valid configuration is none", err)
		}
		shown, err := v.Show(true, map[string][]string{"parts": {"quick-one"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := example().Load(Sources{File: file(t, shown)}); err != nil {
			t.Fatalf("what is shown is no configuration: %v\n%s", err, shown)
		}
	})
}
