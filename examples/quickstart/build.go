package main

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

// binaries are what the quickstart runs.
type binaries struct {
	runtime, node string // executables
	plugins       string // the folder where the plug-ins are installed
}

// build compiles the binaries into dir and installs the plug-ins.
func build(ctx context.Context, dir string, plugins []string) (binaries, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return binaries{}, err
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
		return binaries{}, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, text)
	}
	suffix := ""
	if runtime.GOOS == "windows" {
		suffix = ".exe"
	}
	b := binaries{
		runtime: filepath.Join(out, "protofly"+suffix), node: filepath.Join(out, "protofly-node"+suffix),
		plugins: filepath.Join(dir, "plugins"),
	}
	for folder, name := range map[string]string{"runtime": b.runtime, "msgnode": b.node} {
		if err := os.Rename(filepath.Join(out, folder+suffix), name); err != nil {
			return binaries{}, err
		}
	}
	for _, name := range plugins {
		if _, err := catalogue.Install(ctx, filepath.Join(out, name+suffix), b.plugins); err != nil {
			return binaries{}, fmt.Errorf("install plug-in %s: %w", name, err)
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

// workDir is the folder for everything that the quickstart makes; remove deletes it.
func workDir() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", "protofly-") // short: Unix socket paths hold about 100 bytes
	return dir, func() { _ = os.RemoveAll(dir) }, err
}
