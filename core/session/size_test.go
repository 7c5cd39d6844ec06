package session

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

// An idle session takes no more memory than it has taken for long: a runtime may have thousands.
func TestIdleMemory(t *testing.T) {
	const count, most = 2000, 3096
	all := New(Options{Self: alice, Key: aliceSelf.key})
	list, names := make([]*session, count), make([]message.URL, count)
	for n := range names {
		names[n] = message.URL(fmt.Sprintf("hyperty-runtime://b.example/%d", n))
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range list {
		list[n] = newSession(&all.shared, names[n], all.current())
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (after.HeapAlloc - before.HeapAlloc) / count; each > most {
		t.Errorf("an idle session takes %d bytes, at most %d", each, most)
	} else {
		t.Logf("an idle session takes %d bytes", each)
	}
	runtime.KeepAlive(list)
	all.Close(t.Context())
}
