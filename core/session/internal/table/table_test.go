package table

import (
	"fmt"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

type one struct{ n int }

// There is one session with a runtime, an eighth of the table is not for strangers, and nothing enters a table that is closed.
func TestTable(t *testing.T) {
	all := New[*one](16)
	name := func(n int) message.URL { return message.URL(fmt.Sprint("hyperty-runtime://x/", n)) }
	first := &one{}
	if all.Find(name(0)) != nil || all.Enter(name(0), first, false) != Entered || all.Find(name(0)) != first {
		t.Error("it is not found")
	}
	if put := all.Enter(name(0), &one{}, false); put != Exists {
		t.Errorf("the second with a runtime: %v", put)
	}
	for n := 1; n < 20; n++ {
		want := Entered
		if n >= 14 {
			want = Full
		}
		if put := all.Enter(name(n), &one{n}, true); put != want {
			t.Errorf("stranger %d: %v", n, put)
		}
	}
	for n := 20; n < 23; n++ {
		want := Entered
		if n == 22 {
			want = Full
		}
		if put := all.Enter(name(n), &one{n}, false); put != want {
			t.Errorf("number %d: %v", n, put)
		}
	}
	all.Forget(name(0), &one{})
	if all.Find(name(0)) == nil {
		t.Error("another one was forgotten")
	}
	all.Forget(name(0), first)
	if all.Find(name(0)) != nil || len(all.All()) != 15 {
		t.Errorf("%d are left", len(all.All()))
	}
	if all.Close(); all.Enter(name(0), first, false) != Closed {
		t.Error("it enters after the end")
	}
}

// Those that nothing was heard of for longest make room, a part of the table at a time.
func TestOldest(t *testing.T) {
	all := New[*one](128)
	var list []Candidate[*one]
	for n := range 10 {
		list = append(list, Candidate[*one]{&one{n}, time.Duration((n*7)%10) * time.Second})
	}
	got := all.Oldest(list)
	if len(got) != 2 || got[0].Used != 0 || got[1].Used != time.Second {
		t.Errorf("%+v", got)
	}
	if got := New[*one](1).Oldest(list[:1]); len(got) != 1 {
		t.Errorf("%d make room in a small table", len(got))
	}
}
