package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/protofly/protofly/bench/rig"
)

// figures are what is measured in quiet, by "process: what".
type figures map[string]figure

// figure is a number. It may grow by 5 %, and by room.
type figure struct{ is, room float64 }

// The rooms of figures that depend on chance. They are the same for any duration, so that what grows for ever does not fit.
//
//   - Memory: Go's heap grows to twice what is live before it is collected, at least to 4 MiB, and the pages come back to the system
//     within minutes; a short run does not have that time.
//   - Descriptors: one that is just opened or closed, as for a look-up of the catalogue.
//   - Threads: Go keeps those that it once had, and starts as many as block at one time.
//   - Data: the node's streams have blocks, of which one each may be half empty; an entry of a name that is known is a file of some KiB.
const (
	memoryRoom      = 8 << 20
	shortMemoryRoom = 48 << 20
	descriptorRoom  = 4
	threadRoom      = 6
	dataRoom        = 2 << 20
	logLines        = 10 // a minute, of each process
	logLinesAMinute = ": log lines a minute"
	logTime         = 20 * time.Second
)

// gauges take the figures of processes.
type gauges struct {
	dir      string // of the house
	node     *rig.Node
	runtimes []*rig.Runtime
	programs map[string]*rig.Process // others, by name
	brief    bool                    // memory has little time to come back
}

// measure takes all figures. Log lines are counted for some time.
func (g *gauges) measure(ctx context.Context) (figures, error) {
	f := figures{}
	before := g.lines()
	began := time.Now()
	if err := wait(ctx, logTime); err != nil {
		return nil, err
	}
	for name, n := range g.lines() {
		f[name+logLinesAMinute] = figure{is: float64(n-before[name]) / time.Since(began).Minutes()}
	}
	g.process(f, "node", g.node.PID())
	f["node: data bytes"] = figure{g.folder("node-" + domain), dataRoom}
	for name, p := range g.programs {
		g.process(f, name, p.PID())
	}
	for _, r := range g.runtimes {
		g.process(f, r.Name, r.PID())
		f[r.Name+": data bytes"] = figure{g.folder(r.Name), dataRoom}
		if err := g.status(ctx, f, r); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// status takes the figures of a runtime's plug-ins, and the number of entries in each list of its status.
func (g *gauges) status(ctx context.Context, f figures, r *rig.Runtime) error {
	st, err := r.Status(ctx)
	if err != nil {
		return fmt.Errorf("status of %s: %w", r.Name, err)
	}
	for _, p := range st.Plugins {
		if p.PID != 0 {
			g.process(f, r.Name+"'s "+p.Name, p.PID)
		}
	}
	var lists map[string]json.RawMessage
	text, err := json.Marshal(st)
	if err == nil {
		err = json.Unmarshal(text, &lists)
	}
	if err != nil {
		return err
	}
	for name, list := range lists {
		var entries []json.RawMessage
		if json.Unmarshal(list, &entries) == nil {
			f[r.Name+": "+name] = figure{is: float64(len(entries))}
		}
	}
	return nil
}

// process takes the figures of a process. Where the system does not say them there are none.
func (g *gauges) process(f figures, name string, pid int) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	text, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return
	}
	room := float64(memoryRoom)
	if g.brief {
		room = shortMemoryRoom
	}
	for line := range strings.Lines(string(text)) {
		var n float64
		if _, err := fmt.Sscanf(line, "RssAnon: %f kB", &n); err == nil {
			f[name+": memory bytes"] = figure{n * 1024, room}
		}
		if _, err := fmt.Sscanf(line, "Threads: %f", &n); err == nil {
			f[name+": threads"] = figure{n, threadRoom}
		}
	}
	if open, err := os.ReadDir(filepath.Join(dir, "fd")); err == nil {
		f[name+": descriptors"] = figure{float64(len(open)), descriptorRoom}
	}
}

// folder is the size of the files below a folder of the house, without programs: copies of the plug-ins, beside which nothing else
// would be seen to grow.
func (g *gauges) folder(name string) (size float64) {
	_ = filepath.WalkDir(filepath.Join(g.dir, name), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // files come and go
		}
		if info, err := d.Info(); err == nil && info.Mode()&0o111 == 0 {
			size += float64(info.Size())
		}
		return nil
	})
	return size
}

// lines counts the lines of each log.
func (g *gauges) lines() map[string]int {
	all := map[string]int{}
	logs, _ := filepath.Glob(filepath.Join(g.dir, "*.log"))
	for _, log := range logs {
		if text, err := os.ReadFile(log); err == nil {
			all[strings.TrimSuffix(filepath.Base(log), ".log")] = strings.Count(string(text), "\n")
		}
	}
	return all
}

// compareFigures prints the figures, and compares those of after the case with those of before.
func (b *bed) compareFigures(base, after figures) {
	b.say("  %-42s %12s %12s", "in quiet", "before", "after")
	for _, name := range slices.Sorted(maps.Keys(after)) {
		was, is := base[name], after[name]
		bound, verdict := was.is*1.05+is.room, ""
		if strings.HasSuffix(name, logLinesAMinute) {
			bound = logLines
		}
		if is.is > bound {
			verdict = "TOO MUCH"
			b.result.late("%s: %.0f in quiet, %.0f before; at most %.0f", name, is.is, was.is, bound)
		}
		b.say("  %-42s %12.0f %12.0f %s", name, was.is, is.is, verdict)
	}
	for _, name := range slices.Sorted(maps.Keys(base)) {
		if _, ok := after[name]; !ok && strings.HasSuffix(name, "memory bytes") {
			b.result.fail("%s: it was there before, and has not come back", strings.TrimSuffix(name, ": memory bytes"))
		}
	}
}
