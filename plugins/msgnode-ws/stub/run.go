package stub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Stub is the Message Node stub; the zero value works. One process serves any number of instances.
type Stub struct{}

// Run is one instance; see [sdk.Stub]. The error says that the configuration cannot work, or that the door does not open.
func (Stub) Run(ctx context.Context, bus message.Bus, start sdk.Start) error {
	config, err := ParseConfig(start.Config)
	if err != nil {
		return err
	}
	client, err := config.client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	i := &instance{bus: bus, start: start, config: config, client: client, out: newOutbox(), told: map[message.URL]time.Time{}}
	i.address, i.header = config.address()
	i.report(ctx, message.Created, "")
	if i.door, err = start.Doors.Open(start.URL); err != nil {
		return fmt.Errorf("message node stub: %w", err)
	}
	defer i.door.Close()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { i.expire(ctx) })
	// The default listener comes first: with the first listener, the messages that wait for this instance arrive.
	stops := []func(){bus.Listen(message.Default, i.outgoing), bus.Listen(start.URL, i.execute)}
	defer func() {
		cancel()
		i.out.close()
		for _, stop := range stops {
			stop()
		}
		wg.Wait()
	}()
	i.stayConnected(ctx)
	return ctx.Err()
}

// stayConnected connects, serves the connection, and begins again, until ctx ends.
func (i *instance) stayConnected(ctx context.Context) {
	pauses := backoff.Backoff{Min: firstPause, Max: longPause}
	var said, reported string
	var saidAt time.Time
	for ctx.Err() == nil {
		if i.status == message.Created || i.status == message.Failed {
			i.report(ctx, message.InProgress, "")
		}
		ws, err := i.connect(ctx)
		if err == nil {
			i.report(ctx, message.Live, "")
			reported = ""
			since := time.Now()
			err = i.serve(ctx, ws)
			if time.Since(since) > steady {
				pauses.Reset()
			}
		}
		if ctx.Err() != nil {
			return
		}
		i.out.fail(err)
		if why := err.Error(); why != said || time.Since(saidAt) > sayAgain {
			said, saidAt = why, time.Now()
			i.start.Log.Warn("no connection to the Message Node; it is tried again", "url", i.address, "error", err)
		}
		switch i.status {
		case message.Live:
			i.report(ctx, message.Disconnected, lossText(err))
		case message.InProgress:
			i.report(ctx, message.Failed, err.Error())
		case message.Disconnected:
			if refused := (*wire.Refused)(nil); errors.As(err, &refused) && said != reported { // the node is back, and does not admit this runtime
				reported = said
				i.report(ctx, message.Disconnected, said)
			}
		}
		if websocket.CloseStatus(err) == closeReplaced { // by the process that takes over from this one, most likely
			i.yield(ctx, yielding)
			continue
		}
		if away := stayAway(err); away > 0 {
			i.yield(ctx, away+rand.N(away/4))
			continue
		}
		i.rest(ctx, pauses.Next())
	}
}

// rest waits for a pause, which is shorter if there is something to send.
func (i *instance) rest(ctx context.Context, pause time.Duration) {
	long, short := time.NewTimer(pause), time.NewTimer(min(pause, eagerPause))
	defer long.Stop()
	defer short.Stop()
	select {
	case <-ctx.Done():
		return
	case <-short.C:
	}
	select {
	case <-ctx.Done():
	case <-long.C:
	case <-i.out.wake:
		i.out.poke() // the sender has not seen it yet
	}
}

// yield waits before the next try, after the connection was replaced (two stubs that replace each other serve nobody) or the
// node has refused it. Traffic does not shorten the wait.
func (i *instance) yield(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
