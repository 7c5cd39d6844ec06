package sdk

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/internal/link/linkpb"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/message"
)

// instance is one running instance of the stub.
type instance struct {
	server *linkServer
	number uint32
	start  Start
	lane   *link.Lane // its messages
	doors  *doors
	bus    *instanceBus

	ctx    context.Context
	cancel context.CancelFunc
}

// newInstance makes an instance; its lane exists from now on, so that no message is lost.
func newInstance(s *linkServer, number uint32, f *linkpb.Start) (*instance, error) {
	start, err := startOf(f)
	if err != nil {
		return nil, err
	}
	i := &instance{server: s, number: number, start: start, lane: s.conn.Lane(number, 0)}
	i.ctx, i.cancel = context.WithCancel(s.ctx)
	// While a plug-in is reloaded this instance has a twin in another process, whose messages have other IDs.
	i.doors = &doors{conn: s.conn, instance: number, owner: start.URL, byURL: map[message.URL]*door{}}
	i.bus = &instanceBus{MiniBus: minibus.New(minibus.Options{Out: i.out, Last: rand.Uint64N(1 << 50)}), listening: make(chan struct{})}
	i.start.Doors = i.doors
	i.start.Log = s.log.With("stub", string(start.URL))
	return i, nil
}

// run is the instance's life. A panic of the stub is not caught: it is to end the process.
func (i *instance) run(ctx context.Context) {
	i.server.conn.Control(&linkpb.Frame{Instance: i.number, Kind: &linkpb.Frame_Started{Started: &linkpb.Started{}}})
	delivering, stop := context.WithCancel(context.WithoutCancel(ctx))
	var pump sync.WaitGroup
	pump.Go(func() { i.deliver(delivering) })
	err := i.server.stub.Run(i.ctx, i.bus, i.start)
	if i.ctx.Err() != nil {
		err = nil // it was asked to end, and did
	}
	i.cancel()
	stop()
	i.doors.close()
	i.bus.Close()
	pump.Wait()
	i.lane.Close()
	i.server.forget(i.number, err)
}

// deliver gives the bus what comes from the core, from the instance's first use of the bus on: a stub also gets the messages
// that came before it listened.
func (i *instance) deliver(ctx context.Context) {
	select {
	case <-i.bus.listening:
	case <-ctx.Done():
		return
	}
	for {
		frames, err := i.lane.Recv(ctx)
		if err != nil {
			return
		}
		for _, f := range frames {
			m, err := message.ParseBinary(f.Payload)
			if err != nil {
				i.start.Log.Error("a message from the core is dropped", "error", err)
				continue
			}
			if !i.bus.Deliver(ctx, m) && m.Type != message.Response && ctx.Err() == nil {
				_ = i.out(ctx, m.Refuse(message.CodeNotFound, "nobody listens to %s in this stub", m.To))
			}
		}
	}
}

func (i *instance) out(ctx context.Context, m message.Message) error {
	return i.lane.Send(ctx, Frame{Payload: m.AppendBinary(nil)})
}

// instanceBus is the MiniBus that a stub is given.
type instanceBus struct {
	*minibus.MiniBus
	once      sync.Once
	listening chan struct{} // closed when the stub listens, or waits for a response
}

func (b *instanceBus) Listen(at message.URL, h message.Handler) (stop func()) {
	stop = b.MiniBus.Listen(at, h)
	b.once.Do(func() { close(b.listening) })
	return stop
}

func (b *instanceBus) Request(ctx context.Context, m message.Message) (message.Message, error) {
	b.once.Do(func() { close(b.listening) })
	return b.MiniBus.Request(ctx, m)
}

// errorText is err as it may travel: bounded, and UTF-8.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	text := strings.ToValidUTF8(err.Error(), "?")
	if len(text) > 4096 {
		text = strings.ToValidUTF8(text[:4096], "") + "…"
	}
	return text
}
