package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/internal/gobuild"
)

// NodePlugin is the plug-in that reaches Message Nodes: every runtime needs it.
const NodePlugin = "msgnode-ws"

// Binaries are the programs that a [House] runs.
type Binaries struct {
	Runtime, Node string // executables
	Plugins       string // the folder where the plug-ins are installed
}

// Builder makes the binaries, in the folder dir.
type Builder func(ctx context.Context, dir string, plugins []string) (Binaries, error)

// Build is a [Builder]: it compiles the binaries into dir and installs the plug-ins.
func Build(ctx context.Context, dir string, plugins []string) (Binaries, error) {
	out := filepath.Join(dir, "bin")
	packages := []string{"cmd/runtime", "cmd/msgnode"}
	for _, name := range plugins {
		packages = append(packages, "plugins/"+name)
	}
	if err := gobuild.Programs(ctx, out, packages...); err != nil {
		return Binaries{}, err
	}
	b := Binaries{
		Runtime: filepath.Join(out, gobuild.Name("protofly")), Node: filepath.Join(out, gobuild.Name("protofly-node")),
		Plugins: filepath.Join(dir, "plugins"),
	}
	for folder, name := range map[string]string{"runtime": b.Runtime, "msgnode": b.Node} {
		if err := os.Rename(filepath.Join(out, gobuild.Name(folder)), name); err != nil {
			return Binaries{}, err
		}
	}
	for _, name := range plugins {
		if _, err := catalogue.Install(ctx, filepath.Join(out, gobuild.Name(name)), b.Plugins); err != nil {
			return Binaries{}, fmt.Errorf("install plug-in %s: %w", name, err)
		}
	}
	return b, nil
}

// Compile compiles one package of this project, which is named from its root ("plugins/quic"), into the file out.
// If version is not "", it becomes the program's version (the variable main.version).
func Compile(ctx context.Context, out, pkg, version string) error {
	if version != "" {
		return gobuild.Program(ctx, out, pkg, "-ldflags=-X main.version="+version)
	}
	return gobuild.Program(ctx, out, pkg)
}

// WorkDir makes a folder for a [House]; remove deletes it.
func WorkDir() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", "protofly-") // short, since the path of a Unix socket has about 100 bytes
	return dir, func() { _ = os.RemoveAll(dir) }, err
}
