package link

import (
	"math/bits"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// outBatch and inBatch are the messages that a [Conn] gives to and takes from its stream: bytes of a Batch.
type (
	outBatch struct{ data *[]byte }
	inBatch  struct{ data []byte }
)

// codec is gRPC's protobuf codec, but for our two types, whose bytes are made and read by hand. On the wire nothing
// differs.
type codec struct {
	encoding.CodecV2
	pool *batchPool
}

// newCodec makes the codec of one link.
func newCodec() codec {
	return codec{CodecV2: encoding.GetCodecV2(proto.Name), pool: &batches}
}

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.(*outBatch); ok {
		return mem.BufferSlice{mem.NewBuffer(b.data, c.pool)}, nil
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

// batchPool recycles the buffers that batches are built in, when gRPC has written them. It has a pool for each power
// of two, so that one large frame does not leave every idle link with a large buffer.
type batchPool struct{ bySize [32]sync.Pool }

var batches batchPool

const smallestBatch = 4 << 10

// Get returns an empty buffer with room for n bytes.
func (p *batchPool) Get(n int) *[]byte {
	class := bits.Len(uint(max(n, smallestBatch) - 1))
	if b, ok := p.bySize[class].Get().(*[]byte); ok {
		*b = (*b)[:0]
		return b
	}
	b := make([]byte, 0, 1<<class)
	return &b
}

// Put takes a buffer back.
func (p *batchPool) Put(b *[]byte) {
	if c := cap(*b); c >= smallestBatch && c <= 2*MaxBatch {
		p.bySize[bits.Len(uint(c))-1].Put(b)
	}
}

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
