package p2p

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// memory is the network of the transports in memory: it joins a pair of descriptions by a channel.
type memory struct {
	mu       sync.Mutex
	made     int
	channels map[string][2]*memChannel
}

// memTransport is a transport in memory whose behaviour a test chooses.
type memTransport struct {
	ether      *memory
	candidates int           // it sends
	every      time.Duration // between two
	expects    int           // candidates of the other side, before it is connected
	fail       error         // Connect fails with it, after the description
	hang       bool          // Connect never succeeds
	eager      bool          // as Handler it describes itself before it has read the offer, which must be the first of all
	mute       bool          // it never sends a description
	describe   json.RawMessage
	meddle     func(c Channel, role Role) Channel // with the channel of each connection

	mu     sync.Mutex
	made   []*memChannel
	closed bool
	got    []Signal
	peers  []Peer
}

func (t *memTransport) new(Config) (Transport, error) { return t, nil }

func (t *memTransport) Connect(ctx context.Context, peer Peer, signals Signals) (Channel, error) {
	t.mu.Lock()
	t.peers = append(t.peers, peer)
	t.mu.Unlock()
	if t.mute {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var theirs Signal
	var err error
	if t.eager {
		name := message.Encode(map[string]string{"name": "offer-1"})
		if err := signals.Send(ctx, Signal{Description, name}); err != nil {
			return nil, err
		}
		if _, err := t.recv(ctx, signals, Description); err != nil {
			return nil, err
		}
		return t.meet(ctx, "offer-1", peer.Role)
	}
	if peer.Role == Handler {
		if theirs, err = t.recv(ctx, signals, Description); err != nil {
			return nil, err
		}
	}
	t.ether.mu.Lock()
	t.ether.made++
	name := fmt.Sprint("offer-", t.ether.made)
	t.ether.mu.Unlock()
	if peer.Role == Handler {
		var offer struct{ Name string }
		_ = json.Unmarshal(theirs.Value, &offer)
		name = offer.Name
	}
	value := t.describe
	if value == nil {
		value = message.Encode(map[string]string{"name": name, "certificate": "good"})
	}
	if err := signals.Send(ctx, Signal{Description, value}); err != nil {
		return nil, err
	}
	if t.fail != nil {
		return nil, t.fail
	}
	if t.hang {
		<-ctx.Done()
		return nil, errors.New("no way to the peer")
	}
	sent := make(chan error, 1)
	go func() { sent <- t.trickle(ctx, signals) }()
	if peer.Role == Requester {
		_, err = t.recv(ctx, signals, Description)
	}
	for i := 0; i < t.expects && err == nil; i++ {
		_, err = t.recv(ctx, signals, Candidate)
	}
	if err2 := <-sent; err == nil {
		err = err2
	}
	if err != nil {
		return nil, err
	}
	return t.meet(ctx, name, peer.Role)
}

func (t *memTransport) trickle(ctx context.Context, signals Signals) error {
	for i := range t.candidates {
		select {
		case <-time.After(t.every):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := signals.Send(ctx, Signal{Candidate, message.Encode(map[string]int{"number": i})}); err != nil {
			return err
		}
	}
	return nil
}

func (t *memTransport) recv(ctx context.Context, signals Signals, kind SignalKind) (Signal, error) {
	s, err := signals.Recv(ctx)
	if err != nil {
		return s, err
	}
	t.mu.Lock()
	t.got = append(t.got, s)
	t.mu.Unlock()
	if s.Kind != kind {
		return s, fmt.Errorf("signal %v of kind %d, want %d", s.Value, s.Kind, kind)
	}
	return s, nil
}

// meet returns this side's end of the channel with the name when the other side is there too.
func (t *memTransport) meet(ctx context.Context, name string, role Role) (Channel, error) {
	c := t.end(name, role)
	select {
	case c.end.here[role] <- struct{}{}:
	default:
	}
	select {
	case <-c.end.here[1-role]:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.made = append(t.made, c)
	if t.meddle != nil {
		return t.meddle(c, role), nil
	}
	return c, nil
}

func (t *memTransport) end(name string, role Role) *memChannel {
	t.ether.mu.Lock()
	defer t.ether.mu.Unlock()
	if t.ether.channels == nil {
		t.ether.channels = map[string][2]*memChannel{}
	}
	ends, ok := t.ether.channels[name]
	if !ok {
		there, back, ended := make(chan []byte, 4), make(chan []byte, 4), make(chan struct{})
		why := &memEnd{ended: ended, here: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}}
		ends = [2]*memChannel{{in: back, out: there, end: why}, {in: there, out: back, end: why}}
		t.ether.channels[name] = ends
	}
	return ends[role]
}

func (t *memTransport) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return nil
}

// last is the channel that was made last.
func (t *memTransport) last() *memChannel {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.made) == 0 {
		return nil
	}
	return t.made[len(t.made)-1]
}

