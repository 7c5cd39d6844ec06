package stub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// The stub's times.
const (
	giveUp     = 3 * time.Second // what waits this long without a connection is given up
	pingEvery  = 3 * time.Second
	pingTime   = 5 * time.Second
	firstPause = 100 * time.Millisecond
	longPause  = 2 * time.Second
	eagerPause = 300 * time.Millisecond // the longest pause while there is traffic
	steady     = 5 * time.Second        // a connection that held this long resets the pauses
	sayAgain   = time.Minute            // before the same problem is logged again
	yielding   = 2 * time.Second        // after a newer connection of this runtime has replaced this one
)

// closeReplaced is the node's close code for a connection that a newer one of the same runtime replaces (see
// ../wire/PROTOCOL.md).
const closeReplaced websocket.StatusCode = 4001

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

	status message.Status            // the last one posted; used by stayConnected alone
	told   map[message.URL]time.Time // when <stub>/unreachable was last posted; used by the reader alone
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
	case m.To.Within(i.start.URL): // an answer to a status event, or to nothing
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

// execute answers messages to the stub itself: it connects by itself and needs no commands.
func (i *instance) execute(ctx context.Context, m message.Message) {
	if m.Type != message.Response {
		i.post(ctx, m.Refuse(message.CodeBadRequest, "a Message Node stub connects by itself; it takes no %s", m.Type))
	}
}

// refuse answers a message that cannot be sent. The answer is from the address that the message was for, as
// every response is.
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

// lossText says why a connection was lost, for the status event; if the node has closed it, that is its reason.
func lossText(err error) string {
	var closed websocket.CloseError
	if errors.As(err, &closed) && closed.Reason != "" {
		return closed.Reason
	}
	return err.Error()
}

// keyProof is the answer of <runtime>/identity.
type keyProof struct {
	Key       []byte `json:"key"`
	Signature []byte `json:"signature"`
}

// sign asks the core to sign a challenge; the key never leaves the core.
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
