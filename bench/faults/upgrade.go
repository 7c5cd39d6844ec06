package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/catalogue"
)

// One of evilEvery rounds begins with a program that is not the one that was installed.
const evilEvery = 10

// upgrade replaces the plug-in of one side and then of the other by another version of it, and back, while messages
// flow: with the command line, as an operator does. Over the relay it is the Message Node's stub.
func upgrade(ctx context.Context, b *bed) error {
	name := b.transport
	if name == relay {
		name = rig.NodePlugin
	}
	versions, err := b.versions(ctx, name)
	if err != nil {
		return err
	}
	if err := b.start(ctx, b.use()...); err != nil {
		return err
	}
	b.flow(ctx)
	for i := range b.rounds {
		if b.transport != relay {
			if err := b.direct(ctx, b.transport, time.Time{}, directTime); err != nil {
				return err
			}
		}
		if err := b.calm(ctx, 500*time.Millisecond); err != nil {
			return err
		}
		s, next := b.sides[i%2], versions[(i/2+1)%2]
		if i%evilEvery == 0 {
			if err := b.refuseEvil(ctx, s, name, next); err != nil {
				return err
			}
		}
		before, err := b.plugin(ctx, s, name)
		if err != nil {
			return err
		}
		old := identify(before.PID)
		if _, err := s.Command(ctx, "plugins", "install", next.program); err != nil {
			return err
		}
		pause, began := b.watch(), time.Now()
		done, err := s.reload(ctx, name)
		if err != nil {
			return err
		}
		took := time.Since(began)
		if err := wait(ctx, 300*time.Millisecond); err != nil { // also measure what follows the upgrade
			return err
		}
		held := pause()
		b.result.round(held, took)
		b.changed(ctx, s, old, done, next)
		b.say("  %3d  %s's %s %s (process %d) replaced by %s (process %d): pause %.0f ms, all moved after %.0f ms", i+1, s.Name, name,
			done.OldVersion, done.OldPID, done.NewVersion, done.NewPID, milliseconds(held), milliseconds(took))
	}
	b.result.pauseP99(500 * time.Millisecond)
	return nil
}

// version is a program of the plug-in.
type version struct{ name, program string }

// versions gives each side a folder of plug-ins of its own, and makes a second version of the plug-in.
func (b *bed) versions(ctx context.Context, plugin string) (list [2]version, err error) {
	installed, err := catalogue.Open(b.house.Bin.Plugins)
	if err != nil {
		return list, err
	}
	first, err := installed.Find(plugin)
	if err != nil {
		return list, err
	}
	list = [2]version{{first.Version, first.Path}, {"2.0.0", filepath.Join(b.house.Dir, "other-"+filepath.Base(first.Path))}}
	if err := rig.Compile(ctx, list[1].program, "plugins/"+plugin, list[1].name); err != nil {
		return list, err
	}
	for i := range b.plugins {
		if b.plugins[i], err = b.ownPlugins(i); err != nil {
			return list, err
		}
	}
	return list, nil
}

// ownPlugins makes a folder of plug-ins for one side alone.
func (b *bed) ownPlugins(i int) (dir string, err error) {
	dir = filepath.Join(b.house.Dir, fmt.Sprintf("plugins-%d", i))
	return dir, os.CopyFS(dir, os.DirFS(b.house.Bin.Plugins))
}

// reload makes the side's runtime use the plug-in that is installed now.
func (s *side) reload(ctx context.Context, plugin string) (done api.Reloaded, err error) {
	out, err := s.Command(ctx, "plugins", "reload", "--json", plugin)
	if err == nil {
		err = json.Unmarshal([]byte(out), &done)
	}
	return done, err
}

// refuseEvil puts another program in the place of an upgrade that was installed: the runtime must refuse it, and go on
// with the process that it has.
func (b *bed) refuseEvil(ctx context.Context, s *side, plugin string, next version) error {
	before, err := b.plugin(ctx, s, plugin)
	if err != nil {
		return err
	}
	if _, err := s.Command(ctx, "plugins", "install", next.program); err != nil {
		return err
	}
	if err := spoil(s.Plugins, plugin); err != nil {
		return err
	}
	done, err := s.reload(ctx, plugin)
	switch after, asked := b.plugin(ctx, s, plugin); {
	case err == nil:
		b.result.fail("%s took a program with the wrong checksum as its %s: %+v", s.Name, plugin, done)
	case !strings.Contains(err.Error(), "not the file that was installed"):
		b.result.fail("%s refused a program with the wrong checksum and says nothing of it: %v", s.Name, err)
	case asked != nil || after.PID != before.PID || !identify(before.PID).alive():
		b.result.fail("%s's %s did not go on when a program with the wrong checksum was refused: process %d, before %d (%v)",
			s.Name, plugin, after.PID, before.PID, asked)
	}
	return nil
}

// spoil replaces an installed program by a different one that would run: bytes after a program's end are ignored.
func spoil(folder, plugin string) error {
	dir, err := catalogue.Open(folder)
	if err != nil {
		return err
	}
	d, err := dir.Find(plugin)
	if err != nil {
		return err
	}
	program, err := os.ReadFile(d.Path)
	if err != nil {
		return err
	}
	evil := d.Path + ".evil"
	if err := os.WriteFile(evil, append(program, "not what was installed"...), 0o700); err != nil {
		return err
	}
	return os.Rename(evil, d.Path)
}

// changed checks the state after an upgrade.
func (b *bed) changed(ctx context.Context, s *side, old process, done api.Reloaded, next version) {
	after, err := b.plugin(ctx, s, done.Plugin)
	switch {
	case err != nil:
		b.result.fail("%v", err)
	case !done.Running || done.OldPID != old.pid || done.NewPID != after.PID || after.PID == old.pid:
		b.result.fail("%s's upgrade says %+v; the process was %d and is %d", s.Name, done, old.pid, after.PID)
	case after.Version != next.name || done.NewVersion != next.name:
		b.result.fail("%s's %s has the version %s after the upgrade to %s", s.Name, done.Plugin, after.Version, next.name)
	case done.Cut != 0:
		b.result.fail("%d connections of %s's %s were cut by the upgrade", done.Cut, s.Name, done.Plugin)
	case !gone(ctx, old):
		b.result.fail("process %d is there after %s's upgrade", old.pid, s.Name)
	}
}
