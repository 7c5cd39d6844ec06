package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/protofly/protofly/cmd/msgnode/config"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// TestMain runs the node itself if a test has started the test binary again: real processes without a build.
func TestMain(m *testing.M) {
	if os.Getenv("PROTOFLY_NODE_TEST_MAIN") != "" {
		os.Unsetenv("PROTOFLY_NODE_TEST_MAIN")
		main()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const patience = 40 * time.Second

// program starts protofly-node with the arguments.
func program(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "PROTOFLY_NODE_TEST_MAIN=1")
	return cmd
}

// runNode starts a node and waits for its line.
func runNode(t *testing.T, args ...string) (cmd *exec.Cmd, url string) {
	t.Helper()
	cmd = program(t, append([]string{"run", "--domain", "example.com", "--listen", "127.0.0.1:0", "--log-level", "warn"}, args...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(stdout).ReadString('\n')
		line <- text
	}()
	select {
	case text := <-line:
		words := strings.Fields(text)
		if len(words) != 5 || strings.Join(words[:2], " ") != "listening on" || words[3] != "domain" || words[4] != "example.com" {
			t.Fatalf("the node printed %q", text)
		}
		return cmd, words[2]
	case <-time.After(patience):
		t.Fatal("the node does not start")
		return nil, ""
	}
}

// connect joins as the runtime of a fixed key, and returns a function that sends requests.
func connect(t *testing.T, url string) (ask func(kind message.Type, to message.URL, body string) string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	public := key.Public().(ed25519.PublicKey)
	runtime := message.URL("hyperty-runtime://example.com/" + proof.RuntimeID(public))
	var rest []byte
	next := func() (wire.Kind, []byte) {
		t.Helper()
		for {
			for len(rest) > 0 {
				var kind wire.Kind
				var body []byte
				if kind, body, rest, err = wire.Next(rest); err != nil {
					t.Fatal(err)
				}
				if kind <= wire.KindUnreachable {
					return kind, body
				}
			}
			if _, rest, err = ws.Read(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	var c wire.Challenge
	if _, body := next(); wire.ParseHandshake(body, &c) != nil {
		t.Fatal("no challenge")
	}
	answer := wire.Proof{Runtime: runtime, Key: public, Signature: ed25519.Sign(key, proof.MessageNode("example.com", runtime, c.Challenge))}
	if err := ws.Write(ctx, websocket.MessageBinary, wire.AppendHandshake(nil, wire.KindProof, answer)); err != nil {
		t.Fatal(err)
	}
	if kind, body := next(); kind != wire.KindWelcome {
		t.Fatalf("%d %s", kind, body)
	}
	return func(kind message.Type, to message.URL, body string) string {
		t.Helper()
		m := message.Message{ID: message.NumberID(1), Type: kind, From: runtime.Join("registry"), To: to, Body: json.RawMessage(body)}
		if err := ws.Write(ctx, websocket.MessageBinary, wire.AppendMessage(nil, &m)); err != nil {
			t.Fatal(err)
		}
		_, answer := next()
		got, err := wire.ParseMessage(answer)
		if err != nil {
			t.Fatal(err)
		}
		value, err := got.OK()
		if err != nil {
			t.Fatal(err)
		}
		return string(value)
	}
}

// What a node has acknowledged survives a kill at that very moment.
func TestNothingIsLostByAKill(t *testing.T) {
	data := t.TempDir()
	var given []string
	for i := range 5 {
		cmd, url := runNode(t, "--data", data)
		ask := connect(t, url)
		for _, name := range given {
			ask(message.Read, message.DomainRegistryAddress("example.com"), fmt.Sprintf(`{"resource":"hyperty://example.com/%s"}`, name))
		}
		for j := range 5 {
			name := fmt.Sprintf("name-%d-%d", i, j)
			ask(message.Create, message.AllocationAddress("example.com"), fmt.Sprintf(`{"value":{"identifier":%q}}`, name))
			key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
			ask(message.Create, message.DomainRegistryAddress("example.com"), fmt.Sprintf(`{"value":{"url":"hyperty://example.com/%s","descriptor":"d","expires":3600,
				"status":"live","resources":[],"dataSchemes":[],"runtime":"hyperty-runtime://example.com/%s"}}`, name, proof.RuntimeID(key.Public().(ed25519.PublicKey))))
			given = append(given, name)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
}

func TestSignalEndsItInOrder(t *testing.T) {
	trace := filepath.Join(t.TempDir(), "trace")
	cmd, url := runNode(t, "--data", t.TempDir(), "--trace", trace)
	connect(t, url)(message.Create, message.AllocationAddress("example.com"), `{}`)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal("SIGTERM:", err)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for line := range strings.Lines(string(text)) {
		var e struct{ Kind string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(line, err)
		}
		kinds = append(kinds, e.Kind)
	}
	if strings.Join(kinds, " ") != "in out" {
		t.Errorf("trace: %s", text)
	}
}

// TestMistakes: each is refused with a text that names it.
func TestMistakes(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "node.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	data := t.TempDir()
	for _, c := range []struct {
		want string
		args []string
		env  string
	}{
		{`unknown key "lisen": did you mean "listen"?`, []string{"config", "validate", "--config", file("lisen: x")}, ""},
		{`unknown key "limits.conections": did you mean "limits.connections"?`, []string{"config", "validate", "--config", file("limits: {conections: 5}")}, ""},
		{`unknown key "limts": did you mean "limits"?`, []string{"config", "validate", "--config", file("limts: {entry: 5}")}, ""},
		{`unknown key "limts": did you mean "limits"?`, []string{"config", "validate", "--config", file("limts: {}")}, ""},
		{`times.grace: want a duration such as 30s, not the number 5`, []string{"config", "validate", "--domain", "a.example", "--data", data, "--config", file("times: {grace: 5}")}, ""},
		{`limits.connections: want a whole number, not the text "many"`, []string{"config", "validate", "--config", file("limits: {connections: many}")}, ""},
		{`limits.queue: want a size, such as 65536 (bytes) or 64KiB, not the text "3 MiB"`, []string{"config", "validate", "--config", file("limits: {queue: 3 MiB}")}, ""},
		{`times.grace: want a duration such as 30s, not the text "x"`, []string{"config", "validate", "--config", file("times: {grace: x}")}, ""},
		{`unknown key "domian"`, []string{"config", "show"}, "PROTOFLY_NODE_DOMIAN=x"},
		{"domain", []string{"run", "--data", data}, ""},
		{"in use", []string{"run", "--domain", "example.com", "--data", data, "--listen", busy.Addr().String()}, ""},
		{"loopback only", []string{"run", "--domain", "example.com", "--data", data, "--listen", "0.0.0.0:0"}, ""},
		{"log.level", []string{"run", "--domain", "example.com", "--data", data, "--log-level", "loud"}, ""},
		{"belong together", []string{"run", "--domain", "example.com", "--data", data, "--tls-cert", "x"}, ""},
		{"no such file", []string{"run", "--config", "/nowhere/node.yaml"}, ""},
		{"unknown command", []string{"rum"}, ""},
		{"unknown command", []string{"config", "shwo"}, ""},
		{"unknown command", []string{"version", "x"}, ""},
		{"unknown flag", []string{"run", "--lisen", "x"}, ""},
		{`admit.members: want anyone, listed, invited, not "everybody"`, []string{"config", "validate", "--domain", "a.example", "--data", data, "--config", file("admit: {members: everybody}")}, ""},
		{`admit.visitors: want anyone, listed, invited, not ""`, []string{"config", "validate", "--domain", "a.example", "--data", data, "--config", file("admit: {visitors: ''}")}, ""},
		{"proxies: \"x\"", []string{"config", "validate", "--domain", "a.example", "--data", data, "--config", file("proxies: [x]")}, ""},
		{"memory: at least", []string{"config", "validate", "--domain", "a.example", "--data", data, "--config", file("limits: {memory: 5}")}, ""},
		{"negative number", []string{"config", "validate", "--domain", "a.example", "--data", data, "--config", file("limits: {per_address: -5}")}, ""},
		{"whose node", []string{"admit", "--data", data}, ""},
		{"want hyperty-runtime", []string{"admit", "--domain", "a.example", "--data", data, "--runtime", "bob"}, ""},
		{"uses 5000", []string{"admit", "--domain", "a.example", "--data", data, "--uses", "5000"}, ""},
		{"admit.key", []string{"admit", "--domain", "a.example", "--nats", "nats://x"}, ""},
	} {
		cmd := program(t, c.args...)
		cmd.Env = append(cmd.Env, c.env)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%v: %v\n%s\nwant: %s", c.args, err, out, c.want)
		}
		code := 2 // the command or the configuration is wrong
		if c.want == "in use" {
			code = 1
		}
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("%v: exit code %d, want %d", c.args, got, code)
		}
	}
}

func TestConfigComesFromEverywhere(t *testing.T) {
	name := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(name, []byte("domain: file.org\ndata: /file\nlegacy: true\nnats: nats://me:secret@host\ntimes: {grace: 7s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := program(t, "config", "show", "--config", name, "--data", "/flag")
	cmd.Env = append(cmd.Env, "PROTOFLY_NODE_DOMAIN=env.org", "PROTOFLY_NODE_DATA=/env", "PROTOFLY_NODE_LIMITS_ENTRY=500", "PROTOFLY_NODE_ORIGINS=a.org,b.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	for _, want := range []string{"domain: env.org\n", "data: /flag\n", "legacy: true\n", "entry: 500\n", "grace: 7s\n", "- b.org\n", "listen: 127.0.0.1:4433\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "secret") {
		t.Error("the secret is shown")
	}
}

// An empty variable counts as not set, so it removes no rule about who may use the node. An empty list in the file is a rule.
func TestEmptyVariablesWidenNothing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(name, []byte("domain: file.org\ndata: /file\nadmit: {members: invited, revoked: [x]}\nexempt: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := program(t, "config", "show", "--config", name)
	cmd.Env = append(cmd.Env, "PROTOFLY_NODE_ADMIT_MEMBERS=", "PROTOFLY_NODE_ADMIT_REVOKED=", "PROTOFLY_NODE_LIMITS_PER_ADDRESS=5")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	for _, want := range []string{"members: invited\n", "visitors: anyone\n", "- x\n", "exempt: []\n", "per_address: 5\n", "unproven: 1024\n", "address_state: 67108864\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// A token is printed on stdout alone; what it is, on stderr.
func TestAdmit(t *testing.T) {
	cmd := program(t, "admit", "--domain", "example.com", "--data", filepath.Join(t.TempDir(), "new"), "--for", "1h", "--uses", "3")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err, stderr.String())
	}
	if of, ok := wire.TokenDomain(strings.TrimSpace(string(out))); !ok || of != "example.com" || strings.Count(string(out), "\n") != 1 {
		t.Errorf("printed %q", out)
	}
	for _, want := range []string{"for 3 runtimes", "example.com, until 2", "admits nobody by token"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("no %q in %s", want, &stderr)
		}
	}
}

// An empty variable is as if it was not set, for every key.
func TestEmptyVariables(t *testing.T) {
	name := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(name, []byte("domain: file.org\ndata: /file\nlegacy: true\ntls: {cert: c.pem, key: k.pem}\norigins: [a.org]\nlimits: {entry: 500}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := program(t, "config", "show", "--config", name).CombinedOutput()
	if err != nil {
		t.Fatal(err, string(want))
	}
	cmd := program(t, "config", "show", "--config", name)
	for _, key := range append(config.Schema().Leaves(), "no.such.key", "publicURL") {
		for _, between := range []string{"_", "__"} {
			cmd.Env = append(cmd.Env, "PROTOFLY_NODE_"+strings.ToUpper(strings.ReplaceAll(key, ".", between))+"="+[]string{"", " "}[len(cmd.Env)%2])
		}
	}
	if got, err := cmd.CombinedOutput(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v: got\n%s\nwant\n%s", err, got, want)
	}
}
