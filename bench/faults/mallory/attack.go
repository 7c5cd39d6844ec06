package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

const (
	liveTime  = 4 * time.Second        // a connection that attacks: its set-up and the attack
	deedPause = 500 * time.Millisecond // after an attack: time to ask the attacked runtime why it ended the connection
	lookPause = 10 * time.Millisecond
	hungers   = 4 // requests at once
)

type options struct {
	socket, name, victims, asked, transport, deeds, report string

	pause  time.Duration
	hungry bool
}

// attacker is the attacking application.
type attacker struct {
	options
	app      *hyperty.Hyperty
	status   *api.Client
	answered atomic.Int64
	setUps   int
}

// attack goes on until ctx ends.
func attack(ctx context.Context, client *hyperty.Client, o options) error {
	a := &attacker{options: o}
	var err error
	if a.app, err = client.Register(ctx, hyperty.Registration{Name: o.name}); err != nil {
		return err
	}
	if a.status, err = api.Dial(ctx, o.socket); err != nil {
		return err
	}
	defer func() { _ = a.status.Close() }()
	asked := strings.Split(o.asked, ",")
	for _, one := range asked {
		if _, err := a.app.Request(ctx, message.URL(one), message.Read, nil); err != nil {
			return fmt.Errorf("no peer of %s: %w", one, err)
		}
	}
	fmt.Println("paired")
	var work sync.WaitGroup
	if o.hungry {
		for range hungers {
			work.Go(func() { a.ask(ctx, message.URL(asked[0])) })
		}
	}
	a.connect(ctx, strings.Split(o.victims, ","))
	work.Wait()
	text, err := json.Marshal(map[string]int64{"set_ups": int64(a.setUps), "answered": a.answered.Load()})
	if err != nil {
		return err
	}
	return os.WriteFile(o.report, text, 0o600)
}

// ask asks for large answers, one after the other.
func (a *attacker) ask(ctx context.Context, whom message.URL) {
	for ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		if _, err := a.app.Request(ctx, whom, message.Read, nil); err == nil {
			a.answered.Add(1)
		}
		cancel()
	}
}

// connect sets up connections with one victim after the other. In the end it gives them up.
func (a *attacker) connect(ctx context.Context, victims []string) {
	for ctx.Err() == nil {
		with := victims[a.setUps%len(victims)]
		a.setUps++
		began := time.Now()
		if err := a.use(ctx, with, a.transport); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "mallory:", err)
			wait(ctx, time.Second)
		} else if a.pause > 0 {
			wait(ctx, a.pause)
		} else {
			a.over(ctx, with, began)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for _, with := range victims {
		_ = a.use(ctx, with, "relay")
	}
}

// use makes the runtime use a way to a victim.
func (a *attacker) use(ctx context.Context, with, way string) error {
	_, err := a.app.Request(ctx, a.app.Runtime().Join("registry"), message.Execute, map[string]any{"method": "use", "params": []string{with, way}})
	return err
}

// over waits until a set-up has failed, or its connection has done its attack and has ended.
func (a *attacker) over(ctx context.Context, with string, began time.Time) {
	before, done := a.done(), false
	for ctx.Err() == nil && time.Since(began) < liveTime {
		wait(ctx, lookPause)
		if !done && a.done() > before {
			done = true
		}
		st, err := a.status.Status(ctx)
		if err != nil {
			continue
		}
		i := slices.IndexFunc(st.Connections, func(c api.Connection) bool { return string(c.Remote) == with && c.Since.After(began) })
		if i < 0 || st.Connections[i].State != message.Failed && st.Connections[i].State != message.Disconnected {
			continue
		}
		if done {
			wait(ctx, deedPause)
		}
		return
	}
}

// done is how many attacks the plug-in has noted.
func (a *attacker) done() int {
	text, _ := os.ReadFile(a.deeds) // no file: no attacks yet
	return bytes.Count(text, []byte("\n"))
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
