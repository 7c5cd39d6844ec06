package lookups

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

const alice message.URL = "hyperty://example.com/alice"

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func unknown() (int, bool) { return 0, false }

func TestOneLookUpForAllWhoWait(t *testing.T) {
	l := New[int](1, time.Second)
	first, begins, _, err := l.Begin(noon, alice, false, unknown)
	if !begins || err != nil {
		t.Fatal(begins, err)
	}
	for _, anew := range []bool{false, true} {
		if f, begins, _, err := l.Begin(noon, alice, anew, unknown); f != first || begins || err != nil {
			t.Errorf("anew %v: another look-up, %v", anew, err)
		}
	}
	if _, _, _, err := l.Begin(noon, "hyperty://example.com/bob", false, unknown); !errors.Is(err, ErrTooMany) {
		t.Errorf("more than may go on: %v", err)
	}
	select {
	case <-first.Done():
		t.Fatal("it has ended")
	default:
	}
	l.End(noon, alice, first, 7, nil)
	<-first.Done()
	if v, err := first.Result(); v != 7 || err != nil {
		t.Error(v, err)
	}
	if _, begins, v, _ := l.Begin(noon, alice, false, func() (int, bool) { return 8, true }); begins || v != 8 {
		t.Errorf("what is known is looked up: %d", v)
	}
	if _, begins, _, _ := l.Begin(noon, alice, true, func() (int, bool) { return 8, true }); !begins {
		t.Error("it is not looked up anew")
	}
}

func TestARefusalIsRememberedForAMoment(t *testing.T) {
	l, no := New[int](4, time.Second), errors.New("nobody")
	f, _, _, _ := l.Begin(noon, alice, false, unknown)
	l.End(noon, alice, f, 0, no)
	if _, begins, _, err := l.Begin(noon.Add(time.Second-1), alice, false, unknown); begins || !errors.Is(err, no) {
		t.Error(begins, err)
	}
	if _, begins, _, err := l.Begin(noon.Add(time.Second), alice, false, unknown); !begins || err != nil {
		t.Error(begins, err)
	}
}

func TestMissesAreBounded(t *testing.T) {
	l := New[int](4, time.Hour)
	for i := range 2 * maxMisses {
		key := message.URL(fmt.Sprintf("hyperty://example.com/%d", i))
		f, _, _, _ := l.Begin(noon, key, false, unknown)
		l.End(noon, key, f, 0, errors.New("nobody"))
	}
	if len(l.misses) > maxMisses || len(l.flights) != 0 {
		t.Errorf("%d misses, %d flights", len(l.misses), len(l.flights))
	}
}

func TestBusyIsHalf(t *testing.T) {
	l := New[int](4, time.Second)
	for i, want := range []bool{false, false, true} {
		if l.Busy() != want {
			t.Errorf("busy with %d: %v", i, !want)
		}
		l.Begin(noon, message.URL(fmt.Sprintf("hyperty://example.com/%d", i)), false, unknown)
	}
}
