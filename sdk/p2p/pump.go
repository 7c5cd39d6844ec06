package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk"
)

// Why a live connection ended, where it was neither the transport's error nor a command.
var (
	errPeerClosed = errors.New("closed by the other side")
	errDoorClosed = errors.New("the runtime has closed the connection's door")
	errNoDoor     = fmt.Errorf("the registry has not subscribed the connection within %v", doorTime)
)

// pump carries frames between a channel and the door that comes from doors, both ways and untouched, until one of
// them ends or ctx does. It says why, and has closed both when it returns. A channel's end is noticed also while
// there is no door yet, as long as the peer has sent nothing. The caller's goroutine carries one direction, since there are
// many connections that do little.
func pump(ctx context.Context, doors <-chan sdk.Door, channel Channel) (why error) {
	// The channel is closed before its calls' context ends: so the other side notices that.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var once sync.Once
	end := func(err error) {
		once.Do(func() {
			why = err
			_ = channel.Close()
			stop()
		})
	}
	var work sync.WaitGroup
	opened := make(chan sdk.Door, 1)
	work.Go(func() {
		door, err := waitDoor(running, doors)
		if err == nil {
			opened <- door
			err = pumpOut(running, channel, door)
		}
		end(err)
		if door != nil {
			_ = door.Close()
		}
	})
	work.Add(1)
	ended := context.AfterFunc(ctx, func() {
		defer work.Done()
		end(context.Cause(ctx))
	})
	end(pumpIn(running, channel, opened))
	if ended() {
		work.Done()
	}
	work.Wait()
	return why
}

// waitDoor waits for the door, for as long as the registry may take. A door that is there is taken in any case.
func waitDoor(ctx context.Context, doors <-chan sdk.Door) (sdk.Door, error) {
	select {
	case d := <-doors:
		return d, nil
	default:
	}
	late := time.NewTimer(doorTime)
	defer late.Stop()
	select {
	case d := <-doors:
		return d, nil
	case <-late.C:
		return nil, errNoDoor
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pumpIn carries what the peer sends to the core. A frame goes on at once: the link below puts together what waits.
func pumpIn(ctx context.Context, channel Channel, opened <-chan sdk.Door) error {
	var door sdk.Door
	for {
		payload, err := channel.Recv(ctx)
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return errPeerClosed
		}
		if err != nil {
			return err
		}
		if door == nil {
			select {
			case door = <-opened:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := door.Send(ctx, sdk.Frame{Payload: payload}); err != nil {
			return doorError(err)
		}
	}
}

// pumpOut carries what the core sends to the peer, all that is there at once.
func pumpOut(ctx context.Context, channel Channel, door sdk.Door) error {
	o := outgoing{channel: channel}
	pumped, ok := door.(sdk.Pumped)
	if !ok {
		for {
			frames, err := door.Recv(ctx)
			if err != nil {
				return doorError(err)
			}
			if err := o.send(ctx, frames); err != nil {
				return err
			}
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var prompt func(frames []sdk.Frame) bool
	if c, ok := channel.(Prompt); ok {
		prompt = func(frames []sdk.Frame) bool { return c.TrySend(o.payloads(frames)...) }
	}
	err := pumped.Pump(ctx, prompt, func(frames []sdk.Frame) {
		if err := o.send(ctx, frames); err != nil {
			stop(err)
		}
	})
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return doorError(err)
}

// outgoing is the way to the peer.
type outgoing struct {
	channel Channel
	batch   [][]byte
}

func (o *outgoing) send(ctx context.Context, frames []sdk.Frame) error {
	err := o.channel.Send(ctx, o.payloads(frames)...)
	clear(o.batch) // the payloads are not ours any more
	return err
}

func (o *outgoing) payloads(frames []sdk.Frame) [][]byte {
	o.batch = o.batch[:0]
	for _, f := range frames {
		o.batch = append(o.batch, f.Payload)
	}
	return o.batch
}

func doorError(err error) error {
	if errors.Is(err, io.EOF) {
		return errDoorClosed
	}
	return err
}
