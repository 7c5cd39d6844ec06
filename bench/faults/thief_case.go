package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/core/catalogue"
)

const (
	thief      = "thief"         // a plug-in
	daemonWord = "\x00daemon"    // an argument of the processes that it leaves
	spoilFile  = "spoils"        // the report that it writes
	minTries   = 100             // attempts of the thief, at least
	keyFile    = "runtime.key"   // in the runtime's folder of data
	endTime    = 6 * time.Second // for a runtime to end, whatever its plug-ins do; 5 s of it are the plug-ins' time to end
)

// installThief gives alice's runtime a plug-in that steals and daemonises.
func installThief(ctx context.Context, b *bed) (err error) {
	if runtime.GOOS != "linux" {
		return &cannotError{"plug-ins are confined on Linux alone"}
	}
	program := filepath.Join(b.house.Dir, thief)
	if err := rig.Compile(ctx, program, "bench/faults/thief", ""); err != nil {
		return err
	}
	if b.plugins[0], err = b.ownPlugins(0); err != nil {
		return err
	}
	b.config[0] = fmt.Sprintf("stubs:\n  thief: {after_seconds: %d, data: %s, key: %s, socket: %s}\n", int(b.harmAfter().Seconds()), b.aliceData(), keyFile, filepath.Join(b.house.Dir, "alice.sock"))
	b.harm, b.harmful = time.Now().Add(b.harmAfter()), thief
	_, err = catalogue.Install(ctx, program, b.plugins[0])
	return err
}

func (b *bed) aliceData() string { return filepath.Join(b.house.Dir, "alice") }

// stolen waits until the thief has begun. In the end it must have tried everything, and have got nothing.
func stolen(ctx context.Context, b *bed) (func(), error) {
	p, err := b.plugin(ctx, b.sides[0], thief)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(p.Sandbox, "landlock") {
		return nil, &cannotError{"nothing confines plug-ins here: " + p.Sandbox}
	}
	if err := wait(ctx, time.Until(b.harm)); err != nil {
		return nil, err
	}
	return func() {
		_, daemons, err := b.programsIn(b.pluginFolders())
		if err != nil || daemons == 0 {
			b.result.fail("the thief has left no processes behind (%v)", err)
		}
		b.result.figure("daemons", float64(daemons))
		s, err := b.spoils()
		if err != nil || s.Tries < minTries {
			b.result.fail("the thief has tried %d times (%v)", s.Tries, err)
		}
		b.result.figure("tries", float64(s.Tries))
		if len(s.Got) > 0 {
			b.result.fail("the thief could %s", strings.Join(s.Got, ", "))
		}
	}, nil
}

// spoils reads what the thief reports.
func (b *bed) spoils() (s struct {
	Tries int
	Got   []string
}, err error) {
	text, err := b.pluginFile(spoilFile)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}

// pluginFile reads a file that one of alice's plug-ins has written, wherever its folder is.
func (b *bed) pluginFile(name string) (text []byte, err error) {
	err = fs.ErrNotExist
	for _, root := range b.pluginFolders() {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, bad error) error {
			if bad != nil || d.Name() != name {
				return nil // the file may just have been removed
			}
			text, err = os.ReadFile(path)
			return filepath.SkipAll
		})
		if err == nil {
			break
		}
	}
	return text, err
}

// pluginFolders are the folders with the files and programs of alice's plug-ins, while her runtime runs. If the plug-ins have
// users of their own, these are not with her data.
func (b *bed) pluginFolders() []string {
	folders := []string{filepath.Join(b.aliceData(), "plugins")}
	if elsewhere, err := os.ReadFile(filepath.Join(folders[0], "sockets")); err == nil {
		folders = append(folders, string(elsewhere))
	}
	return folders
}

// programsIn returns every process whose program is in one of the folders, and how many of them are the thief's daemons.
func (b *bed) programsIn(folders []string) (pids []int, daemons int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, 0, err
	}
	for _, e := range entries {
		var pid int
		program, err := os.Readlink("/proc/" + e.Name() + "/exe")
		if _, bad := fmt.Sscan(e.Name(), &pid); bad != nil || err != nil ||
			!slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(program, folder+"/") }) {
			continue
		}
		pids = append(pids, pid)
		if line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline"); err == nil && strings.Contains(string(line), daemonWord) {
			daemons++
		}
	}
	return pids, daemons, nil
}

// aliceEnds ends alice's runtime, in time, and with everything that its plug-ins have started.
func aliceEnds(ctx context.Context, b *bed) error {
	for _, f := range b.flows {
		if err := f.end(ctx, settleTime); err != nil {
			return err
		}
	}
	alice := b.sides[0]
	if err := alice.client.Close(ctx); err != nil {
		return err
	}
	alice.client = nil
	folders := b.pluginFolders()
	began := time.Now()
	alice.Stop()
	took := time.Since(began)
	b.result.figure("end_ms", milliseconds(took))
	if took > endTime {
		b.result.fail("alice's runtime took %v to end; at most %v are promised", took, endTime)
	}
	left, _, err := b.programsIn(folders)
	if len(left) > 0 {
		b.result.fail("%d processes of alice's plug-ins are left: %v", len(left), left)
	}
	return err
}
