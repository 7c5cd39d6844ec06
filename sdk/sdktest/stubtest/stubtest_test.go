package stubtest_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/sdktest/stubtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parrot sends back the frames of its door and the bodies of its messages.
type parrot struct{}

func (parrot) Run(ctx context.Context, bus message.Bus, s sdk.Start) error {
	hush := make(chan struct{})
	stop := bus.Listen(s.URL, func(ctx context.Context, m message.Message) {
		switch m.Type {
		case message.Read:
			_ = bus.Post(ctx, m.Respond(200, m.Body))
		case message.Delete:
			if len(m.Body) > 0 {
				close(hush)
			}
		}
	})
	defer stop()
	door, err := s.Doors.Open(s.URL)
	if err != nil {
		return err
	}
	if _, err := s.Doors.Open(s.URL); err == nil {
		return errors.New("one door was opened twice")
	}
	if _, err := s.Doors.Open("hyperty-runtime://example.com/another"); err == nil {
		return errors.New("another's door was opened")
	}
	answer, err := bus.Request(ctx, message.Message{Type: message.Update, From: s.URL, To: s.URL.Join("status"),
		Body: message.Encode(map[string]string{"value": "created"})})
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := answer.OK(); err != nil {
		return err
	}
	go func() {
		for {
			frames, err := door.Recv(ctx)
			if err != nil || door.Send(ctx, frames...) != nil {
				return
			}
		}
	}()
	select {
	case <-ctx.Done():
		return nil
	case <-hush:
		return errors.New("told to be silent")
	}
}

func TestConform(t *testing.T) {
	stubtest.Conform(t, func() sdk.Stub { return parrot{} }, stubtest.Options{})
}

func TestFramesAndMessages(t *testing.T) {
	l := stubtest.Run(t, parrot{}, stubtest.Options{})
	l.Status("", message.Created)
	for n := range 300 {
		want := bytes.Repeat([]byte{byte(n)}, n*n)
		l.Send(l.URL, sdk.Frame{Peer: "hyperty-runtime://example.com/peer", Payload: want})
		got := l.Recv(l.URL)
		if !bytes.Equal(got.Payload, want) || got.Peer != "hyperty-runtime://example.com/peer" {
			t.Fatalf("frame %d of %d bytes came back with %d, peer %q", n, len(want), len(got.Payload), got.Peer)
		}
	}
	body := message.Encode(map[string]string{"a": "b"})
	answer := l.Request(message.Message{Type: message.Read, From: "hyperty-runtime://example.com/under-test/registry", To: l.URL, Body: body})
	if value, err := answer.OK(); err != nil || string(value) != string(body) {
		t.Errorf("answer %s, %v", value, err)
	}
	nobody := l.Request(message.Message{Type: message.Read, From: "hyperty-runtime://example.com/under-test/registry", To: l.URL.Join("x")})
	if r, err := nobody.Result(); err != nil || r.Code != message.CodeNotFound {
		t.Errorf("a message that nobody in the stub listens to: %+v, %v", r, err)
	}
	l.Post(message.Message{Type: message.Delete, From: "hyperty-runtime://example.com/under-test/registry", To: l.URL, Body: body})
	if err := l.Ended(); err == nil || err.Error() != "told to be silent" {
		t.Errorf("ended with %v", err)
	}
	l.NoDoor(l.URL)
}
