package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/internal/cheat"
	"github.com/protofly/protofly/sdk/message"
)

const (
	cheatPercent = 6               // percent of the chances at which the program cheats
	cheatWindow  = 2 * time.Second // over which a pause is measured
	cheatStall   = time.Minute     // the longest time without a new attempt
	progress     = 0.9             // the least part of the messages that has to be delivered
	wayTime      = 3 * time.Second // how long a direct path is kept
)

// foe is the cheating program of a trial.
type foe struct {
	cheat.Options
	marker string // the text in the body of every message
}

func (b *bed) foe() foe {
	file := func(name string) string { return filepath.Join(b.house.Dir, name) }
	return foe{cheat.Options{
		Seed: uint64(time.Now().UnixNano()), Percent: cheatPercent, Record: file("cheat.record"), Report: file("cheat.report"),
		Names: []string{"hyperty://" + domain + "/alice", "hyperty://" + domain + "/bob", "hyperty://" + domain + "/nobody"},
	}, "body-" + randomText()}
}

// hostile makes all messages go through a program that cheats.
func hostile(ctx context.Context, b *bed) error {
	f := b.foe()
	b.say("  the cheat's seed is %d", f.Seed)
	run := b.hostileNode
	if b.transport != relay {
		run = b.hostilePlugin
	}
	err := run(ctx, f)
	return errors.Join(err, b.checkCheat(f))
}

// hostileNode puts the cheating node between the stubs and the honest node. An accomplice, a runtime with a key of its
// own, waits for messages that are for others.
func (b *bed) hostileNode(ctx context.Context, f foe) error {
	program := filepath.Join(b.house.Dir, "hostile-node")
	if err := rig.Compile(ctx, program, "plugins/msgnode-ws/hostile-node", ""); err != nil {
		return err
	}
	if err := b.startNode(ctx); err != nil {
		return err
	}
	accomplice, err := b.house.Runtime(ctx, rig.RuntimeOptions{Name: "mallory", Domain: domain, Nodes: map[string]string{domain: b.node.URL}, Trace: true})
	if err != nil {
		return err
	}
	b.others = append(b.others, accomplice.Process)
	between, err := b.house.Program(ctx, "hostile node", program, "-node", b.node.URL, "-accomplice", string(accomplice.URL), "-seed", fmt.Sprint(f.Seed),
		"-percent", fmt.Sprint(f.Percent), "-record", f.Record, "-report", f.Report, "-names", strings.Join(f.Names, ","))
	if err != nil {
		return err
	}
	b.others = append(b.others, between)
	b.nodeURL = strings.TrimPrefix(between.Line, "listening on ")
	for i := range b.config {
		b.config[i] = "p2p: {changes: false}\n" // so that each address is looked up at the Domain Registry
	}
	if err := b.startSides(ctx); err != nil {
		return err
	}
	b.mark(f)
	b.flow(ctx)
	probes := b.probe(ctx, f)
	err = b.cheated(ctx, f, func() error { return wait(ctx, cheatWindow) })
	probes.stop()
	b.result.figure("probes_answered", float64(probes.answered))
	b.result.figure("probes_refused", float64(probes.refused))
	if probes.answered == 0 {
		b.result.fail("no name was found in the Domain Registry")
	}
	return errors.Join(err, b.reached(accomplice))
}

// hostilePlugin makes alice's runtime use the cheating plug-in. The sides request connections over it in turns, again and again.
func (b *bed) hostilePlugin(ctx context.Context, f foe) (err error) {
	program := filepath.Join(b.house.Dir, "hostile-quic")
	if err := rig.Compile(ctx, program, "plugins/quic/hostile-quic", ""); err != nil {
		return err
	}
	if b.plugins[0], err = b.ownPlugins(0); err != nil {
		return err
	}
	if _, err := catalogue.Install(ctx, program, b.plugins[0]); err != nil {
		return err
	}
	b.config[0] = "stubs:\n  quic:\n    hostile: " + string(message.Encode(f.Options)) + "\n"
	b.before[0] = []string{"env", "PROTOFLY_PLUGINS__SANDBOX=off", "PROTOFLY_PLUGINS__UIDS=off"} // it keeps files of what it saw and tried elsewhere
	b.policies = [2]string{"commanded", "commanded"}
	if err := b.start(ctx, b.use()...); err != nil {
		return err
	}
	b.mark(f)
	b.flow(ctx)
	if err := b.next(ctx, directTime); err != nil {
		return err
	}
	tried, live := 0, 0
	err = b.cheated(ctx, f, func() error {
		from, to := b.sides[tried%2], b.sides[1-tried%2]
		tried++
		began := time.Now()
		if err := from.command(ctx, to, b.transport); err != nil {
			return err
		}
		if ok, err := from.setUp(ctx, to, b.transport, began); err != nil {
			return err
		} else if ok {
			live++
			if err := wait(ctx, wayTime); err != nil {
				return err
			}
		}
		if err := from.command(ctx, to, relay); err != nil {
			return err
		}
		return wait(ctx, 100*time.Millisecond)
	})
	b.result.figure("set_ups", float64(tried))
	b.result.figure("set_ups_live", float64(live))
	if live == 0 {
		b.result.fail("none of %d set-ups was ever live", tried)
	}
	return err
}

