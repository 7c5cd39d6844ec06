package api

import (
	"os"
	"sync/atomic"
	"testing"

	"github.com/protofly/protofly/sdk/hyperty"
)

// No process of a plug-in uses the API, though it is the same user's.
func TestPluginsAreRefused(t *testing.T) {
	h, socket := newHouse(t), socketPath(t)
	var plugin atomic.Bool
	s, err := Serve(Options{Backend: h, Socket: socket, Plugin: func(pid int) bool { return plugin.Load() && pid == os.Getpid() }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(limit(t)); err != nil {
			t.Error(err)
		}
	})
	for _, refused := range []bool{false, true} {
		plugin.Store(refused)
		client, err := hyperty.Dial(limit(t), hyperty.Options{Socket: socket})
		if err == nil {
			_ = client.Close(limit(t))
		}
		if (err != nil) != refused {
			t.Errorf("a plug-in: %t; the error is %v", refused, err)
		}
	}
}
