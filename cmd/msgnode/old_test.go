package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The spellings of earlier versions are taken, with a warning on stderr that has the new one.
func TestOldSpellings(t *testing.T) {
	name := write(t, "domain: a.example\ndata: /state\npublicURL: wss://a.example/\nlimits:\n  minFree: 4MiB\n", 0o600)
	cmd := program(t, "config", "show", "--config", name)
	cmd.Env = append(cmd.Env, "PROTOFLY_NODE_LIMITS_QUEUE=8MiB", "PROTOFLY_NODE_ADMIT_MEMBERS=invited", "PROTOFLY_NODE_NATS_KEY_FILE=/key")
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err, problems.String())
	}
	for _, want := range []string{"public_url: wss://a.example/\n", "min_free: 4MiB\n", "queue: 8MiB\n", "members: invited\n", "nats_key_file: /key\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for _, want := range []string{name + ":3: publicURL is called public_url now", name + ":5: limits.minFree is called limits.min_free now",
		"PROTOFLY_NODE_LIMITS_QUEUE is called PROTOFLY_NODE_LIMITS__QUEUE now", "PROTOFLY_NODE_ADMIT_MEMBERS is called PROTOFLY_NODE_ADMIT__MEMBERS now"} {
		if !strings.Contains(problems.String(), want) {
			t.Errorf("no %q in\n%s", want, problems.String())
		}
	}
	if n := strings.Count(problems.String(), "\n"); n != 4 {
		t.Errorf("%d lines:\n%s", n, problems.String())
	}
}

// An empty value never means a default that trusts anybody.
func TestNothingEmptyWidensTrust(t *testing.T) {
	for _, c := range []struct{ text, variable, want string }{
		{"admit:\n  members:\n", "", ":4: admit.members: it is empty: write anyone, listed or invited"},
		{"admit: {visitors: null}\n", "", ":3: admit.visitors: it is empty"},
		{"admit: {revoked: [x]}\n", "PROTOFLY_NODE_ADMIT__REVOKED=,", "PROTOFLY_NODE_ADMIT__REVOKED: admit.revoked: it is empty"},
		{"admit: {revoked: [x]}\n", "PROTOFLY_NODE_ADMIT__REVOKED=x y", "separate items by commas"},
		{"admit: {revoked: ['']}\n", "", "is empty or has a space"},
		{"legacy: false\n", "PROTOFLY_NODE_LEGACY=on", "PROTOFLY_NODE_LEGACY: legacy: want true or false"},
	} {
		cmd := program(t, "config", "check", "--config", write(t, "domain: a.example\ndata: state\n"+c.text, 0o600))
		cmd.Env = append(cmd.Env, c.variable)
		if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), c.want) {
			t.Errorf("%q %s: want %q in\n%s", c.text, c.variable, c.want, out)
		}
	}
}

// The file that config init writes passes the check and starts a node, unchanged.
func TestInitStarts(t *testing.T) {
	name := filepath.Join(t.TempDir(), "node.yaml")
	if out, err := program(t, "config", "init", "--domain", "example.com", "--data", filepath.Join(filepath.Dir(name), "state"), name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("%v, %v", info, err)
	}
	if out, err := program(t, "config", "init", "--domain", "example.com", name).CombinedOutput(); err == nil || !strings.Contains(string(out), name) {
		t.Errorf("a file was overwritten: %s", out)
	}
	if out, err := program(t, "config", "check", "--config", name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, url := runNode(t, "--config", name)
	if !strings.HasPrefix(url, "ws://127.0.0.1:") {
		t.Error(url)
	}
}
