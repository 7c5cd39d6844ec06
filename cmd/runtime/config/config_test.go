package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/internal/config"
	"github.com/protofly/protofly/sdk/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// file writes a configuration.
func file(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "protofly.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSmallestConfig(t *testing.T) {
	l, err := Load(Sources{File: file(t, "domain: example.com\n")})
	if err != nil {
		t.Fatal(err)
	}
	if l.Domain != "example.com" || l.P2P.Policy != "auto" || !l.P2P.Changes || l.Log.Level != "info" || !l.UseAll ||
		l.Plugins.Node != "msgnode-ws" || l.Data == "" || l.API.Socket == "" || l.Plugins.Dir != filepath.Join(l.Data, "installed") {
		t.Fatalf("%+v", l.Config)
	}
}

func TestWholeConfig(t *testing.T) {
	name := file(t, `
domain: example.com
node: wss://node.example.com/protofly
nodes: {other.example:8443: "wss://other.example:8443/protofly"}
data: here
plugins: {use: [quic, webrtc], node: msgnode-ws}
stubs:
  quic: {listen: ":0", stun: ["stun.example:3478"]}
  msgnode-ws: {ca: x.pem}
trust:
  mode: pinned
  peers: [hyperty-runtime://o.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]
  pins: ["hyperty://o.example/x hyperty-runtime://o.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
  without_sessions: {domains: [old.example], peers: ["runtime://o.example/r1"]}
p2p: {policy: requested, prefer: [webrtc, quic], changes: false}
api: {socket: /tmp/x.sock}
log: {level: debug, format: json}
trace: ../trace.jsonl
catalogue: {networks: [public, 10.1.0.0/16]}
`)
	l, err := Load(Sources{File: name})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(name)
	if l.Data != filepath.Join(dir, "here") || l.Trace != filepath.Join(filepath.Dir(dir), "trace.jsonl") {
		t.Errorf("paths: %s %s", l.Data, l.Trace)
	}
	want := map[string]string{"example.com": "wss://node.example.com/protofly", "other.example:8443": "wss://other.example:8443/protofly"}
	if !maps.Equal(l.AllNodes(), want) {
		t.Errorf("%v", l.AllNodes())
	}
	stubs, err := l.StubConfig()
	if err != nil || string(stubs["quic"]) != `{"listen":":0","stun":["stun.example:3478"]}` {
		t.Errorf("%s %v", stubs["quic"], err)
	}
	if l.UseAll || !slices.Equal(l.Plugins.Use, []string{"quic", "webrtc"}) || !slices.Equal(l.P2P.Prefer, []string{"webrtc", "quic"}) || l.P2P.Changes {
		t.Errorf("%+v", l.Config)
	}
	trust, err := l.Trusted()
	const peer message.URL = "hyperty-runtime://o.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	if err != nil || trust.Mode != identity.Pinned || !slices.Equal(trust.Peers, []message.URL{peer}) || trust.Pins["hyperty://o.example/x"] != peer {
		t.Errorf("%+v %v", trust, err)
	}
	if w := trust.WithoutSessions; !slices.Equal(w.Domains, []string{"old.example"}) || !slices.Equal(w.Peers, []message.URL{"runtime://o.example/r1"}) {
		t.Errorf("%+v", w)
	}
	if !slices.Equal(l.Catalogue.Networks, []string{"public", "10.1.0.0/16"}) {
		t.Errorf("%v", l.Catalogue)
	}
	if shown, err := l.Show(false); err != nil || !strings.Contains(shown, "without_sessions:") || !strings.Contains(shown, "runtime://o.example/r1") {
		t.Errorf("%s %v", shown, err)
	}
	if got := l.Origin["p2p.policy"]; got != name+":15" {
		t.Errorf("origin %s", got)
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"misspelt", "domain: example.com\np2p:\n  polcy: auto\n", []string{`:3: unknown key "p2p.polcy": did you mean "p2p.policy"?`}},
		{"wrong group", "domain: a.b\npolicy: auto\n", []string{`:2: unknown key "policy": did you mean "p2p.policy"?`}},
		{"swapped", "domian: a.b\n", []string{`unknown key "domian": did you mean "domain"?`}},
		{"far off", "domain: a.b\nlog: {colour: red}\n", []string{`unknown key "log.colour": there are log.format, log.level`}},
		{"all at once", "domain: 7\nx: 1\nlog: {level: 3}", []string{`:1: domain: want a text, not the number 7`, `unknown key "x"`, `:3: log.level: want a text`}},
		{"truth as text", "domain: a.b\np2p: {changes: \"no\"}", []string{`p2p.changes: want true or false, not the text "no"`}},
		{"text as list", "domain: a.b\nplugins: {use: quic}", []string{`plugins.use: want a list of texts, not the text "quic"`}},
		{"list of numbers", "domain: a.b\nplugins: {use: [1]}", []string{`not the number 1`}},
		{"value as group", "domain: a.b\napi: /tmp/x", []string{`api: want keys below it, not the text "/tmp/x"`}},
		{"group as value", "domain: {a: b}", []string{`domain: want a text, not keys below it`}},
		{"stub as value", "domain: a.b\nstubs: {quic: 3}", []string{`stubs.quic: want keys below it`}},
		{"no domain", "log: {level: info}", []string{`domain: it is required`}},
		{"bad domain", "domain: Example.com/x", []string{`is no domain`}},
		{"http node", "domain: a.b\nnode: http://a.b/", []string{`begins with wss:// or ws://`, `not with "http"`, `:2: node:`}},
		{"node without host", "domain: a.b\nnode: 'ws:///x'", []string{`names no host`}},
		{"bad port", "domain: a.b\nnode: 'ws://a.b:port/'", []string{`not a URL`, `port`}},
		{"empty node of another domain", "domain: a.b\nnodes: {c.d: \"\"}\n", []string{`:2: nodes.c.d: it is empty`}},
		{"node twice", "domain: a.b\nnode: ws://a.b/\nnodes: {a.b: ws://c.d/}", []string{`given twice`}},
		{"policy", "domain: a.b\np2p: {policy: always}", []string{`p2p.policy: want auto, requested, never, commanded, not "always"`}},
		{"networks", "domain: a.b\ncatalogue: {networks: [public, 10.0.0.1/8]}", []string{`:2: catalogue.networks: "10.0.0.1/8" has bits behind`}},
		{"networks, a word", "domain: a.b\ncatalogue: {networks: [any]}", []string{`"any" is no network: want public, private, loopback`}},
		{"trust mode", "domain: a.b\ntrust: {mode: all}", []string{`:2: trust.mode: want any, pinned, not "all"`}},
		{"trust peer", "domain: a.b\ntrust: {peers: [bob]}", []string{`:2: trust: peers: "bob" is no runtime's address`}},
		{"trust pin", "domain: a.b\ntrust: {pins: ['hyperty://a.b/x']}", []string{`trust: pins: "hyperty://a.b/x": want a hyperty's address, a space and a runtime's`}},
		{"trust domains", "domain: a.b\ntrust: {domains: [b.c]}", []string{`:2: trust.domains: this key is not there any more`, `trust.peers`}},
		{"trust peers empty", "domain: a.b\ntrust: {peers: []}", []string{`:2: trust.peers: it is empty: name the runtimes`, `[any]`}},
		{"trust peers, all commented out", "domain: a.b\ntrust:\n  peers:\n  # - hyperty-runtime://a.b/x\n", []string{`:3: trust.peers: it is empty`}},
		{"trust peers, any and others", "domain: a.b\ntrust: {peers: [any, 'hyperty-runtime://o.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa']}", []string{`stands beside others`}},
		{"trust peers, one empty", "domain: a.b\ntrust: {peers: ['']}", []string{`"" is no runtime's address`}},
		{"trust pins empty", "domain: a.b\ntrust: {pins: []}", []string{`trust.pins: it is empty: name what is pinned`}},
		{"trust misspelt", "domain: a.b\ntrust: {peer: []}", []string{`did you mean "trust.peers"?`}},
		{"trust without sessions", "domain: a.b\ntrust: {without_sessions: {peers: ['hyperty://a.b/x'], domains: ['a/b']}}", []string{`trust: without_sessions.domains: "a/b" is no domain`, `without_sessions.peers: "hyperty://a.b/x" is no runtime's address`}},
		{"trust without sessions of one with a key", "domain: a.b\ntrust: {without_sessions: {peers: ['runtime://a.b/" + strings.Repeat("a", 32) + "']}}", []string{`is derived from a key`}},
		{"trust without sessions, as a list", "domain: a.b\ntrust: {without_sessions: [a.b]}", []string{`trust.without_sessions: want keys below it`}},
		{"trust without sessions, misspelt", "domain: a.b\ntrust: {without_sessions: {runtimes: []}}", []string{`unknown key "trust.without_sessions.runtimes": did you mean "trust.without_sessions.domains"?`}},
		{"prefer unused", "domain: a.b\nplugins: {use: [quic]}\np2p: {prefer: [webrtc]}", []string{`webrtc is not in plugins.use`}},
		{"twice", "domain: a.b\nplugins: {use: [quic, quic]}", []string{`quic is there twice`}},
		{"plug-in name", "domain: a.b\nplugins: {use: [../quic]}", []string{`is no plug-in's name`}},
		{"stub of nobody", "domain: a.b\nplugins: {use: [quic]}\nstubs: {qiuc: {}}", []string{`stubs.qiuc: no plug-in of that name is used`}},
		{"user IDs as truth", "domain: a.b\nplugins: {uids: false}", []string{`plugins.uids: want a text or a whole number, not the truth value false`}},
		{"key twice", "domain: a.b\ndomain: c.d\n", []string{`already defined`}},
		{"no YAML", "domain: [", []string{`line 1`}},
		{"a list", "- a\n- b", []string{`want keys and values`}},
		{"not a number", "domain: a.b\nplugins: {use: [quic]}\nstubs: {quic: {x: .nan}}", []string{`stubs.quic`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(Sources{File: file(t, c.text)})
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("want %q in\n%v", want, err)
				}
			}
		})
	}
	if _, err := Load(Sources{File: "/nowhere/x.yaml"}); err == nil || !strings.Contains(err.Error(), "/nowhere/x.yaml") {
		t.Error(err)
	}
	if _, err := Load(Sources{File: file(t, "#"+strings.Repeat("x", config.MaxFile))}); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Error(err)
	}
}

