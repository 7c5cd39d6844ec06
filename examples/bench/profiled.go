package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/protofly/protofly/examples/bench/load"
)

// debugProfiles is scaffolding.
func (b *bench) debugProfiles(ctx context.Context, use string, size int, socket bool, dir string) error {
	p, err := b.protofly(socket, use).begin(ctx)
	if err != nil {
		return err
	}
	defer p.stop()
	cores := []*load.Process{p.sender, p.receiver}
	if socket {
		cores = []*load.Process{p.runtimes[1], p.runtimes[0]}
	}
	for _, c := range cores {
		if _, err := c.Do(ctx, load.Command{Do: "profile", Text: "," + use, For: 4 * time.Second}); err != nil {
			return err
		}
	}
	u0, _ := p.usage(ctx)
	r, err := p.sender.Do(ctx, load.Command{Do: "stream", Size: size, For: 5 * time.Second})
	if err != nil {
		return err
	}
	u1, _ := p.usage(ctx)
	b.say("%d bytes: %.0f/s, %.2f µs of CPU each", size, float64(r.Messages)/r.Seconds, float64((u1.cpu-u0.cpu).Microseconds())/float64(r.Messages))
	for i, c := range cores {
		r, err := c.Do(ctx, load.Command{Do: "profiles"})
		if err != nil {
			return err
		}
		var list []profileOf
		if err := json.Unmarshal([]byte(r.Text), &list); err != nil {
			return err
		}
		for _, f := range list {
			name := []string{"send", "recv"}[i] + "-" + f.Process
			if f.Err != "" {
				b.say("%s: %s", name, f.Err)
			}
			for kind, text := range map[string]string{"cpu": f.CPU, "allocs": f.Allocs} {
				data, _ := base64.StdEncoding.DecodeString(text)
				_ = os.WriteFile(filepath.Join(dir, name+"."+kind), data, 0o600)
			}
		}
	}
	return nil
}