// memEnd is how a channel ended, for both ends.
type memEnd struct {
	once  sync.Once
	ended chan struct{}
	here  [2]chan struct{} // a token when that side's Connect has come
	err   error
}

func (e *memEnd) with(err error) {
	e.once.Do(func() {
		e.err = err
		close(e.ended)
	})
}

type memChannel struct {
	in, out chan []byte
	end     *memEnd
}

func (c *memChannel) Send(ctx context.Context, frames ...[]byte) error {
	for _, f := range frames {
		select {
		case <-c.end.ended:
			return c.end.err
		default:
		}
		select {
		case c.out <- append([]byte(nil), f...):
		case <-c.end.ended:
			return c.end.err
		case <-ctx.Done():
			c.kill() // a transport may do so
			return ctx.Err()
		}
	}
	return nil
}

func (c *memChannel) Recv(ctx context.Context) ([]byte, error) {
	select {
	case f := <-c.in:
		return f, nil
	case <-c.end.ended:
		return nil, c.end.err
	case <-ctx.Done():
		c.kill()
		return nil, ctx.Err()
	}
}

func (c *memChannel) Close() error {
	c.end.with(io.EOF)
	return nil
}

// kill ends the channel as the network would.
func (c *memChannel) kill() { c.end.with(errors.New("no sign of life")) }

// fakeDoors are the doors of an instance, with the core's side of them.
type fakeDoors struct {
	mu   sync.Mutex
	open map[message.URL]*fakeDoor
}

func (d *fakeDoors) Open(url message.URL) (sdk.Door, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[url] != nil {
		return nil, errors.New("the door is open")
	}
	door := &fakeDoor{doors: d, url: url, toStub: make(chan []byte, 64), toCore: make(chan []byte, 64), closed: make(chan struct{})}
	d.open[url] = door
	return door, nil
}

func (d *fakeDoors) at(url message.URL) *fakeDoor {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open[url]
}

func (d *fakeDoors) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.open)
}

type fakeDoor struct {
	doors          *fakeDoors
	url            message.URL
	toStub, toCore chan []byte
	closed         chan struct{}
}

func (d *fakeDoor) Recv(ctx context.Context) ([]sdk.Frame, error) {
	select {
	case p := <-d.toStub:
		frames := []sdk.Frame{{Payload: p}}
		for len(d.toStub) > 0 {
			frames = append(frames, sdk.Frame{Payload: <-d.toStub})
		}
		return frames, nil
	case <-d.closed:
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *fakeDoor) Send(ctx context.Context, frames ...sdk.Frame) error {
	for _, f := range frames {
		select {
		case d.toCore <- append([]byte(nil), f.Payload...):
		case <-d.closed:
			return io.EOF
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (d *fakeDoor) Close() error {
	d.doors.mu.Lock()
	defer d.doors.mu.Unlock()
	if d.doors.open[d.url] == d {
		delete(d.doors.open, d.url)
		close(d.closed)
	}
	return nil
}
