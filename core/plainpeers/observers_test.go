package plainpeers

import (
	"fmt"
	"testing"

	"github.com/protofly/protofly/core/syncmanager"
	"github.com/protofly/protofly/sdk/message"
)

// subscriptions is a bus that counts the subscriptions of each address and runtime.
type subscriptions struct {
	syncmanager.Bus
	by map[string]int
}

func (s *subscriptions) Forward(at, remote message.URL) (stop func()) {
	s.by[fmt.Sprint(at, " ", remote)]++
	return func() { s.by[fmt.Sprint(at, " ", remote)]-- }
}

// All runtimes without sessions together have one subscription to an address, until the last of them ends its own.
func TestObserversShareASubscription(t *testing.T) {
	const at message.URL = "comm://b.example/1/changes"
	s := &subscriptions{by: map[string]int{}}
	o := NewObservers(s)
	all := func() (n int) {
		for _, of := range s.by {
			n += of
		}
		return n
	}
	first, second := o.Forward(at, remote), o.Forward(at, "hyperty-runtime://b.example/r-eve")
	one, other := o.Forward(at, keyed), o.Forward(at+"/x", remote)
	if all() != 3 || s.by[string(at+" "+keyed)] != 1 {
		t.Errorf("subscriptions: %v", s.by)
	}
	one()
	other()
	first()
	first() // a second time: it changes nothing
	if all() != 1 {
		t.Errorf("subscriptions when one is left: %v", s.by)
	}
	if second(); all() != 0 || len(o.away) != 0 {
		t.Errorf("subscriptions at the end: %v, %v", s.by, o.away)
	}
}
