package link

import (
	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/internal/link/linkpb"
)

// Greet sends a plug-in's first frame. It always goes over the gRPC stream, and says whether the further frames do, or go over
// pipes.
func Greet(stream Stream, h *linkpb.Hello) error {
	f := &linkpb.Frame{Kind: &linkpb.Frame_Hello{Hello: h}}
	b := batchPool{}.Get(proto.Size(f) + frameCost)
	var err error
	if *b, err = appendControl(*b, f); err != nil {
		return err
	}
	return stream.SendMsg(&outBatch{data: b})
}

// Greeting waits for a plug-in's first frame.
func Greeting(stream Stream) (hello *linkpb.Hello, err error) {
	var b inBatch
	if err := stream.RecvMsg(&b); err != nil {
		return nil, err
	}
	err = parseBatch(b.data, func(f *frame) error {
		var control linkpb.Frame
		if err := proto.Unmarshal(f.raw, &control); err != nil {
			return violation("the first frame: %v", err)
		}
		if h := control.GetHello(); h != nil && hello == nil {
			hello = h
		}
		return nil
	})
	if err == nil && hello == nil {
		err = violation("its first frame is no Hello")
	}
	return hello, err
}
