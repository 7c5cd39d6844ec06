package peers

import (
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
)

// payloads are n payloads of a size.
func payloads(t *testing.T, n, size int) wire.Payloads {
	t.Helper()
	list := make([][]byte, n)
	for i := range list {
		list[i] = make([]byte, size)
	}
	_, body, _, err := wire.Next(wire.AppendData(nil, "hyperty-runtime://example.com/r", list...))
	if err != nil {
		t.Fatal(err)
	}
	_, p, err := wire.ParseData(body)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func taken(a *allowance, p wire.Payloads, others *rate.Limiter) (n int) {
	for n < 1_000_000 && a.take(p, others) {
		n++
	}
	return n
}

func TestAllowance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		others := rate.NewLimiter(rate.Inf, 0)
		var a allowance
		small, large := payloads(t, 1, 20), payloads(t, 1, 100<<10)
		if n := taken(&a, small, others); n != StrangeFrames {
			t.Errorf("%d frames before an answer", n)
		}
		time.Sleep(time.Second)
		if n := taken(&a, small, others); n != unansweredFrames {
			t.Errorf("%d frames a second without an answer", n)
		}
		time.Sleep(time.Hour)
		if n := taken(&a, small, others); n != StrangeFrames {
			t.Errorf("%d frames after an hour", n)
		}
		a.came.Store(1)
		if n := taken(&a, small, others); n != AnswerFrames {
			t.Errorf("%d frames after an answer", n)
		}
		a.came.Store(1000)
		if n := taken(&a, small, others); n != AnsweredFrames {
			t.Errorf("%d frames after many", n)
		}
		a.came.Store(1000)
		if n := taken(&a, large, others); n < answeredBytes/len(large) || n > answeredBytes/len(large)+1 {
			t.Errorf("%d large frames after many", n)
		}
		a.came.Store(1000)
		if n := taken(&a, payloads(t, 1000, 20), others); n != AnsweredFrames/1000+1 {
			t.Errorf("%d lots of 1000 frames", n)
		}
	})
}

// A connection may send no more to many peers that do not answer than to a few.
func TestAllowanceOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		others, frame, n := rate.NewLimiter(connectionRate, connectionFrames), payloads(t, 1, 20), 0
		for range 1000 {
			var a allowance
			n += taken(&a, frame, others)
		}
		if n != connectionFrames {
			t.Errorf("%d frames to 1000 peers that do not answer", n)
		}
		var a allowance
		a.came.Store(1)
		if n := taken(&a, frame, others); n < AnswerFrames {
			t.Errorf("%d frames to one that has answered", n)
		}
	})
}

// Large frames are bounded by their bytes, which may be overdrawn by one frame, and more payloads in one frame than a stranger may
// send at once are never taken from one.
func TestLargeFramesToStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		others := rate.NewLimiter(rate.Inf, 0)
		var a allowance
		large := payloads(t, 1, 100<<10)
		if n := taken(&a, large, others); n != StrangeBytes/len(large)+1 {
			t.Errorf("%d large frames before an answer", n)
		}
		for _, want := range []int{1, 0, 1} { // 64 KiB a second, of which the first pays for what was overdrawn
			time.Sleep(time.Second)
			if n := taken(&a, large, others); n != want {
				t.Errorf("%d large frames a second later, want %d", n, want)
			}
		}
		time.Sleep(time.Hour)
		if n := taken(&a, large, others); n != StrangeBytes/len(large)+1 {
			t.Errorf("%d large frames after an hour", n)
		}
		var b allowance
		many := payloads(t, StrangeFrames+1, 20)
		if taken(&b, many, others) > 0 {
			t.Error("a frame of more payloads than a stranger may send")
		}
		if !b.take(payloads(t, StrangeFrames, 20), others) || b.take(payloads(t, 1, 20), others) {
			t.Error("a frame of as many, and one more")
		}
		b.came.Store(1)
		if !b.take(many, others) {
			t.Error("a frame of more, after an answer")
		}
		b.came.Store(AnsweredFrames)
		if b.take(payloads(t, AnsweredFrames+1, 1), others) || !b.take(payloads(t, AnsweredFrames, 1), others) {
			t.Error("at most so many payloads in one frame, however many answers")
		}
	})
}

// What a connection may not send, since all that it may send to strangers is used up, it may send later: nothing is taken off for it.
func TestNothingIsTakenForWhatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a allowance
		none, frame := rate.NewLimiter(0, 0), payloads(t, 1, 20)
		for range 1000 {
			if a.take(frame, none) {
				t.Fatal("taken")
			}
		}
		if n := taken(&a, frame, rate.NewLimiter(rate.Inf, 0)); n != StrangeFrames {
			t.Errorf("%d frames when there is room", n)
		}
	})
}

// After an answer the allowance grows with time as before it, up to what may be sent to one that answers.
func TestAllowanceOfOneThatHasAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		others, frame := rate.NewLimiter(0, 0), payloads(t, 1, 20) // it takes nothing from what strangers share
		var a allowance
		a.came.Store(1)
		taken(&a, frame, others)
		time.Sleep(time.Second)
		if n := taken(&a, frame, others); n != unansweredFrames {
			t.Errorf("%d frames a second later", n)
		}
		time.Sleep(time.Hour)
		if n := taken(&a, frame, others); n != AnsweredFrames {
			t.Errorf("%d frames after an hour", n)
		}
		time.Sleep(time.Second / unansweredFrames / 2)
		if a.take(frame, others) {
			t.Error("one before its time")
		}
		time.Sleep(time.Second/unansweredFrames/2 + time.Millisecond)
		if !a.take(frame, others) {
			t.Error("none when it is time")
		}
	})
}
