package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestInterpretersOfScripts(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "bin", "python9")
	if err := os.Mkdir(filepath.Dir(program), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string][]string{
		"#!/bin/sh\n":                   {"/bin/sh"},
		"#! /usr/bin/env python9\n":     {"/usr/bin/env", program},
		"#!/usr/bin/env -S A=b python9": {"/usr/bin/env", program},
		"#!/usr/bin/env nothing\n":      {"/usr/bin/env"},
		"#!python9\n":                   nil,
		"\x7fELF":                       nil,
		"":                              nil,
	} {
		if got := parseInterpreters([]byte(line), "relative:"+filepath.Dir(program)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestNoInterpretersFolderHoldsSecrets(t *testing.T) {
	t.Setenv("HOME", "/home/u")
	keep := []string{"/srv/protofly/data"}
	for dir, want := range map[string]bool{
		"/home/u/.pyenv": true, "/opt/python": true, "/srv/other": true,
		"/home/u": false, "/home": false, "/": false, "/home/u/.local": false, "/srv": false, "/srv/protofly/data": false, "relative": false,
	} {
		if got := mayRead(dir, keep); got != want {
			t.Errorf("%s may be read: %t", dir, got)
		}
	}
}

func FuzzInterpreters(f *testing.F) {
	f.Add([]byte("#!/usr/bin/env python3\n"))
	f.Add([]byte("#!/bin/sh -e"))
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, path := range parseInterpreters(line, "/bin") {
			if !filepath.IsAbs(path) {
				t.Errorf("%q: %q", line, path)
			}
		}
	})
}
