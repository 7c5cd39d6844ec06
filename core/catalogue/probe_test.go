package catalogue

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/sdk"
)

// probe is an unknown program that is asked to describe itself. It does, and also prints what else it could do. It gets the
// paths of a secret file and a folder, an address where a server listens, and a socket.
func probe(args []string) {
	secret, folder, address, socket := args[0], args[1], args[2], args[3]
	var could []string
	try := func(what string, err error) {
		if err == nil {
			could = append(could, what)
		}
	}
	try("read a secret", func() error { _, err := os.ReadFile(secret); return err }())
	try("list a folder", func() error { _, err := os.ReadDir(folder); return err }())
	try("write to a folder", os.WriteFile(filepath.Join(folder, "written"), nil, 0o600))
	try("connect", func() error { _, err := net.Dial("tcp", address); return err }())
	try("send a datagram", func() error {
		c, err := net.Dial("udp", address)
		if err != nil {
			return err
		}
		_, err = c.Write([]byte("x"))
		return err
	}())
	try("connect to a socket", func() error { _, err := net.Dial("unix", socket); return err }())
	try("do any of that by another process", func() error {
		return exec.Command("/bin/sh", "-c", "cat "+secret+" || ls "+folder+" || echo x > "+folder+"/x").Run()
	}())
	if err := os.WriteFile(filepath.Join(os.Getenv("HOME"), "own"), nil, 0o600); err != nil {
		could = append(could, "not write to its own folder: "+err.Error())
	}
	_ = json.NewEncoder(os.Stdout).Encode(sdk.Descriptor{Name: "probe", Version: "1", Kind: sdk.KindP2P, About: strings.Join(could, ", ")})
}

// A program that is to be installed is asked for its description inside the sandbox: it reads and writes no files of the user
// and connects to nothing. If the sandbox is switched off it can.
func TestInstallIsConfined(t *testing.T) {
	if _, err := sandbox.Available(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	secret, socket := filepath.Join(dir, "secret"), filepath.Join(dir, "socket")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	unix, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program")
	script := "#!/bin/sh\nexec " + strings.Join([]string{self, "--probe", secret, dir, tcp.Addr().String(), socket}, " ") + "\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	before, err := filepath.Glob(filepath.Join(os.TempDir(), "protofly-install-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []sandbox.Mode{"", sandbox.Auto, sandbox.Required, sandbox.Off} {
		d, err := (Installer{Sandbox: mode, Paths: []string{self}}).Install(t.Context(), program, filepath.Join(dir, "installed"))
		if err != nil || d.Name != "probe" {
			t.Fatalf("%q: %+v, %v", mode, d, err)
		}
		if unconfined := mode == sandbox.Off; (d.About != "") != unconfined || unconfined && len(strings.Split(d.About, ", ")) != 7 {
			t.Errorf("%q: it could %s", mode, d.About)
		}
	}
	if after, _ := filepath.Glob(filepath.Join(os.TempDir(), "protofly-install-*")); len(after) > len(before) {
		t.Errorf("left: %q", after)
	}
}
