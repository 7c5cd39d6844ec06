package core_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// modulePath is the path of this project.
const modulePath = "github.com/protofly/protofly"

// inHouse is what each folder's packages may import of this project: its own packages and the folders named here.
var inHouse = []struct {
	folder string
	may    []string
}{
	{"internal", []string{"sdk/message"}}, // message has the basic types, which depend on nothing
	{"sdk", []string{"internal"}},
	{"core", []string{"sdk", "internal"}},
	{"plugins", []string{"sdk", "internal", "plugins/internal"}}, // of plugins only its own, see mayImport; hostile ones share plugins/internal
	{"cmd/msgnode", []string{"sdk", "internal", "core", "plugins/msgnode-ws/node", "plugins/msgnode-ws/wire"}}, // wire: its test is a client
	{"cmd", []string{"sdk", "internal", "core"}},
	{"bench", []string{"sdk", "internal", "core"}},
	{"examples", []string{"sdk", "internal", "core", "bench/rig"}}, // rig: quickstart starts what the benchmarks start
}

// outside is every module that core and sdk may depend on, directly or not: logs, the handshake of sessions, the link to the
// plug-ins with its dependencies, and what the standard library lacks. No transport is among them, nor a reader of
// configurations.
var outside = []string{
	"code.dny.dev/ssrf",                                           // in a test alone, of the table in internal/networks
	"golang.org/x/mod", "golang.org/x/sync", "golang.org/x/tools", // in a test alone, of how the code is built: internal/house
	"github.com/fatih/color", "github.com/flynn/noise", "github.com/gofrs/flock", "github.com/golang/protobuf", "github.com/hashicorp/go-hclog",
	"github.com/hashicorp/go-plugin", "github.com/hashicorp/yamux", "github.com/landlock-lsm/go-landlock",
	"github.com/mattn/go-colorable", "kernel.org/pub/linux/libs/security/libcap/psx",
	"github.com/mattn/go-isatty", "github.com/oklog/run", "go.uber.org/goleak", "golang.org/x/crypto", "golang.org/x/net", "golang.org/x/sys",
	"golang.org/x/text", "golang.org/x/time", "google.golang.org/genproto/googleapis/rpc", "google.golang.org/grpc",
	"google.golang.org/protobuf",
}

// listed is a package as go list prints it.
type listed struct {
	ImportPath, ForTest string
	Imports, Deps       []string
	Standard            bool
	Module              *struct{ Path string }
}

// goList returns every package of this project, its tests, and what they depend on, for an operating system.
func goList(t *testing.T, goos string) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-test", "-json=ImportPath,ForTest,Imports,Deps,Standard,Module", modulePath+"/...")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list for %s: %v\n%s", goos, err, problems.String())
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// local returns the folder of a package of this project; ok says whether it is one. The variants that go list makes of
// packages for tests ("a/b [a/b.test]", "a/b_test [a/b.test]") count as the package.
func local(importPath string) (folder string, ok bool) {
	importPath, _, _ = strings.Cut(importPath, " ")
	folder, ok = strings.CutPrefix(importPath, modulePath+"/")
	return strings.TrimSuffix(strings.TrimSuffix(folder, ".test"), "_test"), ok
}

func under(folder, top string) bool { return folder == top || strings.HasPrefix(folder, top+"/") }

// reader is the package that reads configurations, with libraries that nothing else may depend on: only cmd imports it.
const reader = "internal/config"

// mayImport is the import rule between two folders of this project.
func mayImport(from, to string) bool {
	if under(to, reader) && !under(from, reader) && !under(from, "cmd") {
		return false
	}
	for _, rule := range inHouse {
		if !under(from, rule.folder) {
			continue
		}
		own := rule.folder
		if own == "plugins" { // plugins/<name>
			own = path.Join(strings.SplitN(from, "/", 3)[:2]...)
		}
		return under(to, own) || slices.ContainsFunc(rule.may, func(top string) bool { return under(to, top) })
	}
	return false
}

// sdk and internal import nobody above; core and plugins import only sdk and internal; only cmd, bench and examples import core; nobody imports
// plugins but cmd/msgnode, which imports plugins/msgnode-ws/node; and no transport is below core or sdk. On every system.
func TestImportRule(t *testing.T) {
	t.Parallel()
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			t.Parallel()
			broken := map[string]bool{}
			packages := goList(t, goos)
			module := map[string]string{}
			for _, p := range packages {
				if p.Module != nil {
					module[p.ImportPath] = p.Module.Path
				}
			}
			seen := 0
			for _, p := range packages {
				from, ok := local(p.ImportPath)
				if !ok || strings.HasSuffix(p.ImportPath, ".test") { // a test's generated main
					continue
				}
				seen++
				for _, imported := range p.Imports {
					if to, ok := local(imported); ok && to != from && !mayImport(from, to) {
						broken[fmt.Sprintf("%s may not import %s", from, to)] = true
					}
				}
				if !under(from, "core") && !under(from, "sdk") && !under(from, "internal") || under(from, reader) {
					continue
				}
				for _, dep := range p.Deps {
					if m := module[dep]; m != "" && m != modulePath && !slices.Contains(outside, m) {
						broken[fmt.Sprintf("%s may not depend on the module %s: see the list in this test", from, m)] = true
					}
				}
			}
			if seen < 30 {
				t.Fatalf("only %d packages were found: this test looks at the wrong thing", seen)
			}
			for what := range broken {
				t.Error(what)
			}
		})
	}
}

// The rule itself refuses the imports that it must refuse.
func TestMayImport(t *testing.T) {
	for _, c := range []struct {
		from, to string
		may      bool
	}{
		{"sdk/message", "sdk", true}, {"sdk", "core/trace", false}, {"sdk/p2p", "plugins/a/transport", false},
		{"core/bus", "sdk/message", true}, {"core", "core/bus", true}, {"core", "plugins/a/transport", false}, {"core", "cmd/runtime/config", false},
		{"plugins/a", "plugins/a/transport", true}, {"plugins/a", "plugins/b/transport", false}, {"plugins/a/transport", "core/trace", false},
		{"plugins/ab", "plugins/a", false}, {"plugins/a/hostile", "plugins/internal/b", true}, {"plugins/a", "sdk/p2p", true},
		{"cmd/msgnode", "plugins/msgnode-ws/node", true}, {"cmd/msgnode", "plugins/msgnode-ws/stub", false}, {"cmd/runtime", "plugins/msgnode-ws/node", false},
		{"cmd/runtime", "core/api", true}, {"examples/a", "core", true}, {"examples/a", "sdk", true}, {"examples/a", "examples/b", true},
		{"bench/a", "core", true}, {"bench/a", "plugins/b/transport", false}, {"examples/a", "bench/rig", true}, {"examples/a", "bench/speed", false}, {"core", "bench/rig", false},
		{"sdk/p2p", "internal/logs", true}, {"core", "internal/logs", true}, {"plugins/a", "internal/logs", true}, {"cmd/msgnode", "internal/logs", true},
		{"cmd/runtime", "internal/config", true}, {"internal/config/command", "internal/config", true}, {"core", "internal/config", false},
		{"sdk", "internal/config", false}, {"plugins/a", "internal/config", false}, {"internal/logs", "internal/config", false}, {"bench/a", "internal/config", false},
		{"internal/logs", "internal/printable", true}, {"internal/link", "sdk/message", true}, {"internal/link", "sdk", false}, {"internal/logs", "core", false},
		{"elsewhere", "sdk", false},
	} {
		if got := mayImport(c.from, c.to); got != c.may {
			t.Errorf("%s imports %s: %v", c.from, c.to, got)
		}
	}
}
