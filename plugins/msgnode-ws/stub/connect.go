package stub

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
)

// connect dials the node and proves the runtime's identity.
func (i *instance) connect(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	token, err := i.config.tokenFor(i.start.Domain) // before the dial, which a missing file makes useless
	if err != nil {
		return nil, err
	}
	ws, response, err := websocket.Dial(ctx, i.address, &websocket.DialOptions{HTTPClient: i.client, HTTPHeader: i.header, Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		if response != nil && response.StatusCode != 101 {
			return nil, statusError(i.address, response)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %v", connectTime)
		}
		return nil, fmt.Errorf("connect to %s: %w", i.address, err)
	}
	ws.SetReadLimit(wire.MaxPacket)
	if ws.Subprotocol() != wire.Subprotocol {
		err = fmt.Errorf("it does not speak %s", wire.Subprotocol)
	} else {
		err = i.prove(ctx, ws, token)
	}
	if err != nil {
		ws.CloseNow()
		return nil, fmt.Errorf("handshake with %s: %w", i.address, err)
	}
	return ws, nil
}

// prove answers the node's challenge and waits until it welcomes the runtime.
func (i *instance) prove(ctx context.Context, ws *websocket.Conn, token string) error {
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
				if err := i.answer(ctx, ws, body, token); err != nil {
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

func (i *instance) answer(ctx context.Context, ws *websocket.Conn, body []byte, token string) error {
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
	proof := wire.AppendHandshake(nil, wire.KindProof, wire.Proof{Runtime: i.start.Runtime, Key: p.Key, Signature: p.Signature, Token: token})
	return ws.Write(ctx, websocket.MessageBinary, wire.AppendGrease(proof))
}

// longRefusal is the longest time that a stub stays away because a node has asked for it.
const longRefusal = 5 * time.Minute

// laterError says that a node wants to be tried again after a while.
type laterError struct {
	error
	after time.Duration
}

func (e *laterError) Unwrap() error { return e.error }

// statusError is the error for a node's HTTP answer that is not a WebSocket.
func statusError(url string, r *http.Response) error {
	err := fmt.Errorf("%s answered %s; is this the protofly.v1 endpoint of a Message Node?", url, r.Status)
	if r.StatusCode != http.StatusTooManyRequests && r.StatusCode != http.StatusServiceUnavailable {
		return err
	}
	why, _ := io.ReadAll(io.LimitReader(r.Body, 200)) // as much as came; the library has read it
	err = fmt.Errorf("%s answered %s: %.200q", url, r.Status, strings.TrimSpace(string(why)))
	if s, parse := strconv.Atoi(r.Header.Get("Retry-After")); parse == nil && s > 0 {
		return &laterError{err, time.Duration(min(s, int(longRefusal/time.Second))) * time.Second}
	}
	return err
}

// stayAway is how long a node that refused wants to be left alone; 0: it did not say.
func stayAway(err error) time.Duration {
	if later := (*laterError)(nil); errors.As(err, &later) {
		return later.after
	}
	if refused := (*wire.Refused)(nil); errors.As(err, &refused) && refused.Retry > 0 {
		return time.Duration(min(refused.Retry, int(longRefusal/time.Second))) * time.Second
	}
	return 0
}
