package node

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// smallDisk is a file system of 24 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=24m"); err != nil {
		t.Skip("a file system of its own cannot be mounted here:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return folder
}

// fill takes what is left of folder's disk but for a few bytes, and returns how to give it back.
func fill(t *testing.T, folder string, left int64) (free func()) {
	t.Helper()
	name := filepath.Join(folder, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for chunk := 1 << 20; chunk > 0; chunk /= 2 {
		for {
			if _, err := f.Write(make([]byte, chunk)); err != nil {
				break
			}
		}
	}
	if size, err := f.Seek(0, 2); err != nil || f.Truncate(size-left) != nil {
		t.Fatal("truncate", err)
	}
	return func() { os.Remove(name) }
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	for name, keep := range map[string]int64{"noticed before": 4 << 20, "noticed by the write": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := smallDisk(t)
			n := start(t, Options{Data: folder, Limits: Limits{MinFree: keep}, Times: Times{State: 400 * time.Millisecond, Sweep: 100 * time.Millisecond}})
			alice, bob := n.join(t, 1), n.join(t, 2)
			u := alice.allocate(`{"value":{"identifier":"alice"}}`)[0]
			free := fill(t, folder, 64<<10)
			refused := 0
			for range 40 {
				if code, text := alice.ask(message.Create, allocator, `{"value":{"number":200}}`); code == 500 || code == 504 {
					refused++
					t.Log(code, text)
				} else if code != 200 {
					t.Errorf("%d %s", code, text)
				}
				if refused > 2 {
					break
				}
			}
			if refused == 0 {
				t.Error("no write was refused")
			}
			// Messages and what is known go on.
			alice.write(wire.AppendData(nil, bob.runtime, []byte("x")))
			if kind, _ := bob.frame(); kind != wire.KindData {
				t.Error("data")
			}
			if code, text := bob.ask(message.Create, allocator, `{"value":{"identifier":"alice"}}`); code == 200 {
				t.Error(code, text)
			}
			free()
			eventually(t, "writes work again", func() bool {
				code, text := alice.ask(message.Create, allocator, `{"value":{"number":1}}`)
				if code != 200 {
					t.Log(code, text)
				}
				return code == 200
			})
			bob.send(message.Message{ID: message.NumberID(1), Type: message.Create, From: bob.runtime, To: u})
			if m := alice.message(); m.To != u {
				t.Errorf("%+v", m)
			}
			addresses := n.state.Allocations.Count("r:" + string(alice.runtime))
			n.stop()
			n = start(t, Options{Data: folder, Limits: Limits{MinFree: 1}})
			after := n.state.Allocations.Count("r:" + string(alice.runtime))
			if after < addresses || n.state.Owner(u) != alice.runtime {
				t.Errorf("%d addresses before the restart, %d after it", addresses, after)
			}
		})
	}
}
