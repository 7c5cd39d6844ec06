package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/quic-go/quic-go"
)

const (
	floodTime = time.Second // length of one attack, if the peer does not end it
	bulk      = 64 << 10
)

// attack is one kind of attack. run goes on until c or ctx has ended, and returns the number of attempts.
type attack struct {
	name string
	run  func(ctx context.Context, c *channel) uint64
}

func attacks() []attack {
	return []attack{
		{"other streams", func(ctx context.Context, c *channel) uint64 {
			c.permit("outgoingBidiStreams")
			return c.opens(ctx, func() (io.Writer, error) { return c.conn.OpenStream() })
		}},
		{"one byte at a time", oneByOne},
		{"nothing is read", func(ctx context.Context, _ *channel) uint64 { <-ctx.Done(); return 0 }},
		{"streams of one direction", func(ctx context.Context, c *channel) uint64 {
			c.permit("outgoingUniStreams")
			return c.opens(ctx, func() (io.Writer, error) { return c.conn.OpenUniStream() })
		}},
		{"frames of nothing", nothing},
	}
}

// permit makes the library open any number of streams of a kind, beyond what the peer has allowed.
func (c *channel) permit(kind string) {
	inside := func(v reflect.Value, name string) reflect.Value {
		f := v.Elem().FieldByName(name)
		return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
	}
	streams := inside(inside(reflect.ValueOf(c.conn), "streamsMap"), kind)
	lock := inside(streams, "mutex").Addr().Interface().(*sync.RWMutex)
	lock.Lock()
	defer lock.Unlock()
	inside(streams, "maxStream").SetInt(1 << 40)
}

func (c *channel) opens(ctx context.Context, open func() (io.Writer, error)) (n uint64) {
	for ; ctx.Err() == nil; n++ {
		stream, err := open()
		if err != nil {
			break
		}
		if _, err := stream.Write([]byte{1}); err != nil {
			break
		}
	}
	<-ctx.Done()
	return n
}

// oneByOne sends frames of one byte, each byte in a STREAM frame of its own.
func oneByOne(ctx context.Context, c *channel) (n uint64) {
	for ctx.Err() == nil {
		c.mu.Lock()
		for _, b := range []byte{1, 'x'} {
			sent := c.conn.ConnectionStats().PacketsSent
			if _, err := c.stream.Write([]byte{b}); err == nil {
				n++
			}
			for c.conn.ConnectionStats().PacketsSent == sent && ctx.Err() == nil {
				runtime.Gosched()
			}
		}
		c.mu.Unlock()
	}
	return n
}

// nothing sends empty frames, each of which takes one byte.
func nothing(ctx context.Context, c *channel) (n uint64) {
	empty := make([]byte, bulk)
	_ = c.stream.SetWriteDeadline(time.Now().Add(floodTime))
	for ctx.Err() == nil {
		c.mu.Lock()
		k, _ := c.stream.Write(empty)
		n += uint64(k)
		c.mu.Unlock()
	}
	return n
}

// channel is a live connection.
type channel struct {
	f      *flooder
	conn   *quic.Conn
	stream *quic.Stream
	begun  bool // the other side's proof has arrived

	mu sync.Mutex // held while a frame is written
}

// Send sends the core's frames unchanged.
func (c *channel) Send(_ context.Context, frames ...[]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range frames {
		if _, err := c.stream.Write(append(binary.AppendUvarint(nil, uint64(len(f))), f...)); err != nil {
			return err
		}
	}
	return nil
}

// Recv returns the proof. After that it attacks, and reads no more.
func (c *channel) Recv(ctx context.Context) ([]byte, error) {
	if !c.begun {
		c.begun = true
		var size [1]byte // of a proof: less than 128 bytes
		if _, err := io.ReadFull(c.stream, size[:]); err != nil {
			return nil, err
		}
		proof := make([]byte, size[0])
		_, err := io.ReadFull(c.stream, proof)
		return proof, err
	}
	list := attacks()
	a := list[(c.f.live.Add(1)-1)%uint64(len(list))]
	ctx, cancel := context.WithTimeout(ctx, floodTime)
	defer cancel()
	defer context.AfterFunc(c.conn.Context(), cancel)()
	n := a.run(ctx, c)
	return nil, errors.Join(fmt.Errorf("%s: done", a.name), c.f.Note(a.name, n))
}

// Close ends the connection.
func (c *channel) Close() error { return c.conn.CloseWithError(0, "") }
