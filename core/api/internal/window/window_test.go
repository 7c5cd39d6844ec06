package window

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/hyperty"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNoMoreThanTheWindow(t *testing.T) {
	var w Window
	for n := uint64(1); n <= wire.Window; n++ {
		if number, err := w.Take(1, false); err != nil || number != n {
			t.Fatalf("post %d is number %d: %v", n, number, err)
		}
	}
	if _, err := w.Take(1, false); err == nil {
		t.Fatal("a post over the window is taken")
	}
	w.Done(1, 1)
	if number, err := w.Take(1, false); err != nil || number != wire.Window+2 { // the one that was refused had a number
		t.Errorf("a post after one is worked off: number %d, %v", number, err)
	}
}

func TestTrackedPostsAreBounded(t *testing.T) {
	var w Window
	for n := range hyperty.MaxTracked {
		number, err := w.Take(1, true)
		if err != nil {
			t.Fatalf("post %d: %v", n, err)
		}
		w.Done(number, 1)
	}
	if _, err := w.Take(1, true); err == nil {
		t.Fatal("one too many is tracked")
	}
	if _, err := w.Take(1, false); err != nil {
		t.Errorf("one that is not tracked: %v", err)
	}
	w.Told()
	if _, err := w.Take(1, true); err != nil {
		t.Errorf("after one is known: %v", err)
	}
}

// Posts to receivers that are behind are worked off later than those after them.
func TestWorkedOffInAnyOrder(t *testing.T) {
	var w Window
	for range 6 {
		_, _ = w.Take(1, false)
	}
	for n, number := range []uint64{1, 2, 4, 5, 3} {
		if first, due := w.Done(number, 1); first != (n == 0) || due {
			t.Errorf("post %d: first %v, due %v", number, first, due)
		}
	}
	owed := func() (got string) {
		w.Owed(func(s []wire.Span) { got = fmt.Sprint(s) })
		return got
	}
	if got := owed(); got != "[{1 2} {4 2} {3 1}]" {
		t.Errorf("told of %s", got)
	}
	if got := owed(); got != "[]" {
		t.Errorf("told again of %s", got)
	}
	if first, due := w.Done(6, dueAt); !first || !due {
		t.Errorf("a large one: first %v, due %v", first, due)
	}
}

// A large post counts as many units, until it is worked off.
func TestUnits(t *testing.T) {
	var w Window
	large, err := w.Take(wire.Window-1, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Take(5, false); err != nil { // the last one may be larger than what is left
		t.Fatal(err)
	}
	if _, err := w.Take(1, false); err == nil {
		t.Error("a post is taken while a large one fills the window")
	}
	if _, due := w.Done(large, wire.Window-1); !due {
		t.Error("the application is not told at once of a large post")
	}
	w.Owed(func([]wire.Span) {})
	if _, due := w.Done(large+1, 5); due {
		t.Error("what the application was told already counts again")
	}
	for n := range wire.Window {
		if _, err := w.Take(1, false); err != nil {
			t.Fatalf("post %d after all were worked off: %v", n, err)
		}
	}
	if _, err := w.Take(1, false); err == nil {
		t.Error("the window has grown")
	}
}
