package stub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// The stub's times.
const (
	connectTime = 5 * time.Second // to connect and prove the identity
	giveUp      = 3 * time.Second // what waits this long without a connection is given up
	pingEvery   = 3 * time.Second
	pingTime    = 5 * time.Second
	firstPause  = 100 * time.Millisecond
	longPause   = 2 * time.Second
	eagerPause  = 300 * time.Millisecond // a pause is no longer where there is traffic
	steady      = 5 * time.Second        // a connection that held this long resets the pauses
	sayAgain    = time.Minute            // before the same trouble is logged once more
	yielding    = 2 * time.Second        // after a newer connection of this runtime has replaced this one
)

// closeReplaced is the node's close code for a connection that a newer one of the same runtime replaces (see
// ../wire/PROTOCOL.md).
const closeReplaced websocket.StatusCode = 4001

// Stub is the Message Node stub; the zero value works. One process serves any number of instances.
type Stub struct{}

// Run is one instance; see [sdk.Stub]. The error is a configuration that cannot work, or a door that does not open.
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
	// The default listener first: with the first one the messages that wait for this instance come.
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

// instance serves one domain's node.
type instance struct {
	bus    message.Bus
	start  sdk.Start
	config Config
	client *http.Client
	door   sdk.Door
	out    *outbox

	address string      // the node's URL, as it may be shown
	header  http.Header // of the request to it: the user and the password that were in the URL

	status message.Status            // the last one posted; stayConnected's own
	told   map[message.URL]time.Time // when <stub>/unreachable was last posted; the reader's own
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
			if refused := (*wire.Refused)(nil); errors.As(err, &refused) && said != reported { // it is back, and does not want this runtime
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

// rest waits for a pause, or less where there is something to send.
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
		i.out.poke() // the sender is still to see it
	}
}

// yield waits before the node is tried again: a connection that was replaced, since two that take turns serve nobody, and
// one that the node does not want now. Traffic does not shorten it.
func (i *instance) yield(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// report posts a status event.
func (i *instance) report(ctx context.Context, s message.Status, desc string) {
	i.status = s
	body := struct {
		Value message.Status `json:"value"`
		Desc  string         `json:"desc,omitempty"`
	}{s, desc}
	i.post(ctx, message.Message{Type: message.Update, From: i.start.URL, To: i.start.URL.Join("status"), Body: message.Encode(body)})
}

func (i *instance) post(ctx context.Context, m message.Message) {
	if err := i.bus.Post(ctx, m); err != nil && ctx.Err() == nil {
		i.start.Log.Warn("not posted", "type", m.Type, "to", m.To, "error", err)
	}
}

// outgoing is the default listener: what it gets goes to the node.
func (i *instance) outgoing(ctx context.Context, m message.Message) {
	switch err := m.Check(); {
	case m.To.Within(i.start.URL): // an answer to a status event, or nobody's
		if m.Type != message.Response {
			i.post(ctx, m.Refuse(message.CodeNotFound, "%s is part of a stub and listens to nothing", m.To))
		}
	case m.Crossed(i.start.URL):
		i.start.Log.Debug("not sent in a loop", "from", m.From, "to", m.To)
	case err != nil:
		i.refuse(ctx, m, message.CodeTooLarge, err.Error())
	default:
		if why := i.out.push(ctx, m); why != nil && ctx.Err() == nil {
			i.refuse(ctx, m, message.CodeUnavailable, i.unreachable(why))
		}
	}
}

// execute takes what is addressed to the stub itself: it connects by itself and needs no commands.
func (i *instance) execute(ctx context.Context, m message.Message) {
	if m.Type != message.Response {
		i.post(ctx, m.Refuse(message.CodeBadRequest, "a Message Node stub connects by itself; it takes no %s", m.Type))
	}
}

// refuse answers a message that cannot be sent. The answer is in the name of whom the message was for, as every
// response is.
func (i *instance) refuse(ctx context.Context, m message.Message, code int, text string) {
	i.start.Log.Info("not sent", "type", m.Type, "to", m.To, "reason", text)
	if m.Type != message.Response {
		i.post(ctx, m.Refuse(code, "%s", text))
	}
}

func (i *instance) unreachable(why error) string {
	return fmt.Sprintf("the Message Node of %s (%s) cannot be reached: %v", i.start.Domain, i.address, why)
}

// expire answers what has waited too long for a connection.
func (i *instance) expire(ctx context.Context) {
	tick := time.NewTicker(giveUp / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		late, why := i.out.late(time.Now().Add(-giveUp))
		for _, m := range late {
			i.refuse(ctx, m, message.CodeUnavailable, i.unreachable(why))
		}
	}
}

// lossText says why a connection was lost, for the status event; a node's close says it best.
func lossText(err error) string {
	var closed websocket.CloseError
	if errors.As(err, &closed) && closed.Reason != "" {
		return closed.Reason
	}
	return err.Error()
}

// keyProof is what <runtime>/identity answers.
type keyProof struct {
	Key       []byte `json:"key"`
	Signature []byte `json:"signature"`
}

// sign has the core sign a challenge; the key never leaves it.
func (i *instance) sign(ctx context.Context, challenge string) (keyProof, error) {
	var p keyProof
	answer, err := i.bus.Request(ctx, message.Message{Type: message.Execute, From: i.start.URL, To: i.start.Runtime.Join("identity"),
		Body: message.Encode(map[string]any{"method": "sign", "params": []string{"message-node", i.start.Domain, challenge}})})
	if err != nil {
		return p, fmt.Errorf("have the challenge signed: %w", err)
	}
	value, err := answer.OK()
	if err == nil {
		err = json.Unmarshal(value, &p)
	}
	if err != nil {
		return p, fmt.Errorf("have the challenge signed: %w", err)
	}
	return p, nil
}
