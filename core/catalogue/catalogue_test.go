package catalogue

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/sdk"
)

// The test binary is also the plug-in that is installed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "--probe" {
		probe(os.Args[2:])
		return
	}
	if len(os.Args) == 2 && os.Args[1] == "--describe" {
		sdk.Serve(sdk.Descriptor{Name: "tin-can", Version: "1.0", Kind: sdk.KindP2P, About: "two cans and a string"}, nil)
	}
	goleak.VerifyTestMain(m)
}

func TestInstallAndFind(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plugins")
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := c.List(); err != nil || len(all) != 0 {
		t.Errorf("an empty catalogue: %v, %v", all, err)
	}
	self, _ := os.Executable()
	d, err := Install(t.Context(), self, dir)
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.Find("tin-can")
	if err != nil || !reflect.DeepEqual(found, d) || found.About != "two cans and a string" || found.Kind != sdk.KindP2P {
		t.Errorf("found %+v, %v; installed %+v", found, err, d)
	}
	if info, err := os.Stat(found.Path); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("the executable: %v, %v", info, err)
	}
	// A changed program replaces the old one, which is removed.
	changed := filepath.Join(t.TempDir(), "changed")
	program, _ := os.ReadFile(self)
	if err := os.WriteFile(changed, append(program, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	d2, err := Install(t.Context(), changed, dir)
	if err != nil || d2.SHA256 == d.SHA256 {
		t.Fatalf("%+v, %v", d2, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 2 {
		t.Errorf("files in the catalogue: %v", files)
	}
	if all, err := c.List(); err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], d2) {
		t.Errorf("list: %v, %v", all, err)
	}
	var missing *NotFoundError
	if _, err := c.Find("tincan"); !errors.As(err, &missing) || !strings.Contains(err.Error(), "did you mean tin-can?") {
		t.Errorf("a wrong name: %v", err)
	}
	if _, err := c.Find("../x"); !errors.As(err, &missing) {
		t.Errorf("a path as a name: %v", err)
	}
}

func TestInstallRefuses(t *testing.T) {
	for name, script := range map[string]string{
		"fails":             "echo cannot >&2; exit 1",
		"no JSON":           "echo hello",
		"bad name":          `echo '{"name":"../evil","version":"1","kind":"p2p"}'`,
		"no kind":           `echo '{"name":"x","version":"1"}'`,
		"too much":          `head -c 200000 /dev/zero`,
		"not a JSON object": `echo '[]'`,
	} {
		t.Run(name, func(t *testing.T) {
			dir, program := t.TempDir(), filepath.Join(t.TempDir(), "p")
			if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			_, err := Install(t.Context(), program, dir)
			if err == nil {
				t.Fatal("installed")
			}
			t.Log(err)
			if files, _ := os.ReadDir(dir); len(files) != 0 {
				t.Errorf("left behind: %v", files)
			}
		})
	}
	if _, err := Install(t.Context(), "/nowhere", t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	hangs := filepath.Join(t.TempDir(), "hangs")
	if err := os.WriteFile(hangs, []byte("#!/bin/sh\nexec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(ctx, hangs, t.TempDir()); err == nil {
		t.Error("a program that hangs was installed")
	}
}

func TestBrokenDescriptor(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.json"), []byte(`{"name":"x","version":"1","kind":"p2p","executable":"../../bin/sh"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _ := Open(dir)
	if _, err := c.Find("x"); err == nil || !strings.Contains(err.Error(), "not a file name") {
		t.Errorf("an executable elsewhere: %v", err)
	}
	if all, err := c.List(); err == nil || len(all) != 0 {
		t.Errorf("list: %v, %v", all, err)
	}
	if _, err := Open(filepath.Join(dir, "x.json")); err == nil {
		t.Error("a file was opened as a catalogue")
	}
}

func FuzzDescriptor(f *testing.F) {
	f.Add([]byte(`{"name":"x","version":"1","kind":"p2p","executable":"x-1","sha256":"` + strings.Repeat("ab", 32) + `"}`))
	f.Add([]byte(`{"name":"default","type":"node","configuration":{"url":"wss://example.com/"}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := parse(b); err == nil && (checkName(d.Name) != nil || strings.ContainsAny(d.Executable, "/")) {
			t.Errorf("accepted %+v", d)
		}
		if d, err := parseDescription(b); err == nil && checkName(d.Name) != nil {
			t.Errorf("accepted %+v", d)
		}
		if at, err := (descriptors{}).parseNode(b); err == nil && !strings.HasPrefix(at, "ws") && !strings.HasPrefix(strings.ToLower(at), "ws") {
			t.Errorf("accepted %q", at)
		}
	})
}

// A user who may write in the directory decides which programs are run.
func TestOpenDirectory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no mode bits")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("opened: %v", err)
	}
	self, _ := os.Executable()
	if _, err := Install(t.Context(), self, dir); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("installed: %v", err)
	}
}
