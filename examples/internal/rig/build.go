package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/protofly/protofly/core/catalogue"
)

// NodePlugin is the plug-in that reaches Message Nodes: every runtime needs it.
const NodePlugin = "msgnode-ws"

// Binaries are what an example runs.
type Binaries struct {
	Runtime, Node string // executables
	Plugins       string // the folder where the plug-ins are installed
}

// Builder makes the binaries, in the folder dir.
type Builder func(ctx context.Context, dir string, plugins []string) (Binaries, error)

// Build is a [Builder]: it compiles the binaries into dir and installs the plug-ins.
func Build(ctx context.Context, dir string, plugins []string) (Binaries, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return Binaries{}, err
	}
	out := filepath.Join(dir, "bin")
	packages := []string{"./cmd/runtime", "./cmd/msgnode"}
	for _, name := range plugins {
		packages = append(packages, "./plugins/"+name)
	}
	args := append([]string{"build", "-o", out + string(filepath.Separator)}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		return Binaries{}, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, text)
	}
	suffix := ""
	if runtime.GOOS == "windows" {
		suffix = ".exe"
	}
	b := Binaries{
		Runtime: filepath.Join(out, "protofly"+suffix), Node: filepath.Join(out, "protofly-node"+suffix),
		Plugins: filepath.Join(dir, "plugins"),
	}
	for folder, name := range map[string]string{"runtime": b.Runtime, "msgnode": b.Node} {
		if err := os.Rename(filepath.Join(out, folder+suffix), name); err != nil {
			return Binaries{}, err
		}
	}
	for _, name := range plugins {
		if _, err := catalogue.Install(ctx, filepath.Join(out, name+suffix), b.Plugins); err != nil {
			return Binaries{}, fmt.Errorf("install plug-in %s: %w", name, err)
		}
	}
	return b, nil
}

// moduleRoot is the folder of this project's checkout.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Module.Dir}}", "github.com/protofly/protofly/core").Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("run this in the project's checkout: %w\n%s", err, exit.Stderr)
	} else if err != nil {
		return "", fmt.Errorf("the go command is needed to build the binaries: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// WorkDir makes the folder for everything that an example makes; remove deletes it.
func WorkDir() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", "protofly-") // short: Unix socket paths hold about 100 bytes
	return dir, func() { _ = os.RemoveAll(dir) }, err
}
