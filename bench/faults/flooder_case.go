package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/core/catalogue"
)

const flooder = "flooder" // a plug-in

// pluginFloods are the ways in which a plug-in floods its own runtime.
var pluginFloods = []struct {
	harm, about string
	punished    string // the runtime's reason for ending the plug-in, again and again; "": it allows the flood, at a limited pace
	least       int    // how often the plug-in does it, at least, if it is allowed
}{
	{"errors", "writes errors", "", 2000},
	{"stdio", "logs by the link", "", 2000},
	{"doors", "opens doors that are not its own", "opens a door that is not its own", 0},
	{"names", "posts in others' names", "a message that it may not send", 0},
	{"asks", "asks its runtime's registry", "", 5000},
	{"statuses", "says that connections are live which there are not", "", 2000},
	{"frames", "brings frames of nobody", "", 5000},
}

func pluginAttacks() (list []attack) {
	for _, f := range pluginFloods {
		list = append(list, attack{name: "plugin-" + f.harm, about: "a plug-in that " + f.about + " without end", transports: []string{relay},
			prepare: func(ctx context.Context, b *bed) error { return installFlooder(ctx, b, f.harm) },
			start:   func(ctx context.Context, b *bed) (func(), error) { return flooded(ctx, b, f.punished, f.least) }})
	}
	return list
}

// installFlooder gives alice's runtime a plug-in that floods it.
func installFlooder(ctx context.Context, b *bed, harm string) (err error) {
	program := filepath.Join(b.house.Dir, flooder)
	if err := rig.Compile(ctx, program, "bench/faults/flooder", ""); err != nil {
		return err
	}
	if b.plugins[0], err = b.ownPlugins(0); err != nil {
		return err
	}
	b.harm, b.harmful = time.Now().Add(b.harmAfter()), flooder
	b.config[0] = fmt.Sprintf("stubs:\n  flooder: {harm: %s, from: %d, until: %d}\n", harm, b.harm.Unix(), b.harm.Add(b.attackTime()).Unix())
	_, err = catalogue.Install(ctx, program, b.plugins[0])
	return err
}

// flooded waits until the plug-in floods the runtime. In the end the plug-in must have done so often enough, or must have been
// ended for it each time.
func flooded(ctx context.Context, b *bed, punished string, least int) (func(), error) {
	if err := wait(ctx, time.Until(b.harm)); err != nil {
		return nil, err
	}
	return func() {
		if punished != "" {
			st, err := b.sides[0].ask(ctx)
			if err != nil {
				b.result.fail("alice's runtime does not tell what became of the plug-in: %v", err)
			}
			for _, p := range st.Plugins {
				if p.Name != flooder {
					continue
				}
				b.result.figure("restarts", float64(p.Restarts))
				if p.Restarts == 0 || !strings.Contains(p.LastError, punished) {
					b.result.fail("the plug-in was not ended because it %s: %d times, %s", punished, p.Restarts, p.LastError)
				}
			}
			return
		}
		text, err := b.pluginFile("count")
		count, bad := strconv.Atoi(string(text))
		b.result.figure("floods", float64(count))
		if count < least {
			b.result.fail("the plug-in has flooded %d times, not %d (%v, %v)", count, least, err, bad)
		}
	}, nil
}
