package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/protofly/protofly/bench/speed/load"
	"github.com/protofly/protofly/core"
)

// With two commands a runtime's process profiles itself and its plug-ins while it works: "profile" starts that for a
// time, "profiles" waits for the end and returns the profiles. They are two since a child carries out one command after
// the other, and the work that is profiled comes between them.

// profileOf is one process's profiles, in the format of pprof.
type profileOf struct {
	Process     string // the plug-in's name; "": the runtime
	CPU, Allocs string // base64
	Err         string
}

// profiler has these commands.
func profiler(rt *core.Runtime) own {
	var wg sync.WaitGroup
	var found []*profileOf
	return func(ctx context.Context, c load.Command) (r load.Result, ok bool, err error) {
		switch c.Do {
		case "profile":
			found = nil
			for _, name := range strings.Split(c.Text, ",") {
				p := &profileOf{Process: name}
				found = append(found, p)
				wg.Go(func() { p.take(ctx, rt, c.For) })
			}
		case "profiles":
			wg.Wait()
			text, err := json.Marshal(found)
			return load.Result{Text: string(text)}, true, err
		default:
			return r, false, nil
		}
		return r, true, nil
	}
}

func (p *profileOf) take(ctx context.Context, rt *core.Runtime, length time.Duration) {
	for kind, to := range map[string]*string{"cpu": &p.CPU, "allocs": &p.Allocs} {
		data, err := rt.Profile(ctx, p.Process, kind, int(length.Seconds()))
		if err != nil {
			p.Err = fmt.Sprintf("%s: %v", kind, err)
			return
		}
		*to = base64.StdEncoding.EncodeToString(data)
	}
}