// Mistakes come in the order of the file, every time.
func TestMistakesInOrder(t *testing.T) {
	name := file(t, "domian: a.b\nnode: [1]\nplugins: {usee: x, dri: y}\nlog: {level: 7}\napi:\n  sokcet: x\nsocket: y\nx8: 1\nx9: 1\nx10: 1\n")
	for range 20 {
		_, err := Load(Sources{File: name})
		if err == nil {
			t.Fatal("accepted")
		}
		last := 0
		for _, mistake := range strings.Split(err.Error(), "\n") {
			var line int
			if _, e := fmt.Sscanf(strings.TrimPrefix(mistake, name), ":%d:", &line); e != nil || line < last {
				t.Fatalf("%v\nin\n%v", e, err)
			}
			last = line
		}
	}
}

func TestPrecedence(t *testing.T) {
	name := file(t, "domain: file.example\nlog: {level: warn, format: json}\nplugins: {use: [quic]}\n")
	l, err := Load(Sources{File: name,
		Environ: []string{
			"PROTOFLY_DOMAIN=env.example", "PROTOFLY_LOG__LEVEL=error", "PROTOFLY_SOCKET=/tmp/env.sock", "PROTOFLY_CONFIG=ignored",
			"PROTOFLY_PLUGINS__USE=webrtc, quic", "PROTOFLY_P2P__CHANGES=false", "HOME=/home/x", "PROTOFLY_NODES__OTHER.EXAMPLE=ws://o/",
			"PROTOFLY_STUBS__MSGNODE_WS__RETRY=3", `PROTOFLY_STUBS__QUIC__STUN=["a:1"]`,
			"PROTOFLY_NODE_DATA=/tmp/the-message-nodes-own",
		},
		Flags: map[string]string{"domain": "flag.example", "data": "rel"},
	})
	if err != nil {
		t.Fatal(err)
	}
	cwd, _ := os.Getwd()
	if l.Domain != "flag.example" || l.Log.Level != "error" || l.Log.Format != "json" || l.API.Socket != "/tmp/env.sock" ||
		!slices.Equal(l.Plugins.Use, []string{"webrtc", "quic"}) || l.P2P.Changes || l.Data != filepath.Join(cwd, "rel") ||
		l.Nodes["other.example"] != "ws://o/" {
		t.Errorf("%+v", l.Config)
	}
	stubs, err := l.StubConfig()
	if err != nil || string(stubs["msgnode-ws"]) != `{"retry":3}` || string(stubs["quic"]) != `{"stun":["a:1"]}` {
		t.Errorf("%s %v", stubs, err)
	}
	for key, want := range map[string]string{"domain": "flag", "log.level": "PROTOFLY_LOG__LEVEL", "log.format": name + ":2",
		"p2p.policy": "default", "api.socket": "PROTOFLY_SOCKET"} {
		if l.Origin[key] != want {
			t.Errorf("origin of %s: %s, want %s", key, l.Origin[key], want)
		}
	}
}

