package stub

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

func TestOutboxIsBounded(t *testing.T) {
	o := newOutbox()
	m := message.Message{Body: make([]byte, 1<<20)}
	var err error
	for range outboxBytes>>20 + 1 {
		err = o.push(t.Context(), m)
	}
	if !errors.Is(err, errFull) {
		t.Fatal(err)
	}
	o.up() // now a push waits for room
	pushed := make(chan error)
	go func() { pushed <- o.push(t.Context(), m) }()
	if got := len(o.take()); got != outboxBytes>>20 {
		t.Error(got)
	}
	if err := <-pushed; err != nil {
		t.Error(err)
	}
	if late, _ := o.late(time.Now().Add(time.Hour)); len(late) != 0 {
		t.Error("late while connected")
	}
	o.fail(io.EOF)
	if late, why := o.late(time.Now().Add(time.Hour)); len(late) != 1 || !errors.Is(why, io.EOF) {
		t.Error(len(late), why)
	}
}
