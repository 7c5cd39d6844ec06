// Package gobuild compiles programs of this project for the tests and examples that run them.
//
// Many of them run the same programs, and linking one takes about a second of a processor. So they share the linked programs:
// the go command keeps the executables of go run in its build cache, and Program copies them from there, where the system
// allows it.
package gobuild

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// modulePath is the module path of this project.
const modulePath = "github.com/protofly/protofly/"

// Program compiles the package pkg of this project, named from its root ("plugins/quic"), into the file out. It replaces an
// existing file atomically, even if that is a program that runs. The flags are go build's. The current folder has to be in the
// project's checkout. If the program cannot be compiled, the error wraps an [exec.ExitError] and has the go command's output.
func Program(ctx context.Context, out, pkg string, flags ...string) error {
	fresh := out + ".new"
	args := []string{"run", "-exec", "cp"} // the go command runs: cp EXECUTABLE FRESH
	after := []string{modulePath + pkg, fresh}
	if runtime.GOOS == "windows" { // Windows has no cp
		args, after = []string{"build", "-o", fresh}, after[:1]
	}
	args = append(append(args, flags...), after...)
	if text, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s (in a folder of this project's checkout): %w\n%s", strings.Join(args, " "), err, text)
	}
	return os.Rename(fresh, out)
}

// Programs compiles packages of this project into the folder dir, each under its [Name]. It makes dir if that is missing.
func Programs(ctx context.Context, dir string, pkgs ...string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, pkg := range pkgs { // one after another: they share packages that may have to be compiled
		if err := Program(ctx, filepath.Join(dir, Name(pkg)), pkg); err != nil {
			return err
		}
	}
	return nil
}

// Name returns the file name of a package's program: the name of its folder, on Windows with .exe.
func Name(pkg string) string {
	if runtime.GOOS == "windows" {
		return path.Base(pkg) + ".exe"
	}
	return path.Base(pkg)
}
