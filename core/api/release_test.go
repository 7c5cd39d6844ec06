package api

import (
	"errors"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// An application that gives a name up is told whether it is given up; the hyperty has ended in any case.
func TestNamesAreReleased(t *testing.T) {
	socket := socketPath(t)
	server := serve(t, newHouse(t), socket)
	c := dial(t, hyperty.Options{Socket: socket, Wait: 100 * time.Millisecond})
	ctx := limit(t)
	for _, name := range []string{"bob", "kept", "bob"} {
		h := register(t, c, name)
		err := h.Release(ctx)
		var no *message.ResponseError
		if name == "kept" && (!errors.As(err, &no) || no.Code != message.CodeUnavailable) || name != "kept" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !errors.Is(h.Err(), hyperty.ErrClosed) || h.Close(ctx) != err && name == "kept" {
			t.Errorf("%s is there: %v", name, h.Err())
		}
		if err := h.Release(ctx); !errors.Is(err, hyperty.ErrClosed) {
			t.Errorf("%s is released twice: %v", name, err)
		}
	}
	last := register(t, c, "last")
	if err := server.Close(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the runtime is gone", func() bool { return !c.State().Connected })
	if err := last.Release(ctx); !errors.Is(err, hyperty.ErrDisconnected) {
		t.Errorf("without a runtime: %v", err)
	}
}

// A hyperty whose name was not wished for is registered again as one that is resumed, also an ephemeral one.
func TestResumedRegistrations(t *testing.T) {
	h := newHouse(t)
	socket := socketPath(t)
	server := serve(t, h, socket)
	c := dial(t, hyperty.Options{Socket: socket})
	ctx := limit(t)
	register(t, c, "bob")
	for _, r := range []hyperty.Registration{{}, {Ephemeral: true}} {
		if _, err := c.Register(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.Close(ctx); err != nil {
		t.Fatal(err)
	}
	serve(t, h, socket)
	eventually(t, "all are registered again", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.asked) == 6
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	resumed, ephemeral := 0, 0
	for _, r := range h.asked[3:] {
		if r.Name == "" || r.Resumed == (r.Name == "bob") {
			t.Errorf("registered again: %+v", r)
		}
		if r.Resumed {
			resumed++
		}
		if r.Ephemeral {
			ephemeral++
		}
	}
	if resumed != 2 || ephemeral != 1 {
		t.Errorf("%d are resumed, %d ephemeral: %+v", resumed, ephemeral, h.asked)
	}
}
