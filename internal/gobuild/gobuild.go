// Package gobuild compiles programs of this project for the tests and examples that run them.
//
// Many of them run the same programs, and to link one takes about a second of a processor. So they share what is linked,
// where the system allows it: the go command keeps the executables of go run in its build cache, and has them copied from there.
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

// modulePath is this project's.
const modulePath = "github.com/protofly/protofly/"

// Program compiles the package pkg of this project, named from its root ("plugins/quic"), into the file out. What is there is
// replaced at once, also where it runs. The flags are go build's. It has to be called in a folder of the project's checkout.
// Where the program cannot be compiled, the error wraps an [exec.ExitError] and says what the go command said.
func Program(ctx context.Context, out, pkg string, flags ...string) error {
	fresh := out + ".new"
	args := []string{"run", "-exec", "cp"} // has the go command run: cp EXECUTABLE FRESH
	after := []string{modulePath + pkg, fresh}
	if runtime.GOOS == "windows" { // has no cp
		args, after = []string{"build", "-o", fresh}, after[:1]
	}
	args = append(append(args, flags...), after...)
	if text, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s (in a folder of this project's checkout): %w\n%s", strings.Join(args, " "), err, text)
	}
	return os.Rename(fresh, out)
}

// Programs compiles packages of this project into the folder dir, each under its [Name]. Where dir is missing it is made.
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

// Name is the name of a package's program on this system: that of its folder, on Windows with .exe.
func Name(pkg string) string {
	if runtime.GOOS == "windows" {
		return path.Base(pkg) + ".exe"
	}
	return path.Base(pkg)
}
