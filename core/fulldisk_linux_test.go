package core_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// The disk under the node's data folder is full: new entries are refused, messages go on, and when there is room again
// everything works.
func TestNodesDiskIsFull(t *testing.T) {
	t.Parallel()
	build(t)
	disk := shortDir(t)
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=48m"); err != nil {
		t.Skip("a file system of its own cannot be mounted here:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	node := &nodeProcess{t: t, domain: "example.com", dir: filepath.Join(disk, "node"), listen: freeAddress(t)}
	node.start()
	t.Cleanup(node.stop)
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}})
	alice, bob := a.register("alice"), b.register("bob")
	bob.Handle(answer)

	filler := filepath.Join(disk, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, zeroes{}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the disk is not full: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	var refused *message.ResponseError
	_, err = a.Register(t.Context(), hyperty.Registration{Name: "carol"})
	if !errors.As(err, &refused) || refused.Code != message.CodeError && refused.Code != message.CodeUnavailable {
		t.Errorf("a registration on a full disk: %v", err)
	}
	t.Log(err)
	for range 10 {
		if _, err := alice.Request(t.Context(), bob.URL(), message.Read, nil); err != nil {
			t.Fatalf("a message while the node's disk is full: %v", err)
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	a.until("a registration works again", waitTime, func() bool {
		h, err := a.Register(t.Context(), hyperty.Registration{Name: "carol"})
		if err == nil {
			h.Handle(answer)
		}
		return err == nil
	})
	if _, err := bob.Request(t.Context(), "hyperty://example.com/carol", message.Read, nil); err != nil {
		t.Error(err)
	}
}

// zeroes never ends.
type zeroes struct{}

func (zeroes) Read(b []byte) (int, error) { return len(b), nil }
