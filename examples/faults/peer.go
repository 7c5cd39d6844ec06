package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/examples/internal/rig"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// The attacks of a peer: mallory is a third runtime, with a key of its own, which is paired with the others. Its plug-in,
// which has the name of the one that is attacked, was written to do harm.

// evil is the member "hostile" of that plug-in's configuration.
type evil struct {
	Names  []string `json:"names,omitempty"` // addresses that it names as its own
	Flood  bool     `json:"flood,omitempty"`
	Report string   `json:"report"`
}

// deed is one line of its report.
type deed struct {
	Attack string `json:"attack"`
	Count  uint64 `json:"count"`
}

// mallory is the attacking runtime with its application.
type mallory struct {
	side
	b       *bed
	report  string
	greeted [2]message.URL // who answers at alice's and bob's runtime
	setUps  int            // that were commanded
	why     map[int]string // what the other side says of the end of the connection of each deed
}

const (
	greeting  = 48 << 10               // bytes of an answer to mallory
	setUpTime = 250 * time.Millisecond // that a set-up with false addresses is given
	liveTime  = 4 * time.Second        // a connection that attacks: its set-up and the attack
)

// malice is what a trial's attack of a peer has been prepared with.
type malice struct {
	plugins string            // folder of mallory's plug-ins
	listens [2]netip.AddrPort // where alice's and bob's P2P plug-ins listen
	strict  bool              // bob's sends nothing to loopback addresses
	targets []*target         // of datagrams
}

// installHostilePeer compiles the plug-in and gives mallory a folder of plug-ins with it.
func (b *bed) installHostilePeer(ctx context.Context) error {
	// For all trials: it is compiled once.
	program := filepath.Join(filepath.Dir(b.house.Bin.Runtime), "hostile-peer-"+b.transport)
	if err := rig.Compile(ctx, program, "plugins/"+b.transport+"/hostile-peer", ""); err != nil {
		return err
	}
	dir, err := b.ownPlugins(len(b.sides))
	if err == nil {
		_, err = catalogue.Install(ctx, program, dir)
	}
	b.peer.plugins = dir
	return err
}

// startMallory starts the runtime, and has both others' runtimes know it. It connects with nobody.
func (b *bed) startMallory(ctx context.Context, e evil) (*mallory, error) {
	m := &mallory{b: b, why: map[int]string{}, report: filepath.Join(b.house.Dir, "hostile-peer.report")}
	e.Report = m.report
	err := b.startSide(ctx, &m.side, rig.RuntimeOptions{
		Name: "mallory", Plugins: b.peer.plugins, Use: b.use(), Policy: "commanded",
		More: "stubs:\n  " + b.transport + ":\n    hostile: " + string(message.Encode(e)) + "\n",
		In:   append(behind(), "env", "PROTOFLY_PLUGINS__SANDBOX=off"), // its plug-in reports elsewhere than in its folder
	})
	if m.Runtime != nil && m.Process != nil {
		b.others = append(b.others, m.Process)
	}
	if err != nil {
		return nil, err
	}
	for i, s := range b.sides {
		app, err := s.client.Register(ctx, hyperty.Registration{Name: "greeter-of-" + s.Name})
		if err != nil {
			return nil, err
		}
		answer := strings.Repeat("g", greeting)
		app.Handle(func(ctx context.Context, q hyperty.Received) { _ = q.Answer(ctx, answer) })
		m.greeted[i] = app.URL()
		if _, err := m.app.Request(ctx, app.URL(), message.Read, nil); err != nil {
			return nil, fmt.Errorf("mallory is no peer of %s: %w", s.Name, err)
		}
	}
	return m, nil
}

// again sets up connections until stop, with one after the other of the sides; ready tells when the next may begin.
func (m *mallory) again(ctx context.Context, sides []*side, ready func(ctx context.Context, with *side) error) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() {
		for ctx.Err() == nil {
			with := sides[m.setUps%len(sides)]
			m.setUps++
			if err := m.command(ctx, with, m.b.transport); err != nil && ctx.Err() == nil {
				m.b.say("  mallory cannot ask for a connection with %s: %v", with.Name, err)
				_ = wait(ctx, time.Second)
			} else if err := ready(ctx, with); err != nil {
				return
			}
		}
	})
	return func() {
		cancel()
		work.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		for _, s := range sides {
			_ = m.command(ctx, s, relay)
		}
		_ = m.client.Close(ctx)
		if m.status != nil {
			_ = m.status.Close()
		}
		m.Stop()
	}
}

// over waits until a connection of mallory's with the side has been live and is over, and notes why the side says that it
// is. It notes nothing of a connection that was never live.
func (m *mallory) over(ctx context.Context, with *side) error {
	began := time.Now()
	before, err := m.deeds()
	if err != nil {
		return err
	}
	for time.Since(began) < liveTime {
		if err := wait(ctx, lookPause); err != nil {
			return err
		}
		if list, err := m.deeds(); err != nil || len(list) == len(before) {
			if c, ok := connectionOf(ctx, &m.side, with, began); ok && c.State == message.Failed {
				return nil
			}
			continue
		}
		if c, ok := connectionOf(ctx, with, &m.side, began); ok && (c.State == message.Disconnected || c.State == message.Failed) {
			m.why[len(before)] = c.Why
			return nil
		}
	}
	return ctx.Err()
}

// connectionOf is a side's connection with another, if its state is younger than since.
func connectionOf(ctx context.Context, s, with *side, since time.Time) (c api.Connection, ok bool) {
	st, err := s.ask(ctx)
	if err != nil {
		return c, false
	}
	i := slices.IndexFunc(st.Connections, func(c api.Connection) bool { return c.Remote == with.URL && c.Since.After(since) })
	if i < 0 {
		return c, false
	}
	return st.Connections[i], true
}

// hungry asks a side for answers all the time, which are large, until stop.
func (m *mallory) hungry(ctx context.Context, side int) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	var answers atomic.Int64
	for range 4 {
		work.Go(func() {
			for ctx.Err() == nil {
				ctx, cancel := context.WithTimeout(ctx, time.Second)
				if _, err := m.app.Request(ctx, m.greeted[side], message.Read, nil); err == nil {
					answers.Add(1)
				}
				cancel()
			}
		})
	}
	return func() {
		cancel()
		work.Wait()
		m.b.result.figure("mallory_answered", float64(answers.Load()))
	}
}

// deeds reads the report.
func (m *mallory) deeds() (list []deed, err error) {
	f, err := os.Open(m.report)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var d deed
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			return list, fmt.Errorf("the hostile plug-in's report: %w", err)
		}
		list = append(list, d)
	}
	return list, nil
}
