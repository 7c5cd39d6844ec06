package stub

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
)

// connect dials the node and proves the runtime's identity.
func (i *instance) connect(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	ws, response, err := websocket.Dial(ctx, i.config.URL, &websocket.DialOptions{HTTPClient: i.client, Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		if response != nil && response.StatusCode != 101 {
			return nil, fmt.Errorf("%s answered %s; is this the protofly.v1 endpoint of a Message Node?", i.config.URL, response.Status)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %v", connectTime)
		}
		return nil, fmt.Errorf("connect to %s: %w", i.config.URL, err)
	}
	ws.SetReadLimit(wire.MaxPacket)
	if ws.Subprotocol() != wire.Subprotocol {
		err = fmt.Errorf("it does not speak %s", wire.Subprotocol)
	} else {
		err = i.prove(ctx, ws)
	}
	if err != nil {
		ws.CloseNow()
		return nil, fmt.Errorf("handshake with %s: %w", i.config.URL, err)
	}
	return ws, nil
}

// prove answers the node's challenge and waits until it welcomes the runtime.
func (i *instance) prove(ctx context.Context, ws *websocket.Conn) error {
	for {
		_, packet, err := ws.Read(ctx)
		if err != nil {
			return err
		}
		for len(packet) > 0 {
			kind, body, rest, err := wire.Next(packet)
			if err != nil {
				return err
			}
			packet = rest
			switch kind {
			case wire.KindChallenge:
				if err := i.answer(ctx, ws, body); err != nil {
					return err
				}
			case wire.KindRefused:
				refused := &wire.Refused{}
				if err := wire.ParseHandshake(body, refused); err != nil {
					return err
				}
				return refused
			case wire.KindWelcome:
				if len(packet) > 0 {
					return i.frames(ctx, packet)
				}
				return nil
			}
		}
	}
}

func (i *instance) answer(ctx context.Context, ws *websocket.Conn, body []byte) error {
	var c wire.Challenge
	if err := wire.ParseHandshake(body, &c); err != nil {
		return err
	}
	if !strings.EqualFold(c.Domain, i.start.Domain) {
		return fmt.Errorf("the node serves %.200q, not %s", c.Domain, i.start.Domain)
	}
	if len(c.Challenge) != wire.ChallengeSize {
		return fmt.Errorf("a challenge of %d bytes, want %d", len(c.Challenge), wire.ChallengeSize)
	}
	p, err := i.sign(ctx, base64.StdEncoding.EncodeToString(c.Challenge))
	if err != nil {
		return err
	}
	proof := wire.AppendHandshake(nil, wire.KindProof, wire.Proof{Runtime: i.start.Runtime, Key: p.Key, Signature: p.Signature})
	return ws.Write(ctx, websocket.MessageBinary, wire.AppendGrease(proof))
}
