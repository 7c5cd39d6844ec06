package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// A first configuration: init writes it, and check and the other commands accept it.
func TestConfigInit(t *testing.T) {
	s := newShell(t)
	s.plugin("msgnode-ws", "node")
	name := filepath.Join(s.home, "config.yaml")
	args := []string{"--domain", "example.com", "--plugins", filepath.Join(s.home, "installed")}
	if code, out, errs := s.run(append([]string{"config", "init", name}, args...)...); code != 0 || out+errs != "" {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	if code, out, errs := s.run("config", "check", "--config", name); code != 0 || out != "valid\n" || errs != "" {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	if code, _, errs := s.run("config", "init", name); code != 1 || !strings.Contains(errs, name) {
		t.Errorf("a file was overwritten: %d %s", code, errs)
	}
	if code, out, errs := s.run("config", "init", "--log-level", "loud"); code != 2 || out != "" || !strings.Contains(errs, `log.level: want trace`) {
		t.Errorf("%d %s%s", code, out, errs)
	}
	code, out, errs := s.run("config", "init", "--log-level", "warn")
	if code != 0 || !strings.Contains(out, "\ndomain: example.com\n") || !strings.Contains(out, "\n  level: warn\n") || !strings.Contains(out, "\n    #ice_servers: []\n") {
		t.Errorf("%d %s%s", code, out, errs)
	}
}
