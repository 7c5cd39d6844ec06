package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

func randomText() string { return strings.ToLower(rand.Text()) }

// probes are applications that come and go at bob's runtime, and questions of alice's to them: each makes her runtime
// read the Domain Registry.
type probes struct {
	b      *bed
	marker string
	cancel context.CancelFunc
	wg     sync.WaitGroup

	answered, refused int // read when stop has returned
}

const (
	probePause = 50 * time.Millisecond
	probeTime  = 5 * time.Second
)

// probe begins to ask.
func (b *bed) probe(ctx context.Context, f foe) *probes {
	p := &probes{b: b, marker: f.marker}
	ctx, p.cancel = context.WithCancel(ctx)
	p.wg.Go(func() {
		for n := 0; wait(ctx, probePause) == nil; n++ {
			p.ask(ctx, fmt.Sprintf("probe-%d", n))
		}
	})
	return p
}

func (p *probes) stop() {
	p.cancel()
	p.wg.Wait()
}

// answerTo is the answer, which only the application that was asked can give, since it knows the marker.
func (p *probes) answerTo(question string) string {
	sum := sha256.Sum256([]byte(p.marker + question))
	return hex.EncodeToString(sum[:])
}

// ask registers an application and asks it something. A refusal is an answer, a wrong answer is a forged one.
func (p *probes) ask(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	app, err := p.b.sides[1].client.Register(ctx, hyperty.Registration{Name: name})
	if err != nil {
		p.refused++
		return
	}
	defer func() { _ = app.Close(context.WithoutCancel(ctx)) }()
	app.Handle(func(ctx context.Context, m hyperty.Received) {
		var body struct{ Question string }
		if m.Decode(&body) == nil && strings.HasPrefix(body.Question, p.marker) {
			_ = m.Answer(ctx, p.answerTo(body.Question)) // after an error the asker's request times out
		}
	})
	question := p.marker + randomText()
	result, err := p.b.sides[0].app.Request(ctx, app.URL(), message.Read, map[string]string{"question": question})
	switch {
	case err != nil:
		p.refused++
	case strings.Trim(string(result.Value), `"`) == p.answerTo(question):
		p.answered++
	default:
		p.b.result.fail("the answer of %s is forged: %.100s", name, result.Value)
	}
}
