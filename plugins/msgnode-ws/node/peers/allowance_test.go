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
