package changes

import (
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

// known is what a follower has entered; it does not accept addresses that are in not.
type known struct {
	have map[message.URL]bool
	not  map[message.URL]bool
}

func names(not ...message.URL) *known {
	k := &known{have: map[message.URL]bool{}, not: map[message.URL]bool{}}
	for _, u := range not {
		k.not[u] = true
	}
	return k
}

func (k *known) List(u message.URL) bool {
	if !k.not[u] {
		k.have[u] = true
	}
	return !k.not[u]
}

func (k *known) Unlist(u message.URL) { delete(k.have, u) }

func (k *known) mustHave(t *testing.T, want ...message.URL) {
	t.Helper()
	if len(k.have) != len(want) {
		t.Errorf("%v are known, want %v", k.have, want)
	}
	for _, u := range want {
		if !k.have[u] {
			t.Errorf("%s is not known", u)
		}
	}
}

// begun is a Subscription that has asked for the list.
func begun(t *testing.T) *Subscription {
	s := &Subscription{}
	if ask := s.Begin(); !ask.Wanted || ask.Pause != 0 {
		t.Fatalf("%+v", ask)
	}
	return s
}

func TestUpdatesThatComeBeforeTheList(t *testing.T) {
	s, k := begun(t), names()
	s.Apply(Change{Add, []message.URL{object(3)}, 103}, k)
	s.Apply(Change{Add, []message.URL{object(2)}, 102}, k)
	s.Apply(Change{Add, []message.URL{object(0)}, 100}, k) // part of the list's version already
	ask, left := s.Subscribed(Change{"", []message.URL{object(1)}, 101}, k, true)
	if ask.Wanted || left != 0 || s.Version() != 103 || !s.Synced() {
		t.Errorf("%+v, %d left, version %d", ask, left, s.Version())
	}
	k.mustHave(t, object(1), object(2), object(3))
}

// Changes that come before the list are kept, up to a number of bytes; beyond that the list is asked for again.
func TestEarlyChangesAreBounded(t *testing.T) {
	s, k := begun(t), names()
	for n := range uint64(maxEarly) {
		s.Apply(Change{Add, []message.URL{message.URL(make([]byte, maxEarlyBytes/8))}, n + 1}, k)
	}
	if len(s.early) != 7 || s.size > maxEarlyBytes {
		t.Errorf("%d changes of %d bytes wait", len(s.early), s.size)
	}
	if ask, _ := s.Subscribed(Change{"", nil, 1}, k, true); ask != (Ask{true, askAgain}) {
		t.Errorf("%+v: what was left out is not asked for", ask)
	}
}

func TestAGapIsHealed(t *testing.T) {
	s, k := begun(t), names()
	s.Subscribed(Change{"", []message.URL{object(1)}, 5}, k, true)
	s.Apply(Change{Add, []message.URL{object(2)}, 6}, k)
	s.Apply(Change{Add, []message.URL{object(9)}, 6}, k) // a second time
	if ask, _ := s.Apply(Change{Remove, []message.URL{object(1)}, 8}, k); ask != (Ask{true, askAgain}) {
		t.Errorf("%+v", ask)
	}
	k.mustHave(t, object(1), object(2))
	if ask, _ := s.Apply(Change{Add, []message.URL{object(4)}, 9}, k); ask.Wanted {
		t.Error("it is asked for twice")
	}
	s.Subscribed(Change{"", []message.URL{object(2), object(3)}, 8}, k, true)
	k.mustHave(t, object(2), object(3), object(4))
	if s.Listed() != 3 || s.Has(object(1)) {
		t.Errorf("%d are listed", s.Listed())
	}
}

func TestWhatIsNotTakenIsCounted(t *testing.T) {
	s, k := begun(t), names(object(2))
	if _, left := s.Subscribed(Change{"", []message.URL{object(1), object(2)}, 1}, k, true); left != 1 || s.Has(object(2)) {
		t.Errorf("%d left", left)
	}
	s.Remove(object(1), k)
	k.mustHave(t)
}

// A runtime that does not answer, refuses or has no connection is not asked for ever.
func TestWhenARefusalIsAskedAgain(t *testing.T) {
	for _, x := range []struct {
		late, live bool
		asks       int
	}{{true, true, maxAskRetries - 1}, {false, true, 0}, {true, false, 0}} {
		s, asks := begun(t), 0
		for ask := s.Refused(x.late, x.live); ask.Wanted; ask = s.Refused(x.late, x.live) {
			if asks++; ask.Pause != retryAsk || asks > 10 {
				t.Fatalf("%+v, the %d. time", ask, asks)
			}
		}
		if asks != x.asks {
			t.Errorf("%+v: asked %d times", x, asks)
		}
		if ask := s.Begin(); !ask.Wanted {
			t.Error("a new connection does not ask")
		}
	}
}

func TestNothingIsTakenAfterTheEnd(t *testing.T) {
	s, k := begun(t), names()
	s.End()
	if ask, _ := s.Subscribed(Change{"", []message.URL{object(1)}, 1}, k, true); ask.Wanted {
		t.Error("it asks")
	}
	s.Apply(Change{"", []message.URL{object(2)}, 2}, k)
	if ask := s.Again(); ask.Wanted {
		t.Error("it asks again")
	}
	k.mustHave(t)
}
