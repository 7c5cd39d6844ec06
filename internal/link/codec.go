package link

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"github.com/protofly/protofly/internal/buffers"
)

// outBatch and inBatch are the messages that a [Conn] gives to and takes from its stream: bytes of a Batch.
type (
	outBatch struct{ data *[]byte }
	inBatch  struct{ data []byte }
)

// codec is gRPC's protobuf codec, except for our two types, whose bytes are made and read by hand. The wire is the same.
type codec struct {
	encoding.CodecV2
}

// newCodec makes the codec of one link.
func newCodec() codec {
	return codec{CodecV2: encoding.GetCodecV2(proto.Name)}
}

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.(*outBatch); ok {
		return mem.BufferSlice{mem.NewBuffer(b.data, batchPool{})}, nil
	}
	return c.CodecV2.Marshal(v)
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*inBatch)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	b.data = make([]byte, data.Len()) // its frames are handed on without a copy
	data.CopyTo(b.data)
	return nil
}

// batchPool is internal/buffers as gRPC's interface of a pool: batches are built in its buffers, and given back when gRPC has
// written them.
type batchPool struct{}

const smallestBatch = 4 << 10 // the room that each has at least

// Get returns an empty buffer with room for n bytes.
func (batchPool) Get(n int) *[]byte { return buffers.Get(max(n, smallestBatch)) }

// Put takes a buffer back.
func (batchPool) Put(b *[]byte) { buffers.Put(b) }

// ServerOptions are the gRPC options of a plug-in's server: our codec and limits.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(MaxBatch), grpc.MaxSendMsgSize(MaxBatch),
		grpc.InitialWindowSize(streamWindow), grpc.InitialConnWindowSize(2 * streamWindow),
		grpc.WriteBufferSize(ioBuffer), grpc.ReadBufferSize(ioBuffer),
	}
}

// DialOptions are the gRPC options of the host's client: the same limits.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxBatch), grpc.MaxCallSendMsgSize(MaxBatch)),
		grpc.WithInitialWindowSize(streamWindow), grpc.WithInitialConnWindowSize(2 * streamWindow),
		grpc.WithWriteBufferSize(ioBuffer), grpc.WithReadBufferSize(ioBuffer),
		grpc.WithDisableRetry(),
	}
}

const (
	streamWindow = 2 << 20
	ioBuffer     = 64 << 10
)
