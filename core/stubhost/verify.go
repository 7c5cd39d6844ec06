package stubhost

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/protofly/protofly/internal/busypoll"
)

// fileState is how a file is known to be the same as when it was last read.
type fileState struct {
	size  int64
	mtime time.Time
	inode uint64
}

// executable returns the path of a private copy of the plug-in's executable that has the right checksum. The copy is
// what runs: nobody else can change it between the check and the start.
func (p *plugin) executable(spec Plugin) (string, error) {
	refuse := func(reason Reason, err error, format string, args ...any) (string, error) {
		return "", &StartError{Plugin: spec.Name, Reason: reason, Detail: fmt.Sprintf(format, args...), Err: err}
	}
	want, err := hex.DecodeString(spec.SHA256)
	if err != nil || len(want) != sha256.Size {
		return refuse(Checksum, nil, "its descriptor has no SHA-256 checksum; install it again: protofly plugins install %s", spec.Path)
	}
	target := filepath.Join(p.host.o.Dir, "bin", strings.ToLower(spec.SHA256))
	now, err := stat(spec.Path)
	if err != nil {
		if matches(target, want) { // it was upgraded meanwhile; what was installed goes on until the host is told
			return target, nil
		}
		return refuse(Missing, err, "its executable cannot be read; install it again")
	}
	p.mu.Lock()
	same := p.checked == now && p.spec == spec
	p.mu.Unlock()
	if !same || !matches(target, want) {
		if err := copyExecutable(spec.Path, target, want); err != nil {
			if errors.Is(err, goplugin.ErrChecksumsDoNotMatch) {
				return refuse(Checksum, err, "%s is not the file that was installed; if you have changed it yourself, "+
					"install it again: protofly plugins install %s", spec.Path, spec.Path)
			}
			return refuse(Missing, err, "its executable cannot be copied")
		}
		p.mu.Lock()
		if p.spec == spec {
			p.checked = now
		}
		p.mu.Unlock()
	}
	return target, nil
}

func stat(path string) (fileState, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}, err
	}
	if !info.Mode().IsRegular() {
		return fileState{}, fmt.Errorf("%s is not a file", path)
	}
	return fileState{size: info.Size(), mtime: info.ModTime(), inode: inode(info)}, nil
}

// matches tells whether the file has the checksum. A hash is used once: go-plugin does not reset it.
func matches(path string, want []byte) bool {
	ok, err := (&goplugin.SecureConfig{Checksum: want, Hash: sha256.New()}).Check(path)
	return err == nil && ok
}

// copyExecutable copies from to target while it hashes it; target appears only if the checksum is right. One that is there
// and right stays: a process that runs it may start it again, which its sandbox allows for that very file.
func copyExecutable(from, target string, want []byte) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	// A process that is started meanwhile would hold the copy open for writing, and then nobody could run it.
	syscall.ForkLock.RLock()
	sum, temp, err := hashCopy(in, filepath.Dir(target))
	syscall.ForkLock.RUnlock()
	if err == nil && !matchesSum(sum, want) {
		err = goplugin.ErrChecksumsDoNotMatch
	}
	if err == nil && (os.Link(temp, target) == nil || matches(target, want)) {
		return os.Remove(temp)
	}
	if err == nil {
		err = os.Rename(temp, target)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}

// executableMode is a copy's: where plug-ins have users of their own these run it, else nobody else reaches its folder.
const executableMode = 0o555

func hashCopy(in io.Reader, dir string) (sum []byte, path string, err error) {
	out, err := os.CreateTemp(dir, "copy-")
	if err != nil {
		return nil, "", err
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, h), in)
	err = errors.Join(err, out.Chmod(executableMode), out.Close())
	return h.Sum(nil), out.Name(), err
}

func matchesSum(sum, want []byte) bool { return string(sum) == string(want) }

// environment is what a plug-in's process sees. The operator's other variables are none of its business.
func (h *Host) environment(dir string) []string {
	env := []string{"HOME=" + dir, "TMPDIR=" + dir}
	for _, name := range []string{"PATH", "LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "GOMAXPROCS", "GOGC", "GOMEMLIMIT"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	if h.sandbox != "" && os.Getenv("GOMAXPROCS") == "" { // a process that sees nothing of /proc cannot look up its share
		env = append(env, fmt.Sprintf("GOMAXPROCS=%d", max(1, runtime.GOMAXPROCS(0)/2)))
	}
	env = append(env, logLevel(h.o.LogLevel), busypoll.Variable+"="+h.o.Poll.String())
	return append(env, h.o.Env...)
}
