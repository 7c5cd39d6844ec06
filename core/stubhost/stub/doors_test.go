package stub

import (
	"errors"
	"strings"
	"testing"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/sdk/message"
)

func FuzzDoorURL(f *testing.F) {
	f.Add("hyperty-runtime://example.com/r/p2phandler/x/1")
	f.Add("runtime://example.com/r/p2phandler/x/")
	f.Add("hyperty-runtime://example.com/r/p2phandler/xy")
	f.Fuzz(func(t *testing.T, text string) {
		const owner = "hyperty-runtime://example.com/r/p2phandler/x"
		u, ok := doorURL(text, owner)
		if ok && u.Canonical() != owner && !strings.HasPrefix(string(u.Canonical()), owner+"/") {
			t.Errorf("%q is a door of %s", text, owner)
		}
	})
}

// Numbers of doors grow, a URL is open once, and doors whose frames are not passed on yet count as open.
func TestDoorsAreBounded(t *testing.T) {
	const stub message.URL = "hyperty-runtime://example.com/r/p2phandler/x"
	lane := link.New(nil, nil).Lane(1, 1)
	var d doors
	if d.lane(stub) != nil || d.mayOpen(stub) != true {
		t.Error("the zero value has a door, or may have none")
	}
	if err := d.next(5, stub); err != nil {
		t.Fatal(err)
	}
	broken := new(link.ProtocolError)
	if err := d.next(5, stub); !errors.As(err, &broken) {
		t.Errorf("the same number again: %v", err)
	}
	d.open(5, stub, lane)
	if d.mayOpen(stub) || d.lane(stub) != lane {
		t.Error("an open door may be opened again, or is not found")
	}
	d.close(5)
	d.close(5)
	if !d.mayOpen(stub) || d.lane(stub) != nil {
		t.Error("a closed door stays")
	}
	for range maxPumping - 1 {
		d.open(6, stub, lane)
		d.close(6)
	}
	if d.mayOpen(stub) {
		t.Error("doors that are still drained do not count")
	}
	if d.pumped(); !d.mayOpen(stub) {
		t.Error("a door that was drained counts")
	}
}
