package peercred

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is both ends of a Unix socket.
func pair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("unix", l.Addr().String()); err == nil {
		b, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestThisProcess(t *testing.T) {
	for _, conn := range func() []net.Conn { a, b := pair(t); return []net.Conn{a, b} }() {
		if err := Check(conn); err != nil {
			t.Error(err)
		}
		uid, err := UID(conn)
		if told := runtime.GOOS == "linux" || runtime.GOOS == "darwin" || runtime.GOOS == "freebsd"; told != (err == nil) || told && uid != os.Geteuid() {
			t.Errorf("user %d, %v", uid, err)
		}
		pid, err := PID(conn)
		if told := runtime.GOOS == "linux" || runtime.GOOS == "darwin"; told != (err == nil) || told && pid != os.Getpid() || !told && !errors.Is(err, ErrUnknown) {
			t.Errorf("process %d, %v", pid, err)
		}
	}
}

func TestNobody(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := UID(a); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	closed, _ := pair(t)
	closed.Close()
	if err := Check(closed); err == nil && runtime.GOOS == "linux" {
		t.Error("a closed connection was taken")
	}
}
