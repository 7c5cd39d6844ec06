package p2p

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A channel with nothing to say stays; a peer that says nothing is dead in time, where this side waits for it.
func TestStreamSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const silence = 12 * time.Second
		a, b := piped(t, StreamOptions{Silence: silence})
		defer a.Close()
		got := make(chan error, 2)
		for _, c := range []*StreamChannel{a, b} {
			go func() {
				_, err := c.Recv(context.Background())
				got <- err
			}()
		}
		time.Sleep(10 * silence)
		select {
		case err := <-got:
			t.Fatal("an idle channel has ended:", err)
		default:
		}
		_ = b.Close()
		<-got
		<-got

		x, y := net.Pipe() // the other end takes everything and says nothing
		dead := NewStreamChannel(x, StreamOptions{Name: "pipe", Silence: silence})
		defer dead.Close()
		go func() { _, _ = io.Copy(io.Discard, y) }()
		time.Sleep(10 * silence)
		if err := dead.Send(context.Background(), []byte("x")); err != nil {
			t.Fatal("nobody waited for the peer:", err)
		}
		began := time.Now()
		_, err := dead.Recv(context.Background())
		if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "dead") || took < silence || took > silence+silence/looks {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// A peer that takes nothing more, so that a sign of life for it blocks, is dead in time as well.
func TestStreamSilenceOfOneThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const silence = 12 * time.Second
		x, y := net.Pipe()
		defer y.Close()
		c := NewStreamChannel(x, StreamOptions{Name: "pipe", Silence: silence})
		defer c.Close()
		time.Sleep(silence) // nobody waits for the peer
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*silence)
		defer cancel()
		_, err := c.Recv(ctx)
		if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "dead") || took > silence+silence/looks {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// The context of a Send that has returned ends neither the signs of life nor the goodbye.
func TestStreamContextOfASendThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const silence = 12 * time.Second
		a, b := piped(t, StreamOptions{Silence: silence})
		frames, ended := make(chan string, 2), make(chan error, 1)
		go func() {
			for {
				frame, err := b.Recv(context.Background())
				if err != nil {
					ended <- err
					return
				}
				frames <- string(frame)
			}
		}()
		ctx, cancel := context.WithCancel(context.Background())
		if err := a.Send(ctx, []byte("first")); err != nil {
			t.Fatal(err)
		}
		cancel()
		time.Sleep(10 * silence)
		if err := a.Send(context.Background(), []byte("second")); err != nil {
			t.Fatal(err)
		}
		if first, second := <-frames, <-frames; first != "first" || second != "second" {
			t.Error(first, second)
		}
		_ = a.Close()
		if err := <-ended; err != io.EOF {
			t.Errorf("%v, want io.EOF", err)
		}
	})
}
