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
	"time"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/sdk/message"
)

// The attacks of a peer: mallory is a third runtime, with a key of its own, which is paired with the others. Its plug-in,
// which has the name of the one that is attacked, was written to do harm.

// evil is the member "hostile" of mallory's plug-in's configuration.
type evil struct {
	Names  []string `json:"names,omitempty"` // addresses that it names as its own
	Flood  bool     `json:"flood,omitempty"`
	Report string   `json:"report"`
}

// deed is one line of its report: one attack.
type deed struct {
	Attack string `json:"attack"`
	Count  uint64 `json:"count"`
}

// mallory is the attacking runtime with its application.
type mallory struct {
	*rig.Runtime
	b       *bed
	app     *rig.Process
	report  string // of its application
	deedsAt string // that its plug-in writes
	setUps  int    // how many were commanded; known when mallory has stopped
}

const (
	claimPause = 50 * time.Millisecond  // from one set-up with others' addresses to the next
	setUpTime  = 250 * time.Millisecond // how long a set-up with false addresses goes on
)

// malice is what was prepared for a trial's attack by a peer.
type malice struct {
	plugins string            // folder of mallory's plug-ins
	listens [2]netip.AddrPort // where alice's and bob's P2P plug-ins listen
	strict  bool              // bob's sends nothing to loopback addresses
	targets []*target         // of datagrams
}

// installHostilePeer compiles the plug-in and the applications, and makes a folder of plug-ins for mallory with it.
func (b *bed) installHostilePeer(ctx context.Context) error {
	program := b.peerProgram("hostile-peer-" + b.transport)
	if err := rig.Compile(ctx, program, "plugins/"+b.transport+"/hostile-peer", ""); err != nil {
		return err
	}
	if err := rig.Compile(ctx, b.peerProgram("mallory"), "bench/faults/mallory", ""); err != nil {
		return err
	}
	dir, err := b.ownPlugins(len(b.sides))
	if err == nil {
		_, err = catalogue.Install(ctx, program, dir)
	}
	b.peer.plugins = dir
	return err
}

// peerProgram is the path of a program. It is compiled once for all trials.
func (b *bed) peerProgram(name string) string {
	return filepath.Join(filepath.Dir(b.house.Bin.Runtime), name)
}

// startMallory starts the runtime, and at both others an application that answers hers. Then her application attacks.
func (b *bed) startMallory(ctx context.Context, e evil, victims []*side, args ...string) (m *mallory, err error) {
	file := func(name string) string { return filepath.Join(b.house.Dir, name) }
	m = &mallory{b: b, report: file("mallory.report"), deedsAt: file("hostile-peer.report")}
	e.Report = m.deedsAt
	m.Runtime, err = b.house.Runtime(ctx, rig.RuntimeOptions{
		Name: "mallory", Domain: domain, Nodes: map[string]string{domain: b.node.URL},
		Plugins: b.peer.plugins, Use: b.use(), Policy: "commanded",
		More: "stubs:\n  " + b.transport + ":\n    hostile: " + string(message.Encode(e)) + "\n",
		In:   append(behind(), "env", "PROTOFLY_PLUGINS__SANDBOX=off"), // its plug-in's report is outside of the plug-in's folder
	})
	if err != nil {
		return nil, err
	}
	b.others = append(b.others, m.Process)
	var remotes, asked []string
	for _, s := range b.sides {
		p, err := b.house.Program(ctx, "greeter of "+s.Name, b.peerProgram("mallory"), "-socket", s.Socket, "-name", "greeter-of-"+s.Name)
		if err != nil {
			return nil, err
		}
		b.others = append(b.others, p)
		asked = append(asked, p.Line)
	}
	for _, s := range victims {
		remotes = append(remotes, string(s.URL))
	}
	m.app, err = b.house.Program(ctx, "mallory's application", slices.Concat(behind(), []string{b.peerProgram("mallory"), "-socket", m.Socket,
		"-victims", strings.Join(remotes, ","), "-asked", strings.Join(asked, ","), "-transport", b.transport, "-deeds", m.deedsAt, "-report", m.report}, args)...)
	if err == nil {
		b.others = append(b.others, m.app)
	}
	return m, err
}

// stop ends mallory's application and runtime, and notes what they did.
func (m *mallory) stop() {
	m.app.Stop()
	m.Stop()
	var did struct {
		SetUps   int     `json:"set_ups"`
		Answered float64 `json:"answered"`
	}
	text, err := os.ReadFile(m.report)
	if err == nil {
		err = json.Unmarshal(text, &did)
	}
	if err != nil {
		m.b.result.fail("the report of mallory's application: %v; it said: %s", err, m.app.Tail())
	}
	m.setUps = did.SetUps
	m.b.result.figure("set_ups", float64(did.SetUps))
	m.b.result.figure("mallory_answered", did.Answered)
}

// ends notes, until stop, the side's reasons for the end of mallory's connections, for each of her attacks.
func (m *mallory) ends(ctx context.Context, with *side) (stop func() map[int]string) {
	ctx, cancel := context.WithCancel(ctx)
	why := map[int]string{}
	var work sync.WaitGroup
	look := side{Runtime: with.Runtime} // with a client of its own
	work.Go(func() {
		defer func() {
			if look.status != nil {
				_ = look.status.Close()
			}
		}()
		for last := time.Now(); wait(ctx, endPause) == nil; {
			list, err := m.deeds()
			if err != nil || len(list) == 0 {
				continue
			}
			if _, known := why[len(list)-1]; known {
				continue
			}
			c, ok := connectionOf(ctx, &look, m.URL, last)
			if ok && (c.State == message.Disconnected || c.State == message.Failed) {
				why[len(list)-1], last = c.Why, c.Since
			}
		}
	})
	return func() map[int]string {
		cancel()
		work.Wait()
		return why
	}
}

const endPause = 100 * time.Millisecond

// connectionOf is a side's connection with a runtime, if its state is younger than since.
func connectionOf(ctx context.Context, s *side, with message.URL, since time.Time) (c api.Connection, ok bool) {
	st, err := s.ask(ctx)
	if err != nil {
		return c, false
	}
	i := slices.IndexFunc(st.Connections, func(c api.Connection) bool { return c.Remote == with && c.Since.After(since) })
	if i < 0 {
		return c, false
	}
	return st.Connections[i], true
}

// deeds reads the report.
func (m *mallory) deeds() (list []deed, err error) {
	f, err := os.Open(m.deedsAt)
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
