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
	if err := goBuild(ctx, root, append([]string{"-ldflags=-s -w", "-o", out + string(filepath.Separator)}, packages...)...); err != nil {
		return Binaries{}, err
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

// Compile compiles one package of this project, which is named from its root ("./plugins/quic"), into the file out.
// Where version is not "" it is what the program says as its version: the package's variable main.version.
func Compile(ctx context.Context, out, pkg, version string) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	args := []string{"-o", out}
	if version != "" {
		args = append(args, "-ldflags", "-X main.version="+version)
	}
	return goBuild(ctx, root, append(args, pkg)...)
}

func goBuild(ctx context.Context, root string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build"}, args...)...)
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", strings.Join(args, " "), err, text)
	}
	return nil
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
