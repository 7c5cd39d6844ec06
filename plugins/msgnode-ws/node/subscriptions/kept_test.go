package subscriptions

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refjson"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/routing"
	"github.com/protofly/protofly/sdk/message"
)

// grown returns how many bytes more are kept after f than before, with f's result kept.
func grown(f func() any) (bytes int64) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	kept := f()
	after := heap()
	runtime.KeepAlive(kept)
	return after - before
}

// An address from a client's list may be kept for long. It does not keep the memory of the rest of the list, however long that
// is.
func TestAddressesDoNotKeepTheirList(t *testing.T) {
	const count, size = 24, 1 << 20
	padding := strings.Repeat(" ", size)
	for name, read := range map[string]func(i int) (any, error){
		"to": func(i int) (any, error) {
			list, err := refjson.Parse(fmt.Appendf(nil, `{"id":1,"type":"create","from":"hyperty://example.com/a","to":["hyperty://example.com/%d"%s],"body":{}}`, i, padding))
			return list, err
		},
		"subscribe": func(i int) (any, error) {
			m := message.Message{Body: fmt.Appendf(nil, `{"resources":["hyperty://example.com/%d/changes"%s]}`, i, padding)}
			list, r := (&Subscriptions{limits: limits.Defaults()}).addresses(&routing.Client{}, m)
			if r != nil {
				return nil, fmt.Errorf("%d %s", r.Code, r.Text)
			}
			return list, nil
		},
	} {
		if bytes := grown(func() any {
			var kept []any
			for i := range count {
				one, err := read(i)
				if err != nil {
					t.Fatal(name, err)
				}
				kept = append(kept, one)
			}
			return kept
		}); bytes > count*size/16 {
			t.Errorf("%s: %d addresses keep %d bytes", name, count, bytes)
		}
	}
}
