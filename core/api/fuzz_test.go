package api

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	wire "github.com/protofly/protofly/sdk/hyperty/api"
	"github.com/protofly/protofly/sdk/message"
)

// script is a stream that says what it is given and then ends.
type script struct {
	grpc.BidiStreamingServer[wire.ApplicationBatch, wire.RuntimeBatch]
	ctx     context.Context
	batches []*wire.ApplicationBatch
}

func (s *script) Context() context.Context { return s.ctx }

func (s *script) Send(*wire.RuntimeBatch) error { return nil }

func (s *script) Recv() (*wire.ApplicationBatch, error) {
	if len(s.batches) == 0 {
		return nil, context.Canceled
	}
	b := s.batches[0]
	s.batches = s.batches[1:]
	return b, nil
}

// Whatever an application says, its stream ends in good order and leaves no registration.
func FuzzFrames(f *testing.F) {
	seed := func(frames ...*wire.ApplicationFrame) {
		b, err := proto.Marshal(&wire.ApplicationBatch{Frames: frames})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	m := message.Message{Type: message.Read, From: "hyperty://example.com/a", To: "hyperty://example.com/a"}
	register := &wire.ApplicationFrame{Frame: &wire.ApplicationFrame_Register{Register: &wire.Register{Ref: 1, Name: "a"}}}
	credit := &wire.ApplicationFrame{Frame: &wire.ApplicationFrame_Credit{Credit: &wire.Credit{Ref: 1, Units: 1 << 31}}}
	leave := &wire.ApplicationFrame{Frame: &wire.ApplicationFrame_Unregister{Unregister: &wire.Unregister{Ref: 1}}}
	seed(register, post(1, m.AppendBinary(nil)), credit, leave)
	seed(register, leave, leave, post(1, m.AppendBinary(nil)), register)
	seed(&wire.ApplicationFrame{}, credit)
	f.Fuzz(func(t *testing.T, text []byte) {
		var batch wire.ApplicationBatch
		if proto.Unmarshal(text, &batch) != nil {
			return
		}
		h := newHouse(t)
		s := &Server{o: Options{Backend: h}, log: nullLog, ending: map[string]chan struct{}{}}
		s.ctx, s.cancel = context.WithCancel(context.Background())
		s.grace, s.hurry = context.WithTimeout(context.Background(), 10*time.Second)
		defer s.hurry()
		defer s.cancel()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		hello := &wire.ApplicationBatch{Frames: []*wire.ApplicationFrame{{Frame: &wire.ApplicationFrame_Hello{Hello: &wire.Hello{Protocol: wire.Protocol}}}}}
		if err := s.Attach(&script{ctx: ctx, batches: []*wire.ApplicationBatch{hello, &batch}}); err == nil {
			t.Fatal("it ended well")
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.taken) > 0 {
			t.Fatal("left", h.taken)
		}
	})
}
