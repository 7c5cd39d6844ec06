package api

import (
	"context"
	"io"
	"net"
	"slices"
	"testing"

	wire "github.com/protofly/protofly/internal/apiwire"
	"github.com/protofly/protofly/sdk/message"
)

// Whatever an application says, its stream ends in good order and leaves no registration.
func FuzzStream(f *testing.F) {
	m := message.Message{Type: message.Read, From: "hyperty://example.com/a", To: "hyperty://example.com/a"}
	post, _ := wire.AppendMessage(nil, 1, true, &m)
	register := wire.AppendControl(nil, &wire.ApplicationFrame{Frame: &wire.ApplicationFrame_Register{Register: &wire.Register{Ref: 1, Name: "a"}}})
	credit := (&wire.Credit{Ref: 1, Units: 1 << 31, Responses: 1 << 31}).Append(nil)
	leave := wire.AppendControl(nil, &wire.ApplicationFrame{Frame: &wire.ApplicationFrame_Unregister{Unregister: &wire.Unregister{Ref: 1}}})
	none := wire.AppendControl(nil, &wire.ApplicationFrame{})
	for _, seed := range [][][]byte{{register, post, credit, leave}, {register, leave, leave, post, register}, {none, credit}, {post[:7]}} {
		var text []byte
		for _, record := range seed {
			text = append(text, record...)
		}
		f.Add(text)
	}
	hello := wire.AppendControl(nil, &wire.ApplicationFrame{Frame: &wire.ApplicationFrame_Hello{Hello: &wire.Hello{Protocol: wire.Protocol}}})
	f.Fuzz(func(t *testing.T, text []byte) {
		h := newHouse(t)
		s := newShared(Options{Backend: h})
		defer context.AfterFunc(limit(t), s.hurry)()
		defer s.hurry()
		defer s.cancel()
		ours, theirs := net.Pipe()
		said := make(chan struct{})
		go func() {
			defer close(said)
			_, _ = theirs.Write(slices.Concat(hello, text))
			_ = theirs.Close()
		}()
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(io.Discard, theirs)
		}()
		s.application(ours)
		<-said
		<-read
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.taken) > 0 {
			t.Fatal("left", h.taken)
		}
	})
}