func TestMistakesInTheEnvironment(t *testing.T) {
	for variable, want := range map[string]string{
		"PROTOFLY_LOG_LEVEL=info":             `did you mean "log.level"? It is PROTOFLY_LOG__LEVEL`,
		"PROTOFLY_LOG__LEVL=info":             `PROTOFLY_LOG__LEVL: unknown key "log.levl": did you mean "log.level"?`,
		"PROTOFLY_P2P__CHANGES=yes":           `PROTOFLY_P2P__CHANGES: p2p.changes: want true or false, not "yes"`,
		"PROTOFLY_LOG=info":                   `PROTOFLY_LOG: log: it takes keys below it`,
		"PROTOFLY_PLUGINS__POLL=1h":           `PROTOFLY_PLUGINS__POLL: plugins.poll: want a duration from 0s to 10ms`,
		"PROTOFLY_NODE=node":                  `PROTOFLY_NODE: node: a Message Node's URL`,
		"PROTOFLY_=x":                         `unknown key`,
		"PROTOFLY_STUBS__QUIC__X=[":           `PROTOFLY_STUBS__QUIC__X: stubs.quic.x`,
		"PROTOFLY_STUBS__QUIC=3":              `it takes keys below it`,
		"PROTOFLY_DOMAIN__X=example.co":       `unknown key "domain.x"`,
		"PROTOFLY_TRUST__DOMAINS=a.b":         `PROTOFLY_TRUST__DOMAINS: trust.domains: this key is not there any more`,
		"PROTOFLY_TRUST__PEERS=,":             `PROTOFLY_TRUST__PEERS: trust.peers: it is empty`,
		"PROTOFLY_PLUGINS__SANDBOX=on":        `plugins.sandbox: want auto, off, required, not "on"`,
		"PROTOFLY_PLUGINS__UIDS=1000":         `plugins.uids: want auto, on, off, or the first of 65536 user IDs that nobody else has, from 65536 to 4294901759`,
		"PROTOFLY_PLUGINS__UIDS=4294901760":   `plugins.uids: want auto, on, off`,
		"PROTOFLY_PLUGINS__UIDS=required":     `plugins.uids: want auto, on, off`,
		"PROTOFLY_PLUGINS__UIDS=[1]":          `plugins.uids: want auto, on, off`,
		"PROTOFLY_PLUGINS__PATHS__QUIC=certs": `plugins.paths.quic: "certs" is no whole path`,
		"PROTOFLY_PLUGINS__PATHS__QUIC=/":     `plugins.paths.quic: / is, or has in it, the runtime's own folder`,
		"PROTOFLY_SESSIONS__IDLE=1s":          `PROTOFLY_SESSIONS__IDLE: sessions.idle: want a duration of at least 1m0s`,
	} {
		_, err := Load(Sources{Environ: []string{"PROTOFLY_DOMAIN=a.b", variable}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q, got %v", variable, want, err)
		}
	}
}

// An empty variable counts as not set, for every key: a template that had nothing to fill in allows nobody.
func TestEmptyVariables(t *testing.T) {
	const peer = "hyperty-runtime://o.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	name := file(t, `
domain: example.com
node: wss://node.example.com/
plugins: {use: [quic]}
stubs: {quic: {listen: ":7"}}
p2p: {policy: never, changes: false, prefer: [quic]}
trust: {mode: pinned, peers: [`+peer+`], pins: ["hyperty://o.example/x `+peer+`"], without_sessions: {domains: [old.example]}}
trace: /tmp/x
log: {level: warn}
`)
	want, err := Load(Sources{File: name})
	if err != nil {
		t.Fatal(err)
	}
	text, err := want.Show(true)
	if err != nil {
		t.Fatal(err)
	}
	var environ []string
	for _, key := range append(Schema(nil).Leaves(), "trust.domains", "nodes.o.example", "stubs.quic.listen", "stubs.quic", "no.such.key") {
		environ = append(environ, prefix+strings.ToUpper(strings.ReplaceAll(key, ".", "__"))+"="+[]string{"", " "}[len(environ)%2])
	}
	got, err := Load(Sources{File: name, Environ: append(environ, prefix+"SOCKET=")})
	if err != nil {
		t.Fatal(err)
	}
	if shown, err := got.Show(true); err != nil || shown != text {
		t.Errorf("%v, got\n%s\nwant\n%s", err, shown, text)
	}
	if trust, err := got.Trusted(); err != nil || !slices.Equal(trust.Peers, []message.URL{peer}) {
		t.Errorf("%+v, %v", trust, err)
	}
	for text, peers := range map[string]int{"domain: a.b": 0, "domain: a.b\ntrust: {peers: [any]}": 0} {
		l, err := Load(Sources{File: file(t, text)})
		if err != nil {
			t.Fatal(err)
		}
		if trust, err := l.Trusted(); err != nil || len(trust.Peers) != peers {
			t.Errorf("%s: %+v, %v", text, trust, err)
		}
	}
}

// A service may have no home folder. It needs none if both paths are given; else the error says what to give.
func TestWithoutHome(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("other variables")
	}
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "PROTOFLY_SOCKET"} {
		t.Setenv(name, "")
	}
	l, err := Load(Sources{File: file(t, "domain: a.b\ndata: d\napi: {socket: s}\n")})
	if err != nil || l.Data == "" || l.API.Socket == "" {
		t.Errorf("%+v, %v", l, err)
	}
	_, err = Load(Sources{File: file(t, "domain: a.b\n")})
	if err == nil || !strings.Contains(err.Error(), "set data, or use --data") || !strings.Contains(err.Error(), "set PROTOFLY_SOCKET") {
		t.Errorf("no places: %v", err)
	}
}

func TestShow(t *testing.T) {
	name := file(t, `
domain: example.com
node: wss://user:pw1@node.example.com/protofly?token=pw2&x=1
plugins: {use: [webrtc]}
stubs:
  webrtc:
    ice:
      - {urls: ["turn:a"], username: bob, credential: pw3}
    secret_number: 77
    headers: {Authorization: Bearer pw4, X-Api-Key: pw5}
    proxy: "http://bob:pw6%zz@proxy.example.com/"
    listen: ":0"
    token_file: /run/tokens
`)
	l, err := Load(Sources{File: name})
	if err != nil {
		t.Fatal(err)
	}
	text, err := l.Show(false)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"pw1", "pw2", "pw3", "pw4", "pw5", "pw6", "77"} {
		if strings.Contains(text, bad) {
			t.Errorf("shows %s:\n%s", bad, text)
		}
	}
	for _, good := range []string{"username: bob", "policy: auto", "user:(hidden)@node.example.com/protofly?token=(hidden)&x=1", "listen: :0", "token_file: /run/tokens", "dir: "} {
		if !strings.Contains(text, good) {
			t.Errorf("does not show %s:\n%s", good, text)
		}
	}
	if l.Node != "wss://user:pw1@node.example.com/protofly?token=pw2&x=1" {
		t.Error("showing has changed the configuration")
	}
	again, err := Load(Sources{File: file(t, text)})
	if err != nil || again.Domain != l.Domain || again.Data != l.Data {
		t.Errorf("what is shown is no configuration: %v", err)
	}
	if text, err = l.Show(true); err != nil || !strings.Contains(text, "domain: example.com # "+name+":2\n") || !strings.Contains(text, "policy: auto # default") {
		t.Errorf("%v\n%s", err, text)
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{"domain: a.b", "domain: a.b\nstubs: {quic: {x: [1, {y: z}]}}", "a: &a [*a]", "? {a: b}\n: c", "nodes: {? [a] : b}", "domain: !!binary aGk=", "stubs: {q: {1: 2}}", "p2p: ~"} {
		f.Add(seed, "PROTOFLY_LOG__LEVEL=info")
	}
	f.Fuzz(func(t *testing.T, text, variable string) {
		if len(text) > 4096 {
			return
		}
		l, err := Load(Sources{File: file(t, text), Environ: []string{variable}})
		if err != nil {
			return
		}
		if _, err := l.Show(true); err != nil {
			t.Fatal(err)
		}
		if _, err := l.StubConfig(); err != nil {
			t.Fatal("a valid configuration has stubs that are no JSON", err)
		}
	})
}
