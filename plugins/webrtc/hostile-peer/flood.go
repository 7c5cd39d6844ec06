package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/webrtc/v3"

	"github.com/protofly/protofly/plugins/webrtc/internal/rawsctp"
)

const (
	label       = "P2PChannel"            // of the honest plug-in's data channel
	floodTime   = 1500 * time.Millisecond // of one attack, where the peer does not end it
	largest     = 16 << 10                // of a message
	maxBuffered = 256 << 10
	chunks      = 48 // in a packet
)

// attack is one kind of attack. run goes on until c or ctx has ended, and returns the number of attempts.
type attack struct {
	name string
	run  func(ctx context.Context, c *channel) uint64
}

func attacks() []attack {
	list := []attack{{"other channels", otherChannels}, {"messages of one byte", tiny}, {"nothing is read", func(ctx context.Context, _ *channel) uint64 {
		<-ctx.Done()
		return 0
	}}}
	for _, raw := range rawsctp.Attacks() {
		list = append(list, attack{raw.Name, func(ctx context.Context, c *channel) uint64 { return unreadable(ctx, c, raw) }})
	}
	return list
}

func otherChannels(ctx context.Context, c *channel) (n uint64) {
	for ; ctx.Err() == nil; n++ {
		other, err := c.pc.CreateDataChannel(fmt.Sprint("other", n), nil)
		if err != nil {
			break
		}
		other.OnOpen(func() {
			if s, err := other.Detach(); err == nil {
				_, _ = s.Write(make([]byte, largest))
			}
		})
	}
	<-ctx.Done()
	return n
}

// tiny sends frames of one byte, each byte in a message of its own.
func tiny(ctx context.Context, c *channel) (n uint64) {
	frame := []byte{0, 0, 0, 1, 'x'}
	for ctx.Err() == nil {
		c.mu.Lock()
		for i := range frame {
			if c.put(ctx, frame[i:i+1]) == nil {
				n++
			}
		}
		c.mu.Unlock()
	}
	return n
}

// unreadable writes packets that the library never sends.
func unreadable(ctx context.Context, c *channel, raw rawsctp.Attack) uint64 {
	c.raw.Store(true)
	end, err := rawsctp.New(c.pc)
	if err != nil {
		return 0
	}
	packet, next := make([][]byte, chunks), uint32(0)
	for ctx.Err() == nil {
		for i := range packet {
			packet[i] = raw.Chunk(end, next)
			next++
		}
		if end.Write(packet...) != nil {
			break
		}
	}
	<-ctx.Done()
	return uint64(next)
}

// channel is a live connection.
type channel struct {
	f      *flooder
	pc     *webrtc.PeerConnection
	stream *datachannel.DataChannel
	begun  bool            // the other side's proof has arrived
	over   context.Context // ends with the connection
	raw    atomic.Bool     // the library sends no more

	mu sync.Mutex // held while a frame is written
}

// put writes one message.
func (c *channel) put(ctx context.Context, b []byte) error {
	for c.stream.BufferedAmount() > maxBuffered {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	_, err := c.stream.Write(b)
	return err
}

// Send sends the core's frames unchanged.
func (c *channel) Send(ctx context.Context, frames ...[]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range frames {
		f = append(binary.BigEndian.AppendUint32(nil, uint32(len(f))), f...)
		for len(f) > 0 && !c.raw.Load() {
			n := min(len(f), largest)
			if err := c.put(ctx, f[:n]); err != nil {
				return err
			}
			f = f[n:]
		}
	}
	return nil
}

// Recv returns the proof. After that it attacks, and reads no more.
func (c *channel) Recv(ctx context.Context) ([]byte, error) {
	if !c.begun {
		c.begun = true
		b := make([]byte, largest)
		n, err := c.stream.Read(b)
		if err != nil || n < 4 {
			return nil, fmt.Errorf("no proof: %d bytes, %w", n, err)
		}
		return b[4:n], nil
	}
	list := attacks()
	a := list[(c.f.live.Add(1)-1)%uint64(len(list))]
	ctx, cancel := context.WithTimeout(ctx, floodTime)
	defer cancel()
	defer context.AfterFunc(c.over, cancel)()
	n := a.run(ctx, c)
	return nil, errors.Join(fmt.Errorf("%s: done", a.name), c.f.Note(a.name, n))
}

// Close ends the connection.
func (c *channel) Close() error { return c.pc.Close() }
