package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/conf"

	"github.com/protofly/protofly/plugins/msgnode-ws/node"
)

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
	return name
}

// No command prints a password, a token or the shared secret, whatever is wrong with them.
func TestSecretsAreNotPrinted(t *testing.T) {
	good := write(t, strings.Repeat("hunter2-", 8)+"\n", 0o600)
	base := []string{"--domain", "example.com", "--listen", "127.0.0.1:0"}
	for name, c := range map[string]struct {
		command string
		args    []string
		env     string
		want    string
	}{
		"nobody there":        {"run", []string{"--nats", "nats://me:hunter2@127.0.0.1:1", "--nats-key-file", good}, "", "127.0.0.1:1"},
		"a token":             {"run", []string{"--nats", "nats://hunter2@127.0.0.1:1", "--nats-key-file", good}, "", "127.0.0.1:1"},
		"escaped":             {"run", []string{"--nats", "nats://me:hunter2%2F@127.0.0.1:1", "--nats-key-file", good}, "", "127.0.0.1:1"},
		"no scheme":           {"run", []string{"--nats", "me:hunter2@127.0.0.1:1", "--nats-key-file", good}, "", "127.0.0.1:1"},
		"several":             {"run", []string{"--nats", "nats://me:hunter2@127.0.0.1:1,nats://you:hunter2@127.0.0.1:2", "--nats-key-file", good}, "", "127.0.0.1:2"},
		"not a URL":           {"run", []string{"--nats", "nats://me:hunter2/x@127.0.0.1:1", "--nats-key-file", good}, "", "cannot be read"},
		"not a scheme":        {"config validate", []string{"--nats", "http://me:hunter2@127.0.0.1:1", "--nats-key-file", good}, "", "the scheme"},
		"no secret":           {"config validate", []string{"--nats", "nats://me:hunter2@127.0.0.1:1"}, "", "set nats_key_file"},
		"a short secret":      {"config validate", []string{"--nats", "nats://h:1", "--nats-key-file", write(t, "hunter2", 0o600)}, "", "32 random characters"},
		"a secret for all":    {"config validate", []string{"--nats", "nats://h:1", "--nats-key-file", write(t, strings.Repeat("hunter2-", 8), 0o644)}, "", "chmod 600"},
		"a long secret":       {"config validate", []string{"--nats", "nats://h:1", "--nats-key-file", write(t, strings.Repeat("hunter2-", 800), 0o600)}, "", "more than 4096"},
		"no secret file":      {"config validate", []string{"--nats", "nats://h:1", "--nats-key-file", "/nowhere"}, "", "no such file"},
		"credentials":         {"run", []string{"--nats", "nats://127.0.0.1:1", "--nats-key-file", good, "--nats-credentials", write(t, "hunter2", 0o600)}, "", "NATS"},
		"a wrong type":        {"config validate", []string{"--config", write(t, "nats: {url: 'nats://me:hunter2@h'}", 0o600)}, "", "nats"},
		"a list":              {"config validate", []string{"--config", write(t, "nats: ['nats://me:hunter2@h']", 0o600)}, "", "nats"},
		"a key that is wrong": {"config validate", []string{"--config", write(t, "natss: 'nats://me:hunter2@h'", 0o600)}, "", "did you mean"},
		"bad YAML":            {"config validate", []string{"--config", write(t, "nats: nats://me:hunter2@h: x", 0o600)}, "", "config"},
		"shown":               {"config show", []string{"--nats", "nats://me:hunter2@h:1", "--nats-key-file", good}, "", "h:1"},
		"shown, not a URL":    {"config show", []string{"--nats", "nats://me:hunter2/@h:1"}, "", "not shown"},
		"the environment":     {"config show", nil, "PROTOFLY_NODE_NATS=nats://me:hunter2@h:1", "h:1"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := program(t, append(append(strings.Fields(c.command), base...), c.args...)...)
			if c.env != "" {
				cmd.Env = append(cmd.Env, c.env)
			}
			out, err := cmd.CombinedOutput()
			if shows := c.command == "config show"; (err == nil) != shows {
				t.Errorf("%v", err)
			}
			if strings.Contains(string(out), "hunter2") || !strings.Contains(string(out), c.want) {
				t.Errorf("want %q and no secret in\n%s", c.want, out)
			}
			if given := slices.Contains(c.args, "--nats-key-file"); given && c.want != "32 random characters" && strings.Contains(string(out), "set nats_key_file") {
				t.Errorf("it asks for what is given:\n%s", out)
			}
		})
	}
}

// A NATS server accepts the output of nats-permissions as configuration.
func TestPermissionsAreConfiguration(t *testing.T) {
	out, err := program(t, "nats-permissions", "--domain", "example.com").Output()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := conf.Parse(string(out))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	publish, subscribe := node.Permissions("example.com")
	allowed := parsed["permissions"].(map[string]any)
	for name, want := range map[string][]string{"publish": publish, "subscribe": subscribe} {
		if got := allowed[name].(map[string]any)["allow"].([]any); len(got) != len(want) || got[0] != want[0] || got[len(got)-1] != want[len(want)-1] {
			t.Errorf("%s: %v", name, got)
		}
	}
	if out, err := program(t, "nats-permissions", "--domain", "no domain").CombinedOutput(); err == nil || !strings.Contains(string(out), "domain") {
		t.Errorf("%v %s", err, out)
	}
}
