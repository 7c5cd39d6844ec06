package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"regexp"

	"github.com/protofly/protofly/internal/cheat"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
)

// substitutes is in how many percent of the messages with something to substitute that is done. A set-up has several such
// messages. A kind that was not tried yet is tried at the first chance.
const substitutes = 6

var (
	certificate = regexp.MustCompile(`certificate[\\]*":[\\]*"([0-9a-f]{64})`)
	secretive   = regexp.MustCompile(`[0-9A-Za-z+=_-]{36,}`) // keys, signatures, hashes, tokens
)

// substitute sometimes alters a key, signature, hash or token in a text. It returns the altered text, or text itself.
func substitute(c *cheat.Cheat, text json.RawMessage) json.RawMessage {
	if at := certificate.FindSubmatchIndex(text); at != nil && (c.First("certificate") || c.IntN(200) < substitutes) {
		c.Count("certificate")
		out := append(json.RawMessage(nil), text...)
		hex.Encode(out[at[2]:at[3]], c.Bytes(32))
		return out
	}
	runs := secretive.FindAllIndex(text, -1)
	if len(runs) == 0 || !c.First("signal") && c.IntN(200) >= substitutes {
		return text
	}
	run := runs[c.IntN(len(runs))]
	c.Count("signal")
	out := append(json.RawMessage(nil), text...)
	for range 1 + c.IntN(8) {
		i := run[0] + c.IntN(run[1]-run[0])
		if out[i] == '0' {
			out[i] = '1'
		} else {
			out[i] = '0'
		}
	}
	return out
}

// tapped is the instance's MiniBus, with an attacker between it and the stub.
type tapped struct {
	message.Bus
	c *cheat.Cheat
}

// tap records a message and returns the one to pass on.
func (b tapped) tap(m message.Message) message.Message {
	if text, err := m.AppendJSON(nil); err == nil {
		b.c.Saw(text)
	}
	if len(m.Body) > 0 {
		m.Body = substitute(b.c, m.Body)
	}
	return m
}

func (b tapped) Post(ctx context.Context, m message.Message) error { return b.Bus.Post(ctx, b.tap(m)) }

func (b tapped) Request(ctx context.Context, m message.Message) (message.Message, error) {
	answer, err := b.Bus.Request(ctx, b.tap(m))
	if err == nil {
		answer = b.tap(answer)
	}
	return answer, err
}

func (b tapped) Listen(at message.URL, h message.Handler) (stop func()) {
	return b.Bus.Listen(at, func(ctx context.Context, m message.Message) { h(ctx, b.tap(m)) })
}

// signals does the same with the signals of a set-up.
type signals struct {
	p2p.Signals
	c *cheat.Cheat
}

func (s signals) Send(ctx context.Context, one p2p.Signal) error {
	one.Value = substitute(s.c, one.Value)
	return s.Signals.Send(ctx, one)
}

func (s signals) Recv(ctx context.Context) (p2p.Signal, error) {
	one, err := s.Signals.Recv(ctx)
	if err == nil {
		s.c.Saw(one.Value)
		one.Value = substitute(s.c, one.Value)
	}
	return one, err
}
