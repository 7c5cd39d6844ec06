package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/protofly/protofly/internal/config"
	"github.com/protofly/protofly/plugins/msgnode-ws/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func load(t *testing.T, text string) (*Loaded, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(name, []byte("domain: example.com\ndata: state\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(config.Sources{File: name})
}

// The keys have the node's own defaults: none is missing.
func TestDefaults(t *testing.T) {
	l, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if node.Limits(l.Limits) != node.DefaultLimits() || node.Times(l.Times) != node.DefaultTimes() {
		t.Errorf("%+v\n%+v", l.Limits, l.Times)
	}
	o, err := l.Options(hclog.NewNullLogger())
	if err != nil || o.Domain != "example.com" || o.Listen != "127.0.0.1:4433" || o.Replicas != 1 || len(o.Exempt) != 2 || o.Admit.Members != node.Anyone {
		t.Errorf("%+v, %v", o, err)
	}
}

// A folder that cannot be made is found before the node starts.
func TestReadyLooksAtTheFolder(t *testing.T) {
	name := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(name, []byte("domain: example.com\ndata: node.yaml/state\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Load(config.Sources{File: name})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Ready(); err == nil || !strings.Contains(err.Error(), name+":2: data: ") {
		t.Error(err)
	}
}

// The ranges of the keys are those of the node: both accept the same values.
func TestRanges(t *testing.T) {
	for text, want := range map[string]string{
		"limits: {entry: 256KiB}": "", "limits: {entry: 262145}": ":3: limits.entry: want from 0 to 256KiB",
		"limits: {queue: 2MiB}": "", "limits: {queue: 2097151}": ":3: limits.queue: want of at least 2MiB",
		"limits: {queue: 0}": "", "limits: {rows: 0}": "", "limits: {rows: -1}": "the negative number -1",
		"times: {grace: 1ms}": "", "times: {grace: 1us}": ":3: times.grace: want a duration of at least 1ms", "times: {grace: 0s}": "",
		"replicas: 6": ":3: replicas: want from 1 to 5", "replicas: 5": "",
		"public_url: http://x": ":3: public_url: want ws://", "public_url: wss://x": "",
		"proxies: [10.0.0.0/8, 192.0.2.1]": "", "proxies: [10.0.0.0/33]": `:3: proxies: "10.0.0.0/33": want a network`,
		"nats_credentials: /nowhere/creds": ":3: nats_credentials: open /nowhere/creds",
		"exempt: [\"a b\"]":                ":3: exempt: \"a b\": want a network",
	} {
		l, err := load(t, text+"\n")
		if err == nil {
			err = l.Ready()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: want %q, got %v", text, want, err)
		}
	}
}
