package catalogue

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/protofly/protofly/core/safefile"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/sdk"
)

const describeTimeout = 10 * time.Second

// Installer says how plug-ins are installed. The zero value confines them where the kernel can.
type Installer struct {
	Sandbox sandbox.Mode // whether the program is confined while it describes itself; "": [sandbox.Auto]
	Paths   []string     // files and folders that it may read meanwhile, beside the system's programs and libraries
}

// Install is [Installer.Install] of the zero value.
func Install(ctx context.Context, binary, dir string) (Descriptor, error) {
	return Installer{}.Install(ctx, binary, dir)
}

// Install puts the plug-in whose program is the file binary into the catalogue in dir: it copies the program, runs the copy so
// that it describes itself (--describe), and writes the descriptor. It replaces an installed plug-in of the same name. Where it
// returns an error nothing has changed.
//
// The program runs once, under the caller's user. Where it is confined (package sandbox) it can write only to a folder that is
// removed afterwards, can read no files of the user, and can open no sockets; elsewhere it may do what the user may. The processes
// of its group end with it. After 10 seconds it is killed.
func (i Installer) Install(ctx context.Context, binary, dir string) (Descriptor, error) {
	d, err := i.install(ctx, binary, dir)
	if err != nil {
		return Descriptor{}, fmt.Errorf("install plug-in %s: %w", binary, err)
	}
	return d, nil
}

func (i Installer) install(ctx context.Context, binary, dir string) (d Descriptor, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return d, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return d, err
	}
	if err := checkFolder(dir); err != nil {
		return d, err
	}
	copied, sum, err := copyProgram(binary, dir)
	if err != nil {
		return d, err
	}
	defer os.Remove(copied) // no error: it has its final name by then
	if d.Descriptor, err = i.describe(ctx, copied); err != nil {
		return d, err
	}
	old, _ := (&Catalogue{dir: dir}).read(d.Name)
	d.SHA256 = hex.EncodeToString(sum)
	d.Executable = d.Name + "-" + d.SHA256[:16] + programSuffix()
	d.Path = filepath.Join(dir, d.Executable)
	if err := os.Rename(copied, d.Path); err != nil {
		return d, err
	}
	if err := writeDescriptor(dir, d); err != nil {
		return d, err
	}
	if old.Executable != "" && old.Executable != d.Executable {
		_ = os.Remove(old.Path) // a host that runs it has its own copy
	}
	return d, nil
}

func programSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// copyProgram copies the program into dir under a random name, and returns its checksum.
func copyProgram(binary, dir string) (path string, sum []byte, err error) {
	in, err := os.Open(binary)
	if err != nil {
		return "", nil, err
	}
	defer in.Close()
	if info, err := in.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", nil, errors.Join(err, errors.New("it is not a file"))
	}
	// A process that is started meanwhile would hold the copy open for writing, so that it could not be run.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	out, err := os.CreateTemp(dir, ".install-*"+programSuffix())
	if err != nil {
		return "", nil, err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, h), in)
	if err = errors.Join(err, out.Chmod(0o755), out.Sync(), out.Close()); err != nil {
		_ = os.Remove(out.Name())
		return "", nil, err
	}
	return out.Name(), h.Sum(nil), nil
}

// describe runs a program so that it describes the plug-in.
func (i Installer) describe(ctx context.Context, program string) (sdk.Descriptor, error) {
	confined, err := i.confines()
	if err != nil {
		return sdk.Descriptor{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	own, err := os.MkdirTemp("", "protofly-install-")
	if err != nil {
		return sdk.Descriptor{}, err
	}
	defer os.RemoveAll(own)
	cmd := exec.CommandContext(ctx, program, "--describe")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + own, "TMPDIR=" + own}
	cmd.Dir = own
	ownGroup(cmd)
	cmd.WaitDelay = time.Second // a child of it may hold its output open
	out, errs := &bounded{}, &bounded{}
	cmd.Stdout, cmd.Stderr = out, errs
	err = run(cmd, confined, sandbox.Policy{Dir: own, Program: program, Paths: i.Paths, NoSockets: true,
		Search: os.Getenv("PATH"), Keep: []string{filepath.Dir(program)}})
	hint := ""
	if confined {
		hint = "; it was asked inside the sandbox: what it has to read for that belongs into plugins.paths"
	}
	switch said := strings.TrimSpace(errs.String()); {
	case ctx.Err() == context.DeadlineExceeded:
		return sdk.Descriptor{}, fmt.Errorf("it did not say within %s what it is; is it a Protofly plug-in?", describeTimeout)
	case err != nil && said != "":
		return sdk.Descriptor{}, fmt.Errorf("it does not say what it is: %w: %.300s; is it a Protofly plug-in?%s", err, said, hint)
	case err != nil:
		return sdk.Descriptor{}, fmt.Errorf("it does not say what it is: %w; is it a Protofly plug-in, built for this machine?%s", err, hint)
	}
	return parseDescription(out.Bytes())
}

// Limits of a program while it describes itself.
const (
	describeFile  = 16 << 20 // bytes of a file
	describeFiles = 1024     // that are open
)

// confines tells whether programs are confined while they describe themselves.
func (i Installer) confines() (bool, error) {
	_, err := sandbox.Available()
	if i.Sandbox == sandbox.Required && err != nil {
		return false, fmt.Errorf("it is not asked what it is: %w, and the configuration requires it", err)
	}
	return err == nil && i.Sandbox != sandbox.Off, nil
}

// run runs the program.
func run(cmd *exec.Cmd, confined bool, policy sandbox.Policy) (err error) {
	defer endGroup(cmd)
	if !confined {
		return cmd.Run()
	}
	sandbox.OnThread(func() {
		if err = sandbox.Confine(policy); err != nil {
			return
		}
		if err = cmd.Start(); err != nil {
			return
		}
		_ = sandbox.Limit(cmd.Process.Pid, sandbox.Limits{FileSize: describeFile, OpenFiles: describeFiles}) // an error: the process has ended
		err = cmd.Wait()
	})
	return err
}

// parseDescription reads what a plug-in prints for --describe.
func parseDescription(text []byte) (sdk.Descriptor, error) {
	var d sdk.Descriptor
	if len(text) > maxDescriptor {
		return d, fmt.Errorf("it says more than %d bytes of what it is", maxDescriptor)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return sdk.Descriptor{}, fmt.Errorf("it printed %.100q for --describe; is it a Protofly plug-in?", text)
	}
	return d, checkDescription(d)
}

// bounded keeps one byte more than what may be read, and drops the rest.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), maxDescriptor+1-b.Len())])
	return len(p), nil
}

// writeDescriptor writes NAME.json. A reader sees the old one or the new one, also after a crash.
func writeDescriptor(dir string, d Descriptor) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return safefile.WriteShared(filepath.Join(dir, d.Name+".json"), append(text, '\n'))
}