// mark puts the marker into the body of every message.
func (b *bed) mark(f foe) {
	for _, flow := range b.flows {
		flow.padding, flow.mayRefuse = f.marker, true // the cheat may make a look-up fail
	}
}

// cheated repeats step until the cheat has tried often enough, and every kind. After a spoiled look-up the messages of the next
// second are refused. In a short trial two of these are too many, so cheated goes on for some time until enough messages have come.
func (b *bed) cheated(ctx context.Context, f foe, step func() error) error {
	last, at := uint64(0), time.Now()
	for {
		pause := b.watch()
		if err := step(); err != nil {
			return err
		}
		b.result.pauses = append(b.result.pauses, pause())
		report, err := cheat.ReadReport(f.Report)
		if err != nil {
			return err
		}
		n := report.Total()
		enough := n >= uint64(b.rounds)
		if n > last && !enough {
			last, at = n, time.Now()
		}
		b.say("  %6d tries, %d messages delivered", n, b.delivered())
		switch {
		case enough && time.Since(at) > cheatStall, enough && len(b.untried(report)) == 0 && b.progressed():
			return nil
		case time.Since(at) > cheatStall:
			return fmt.Errorf("the cheat has tried nothing for %v", cheatStall)
		}
	}
}

// command makes the side's runtime use a way to the other side.
func (s *side) command(ctx context.Context, to *side, way string) error {
	_, err := s.app.Request(ctx, s.app.Runtime().Join("registry"), message.Execute, map[string]any{"method": "use", "params": []string{string(to.URL), way}})
	return err
}

// untried returns the kinds of cheats that should have been tried and were not.
func (b *bed) untried(r cheat.Report) []string {
	kinds := []string{"alter", "drop", "replay", "reorder", "truncate", "stitch", "inject", "forge frame", "forge from"}
	if b.transport == relay {
		kinds = append(kinds, "keys", "keys to the end", "forge entry", "reflect", "wrong peer")
	} else {
		kinds = append(kinds, "certificate", "signal", "steal a signature")
	}
	return slices.DeleteFunc(kinds, func(kind string) bool { return r.Cheats[kind] > 0 })
}

// setUp waits until a set-up that began at began is live (true) or has failed.
func (s *side) setUp(ctx context.Context, to *side, plugin string, began time.Time) (live bool, err error) {
	for end := time.Now().Add(directTime); time.Now().Before(end); {
		st, err := s.ask(ctx)
		if err != nil {
			return false, err
		}
		if isDirect(st, to.URL, plugin, began) {
			return true, nil
		}
		for _, c := range st.Connections {
			if c.Remote == to.URL && c.Since.After(began) && (c.State == message.Failed || c.State == message.Disconnected) {
				return false, nil
			}
		}
		if err := wait(ctx, lookPause); err != nil {
			return false, err
		}
	}
	return false, nil
}

// checkCheat checks the cheat's report, and searches what it saw for bodies of messages.
func (b *bed) checkCheat(f foe) error {
	report, err := cheat.ReadReport(f.Report)
	if err != nil {
		return err
	}
	b.result.Cheats, b.result.Rounds = report.Cheats, int(report.Total())
	for what, n := range report.Breaches {
		b.result.fail("the cheat got what it must not have, %d times: %s", n, what)
	}
	for _, kind := range b.untried(report) {
		b.result.fail("the cheat has never tried: %s", kind)
	}
	if !b.progressed() {
		b.result.fail("only %d of %d messages came: a cheat can hold up, but not for ever", b.delivered(), b.sentSoFar())
	}
	if b.sides[1] == nil || b.sides[1].Runtime == nil {
		return nil
	}
	for text, wanted := range map[string]bool{f.marker: false, string(b.sides[1].URL): true} {
		found, err := contains(f.Record, text)
		if err != nil {
			return err
		}
		if found != wanted {
			b.result.fail("in what the cheat saw is %q: %v", text, found)
		}
	}
	return nil
}

// reached checks whether messages for others came to the accomplice.
func (b *bed) reached(accomplice *rig.Runtime) error {
	text, err := os.ReadFile(accomplice.TraceFile)
	if err != nil {
		return err
	}
	stolen := 0
	for line := range bytes.Lines(text) {
		if bytes.Contains(line, []byte(`"kind":"arrive"`)) && bytes.Contains(line, []byte(`"to":"hyperty://`)) {
			stolen++
		}
	}
	if stolen > 0 {
		b.result.fail("%d messages came to the accomplice's runtime", stolen)
	}
	return nil
}

// progressed tells whether enough of the messages have come.
func (b *bed) progressed() bool { return float64(b.delivered()) >= progress*float64(b.sentSoFar()) }

// sentSoFar returns how many messages have been sent, in both directions.
func (b *bed) sentSoFar() (n uint64) {
	for _, f := range b.all() {
		n += f.posts()
	}
	return n
}

// contains tells whether a file has the text in it.
func contains(file, text string) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	piece := make([]byte, 0, 1<<20)
	for {
		n, err := f.Read(piece[len(piece):cap(piece)])
		piece = piece[:len(piece)+n]
		if bytes.Contains(piece, []byte(text)) {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		} else if err != nil {
			return false, err
		}
		keep := min(len(piece), len(text)-1) // the text may be in two pieces
		piece = piece[:copy(piece, piece[len(piece)-keep:])]
	}
}
