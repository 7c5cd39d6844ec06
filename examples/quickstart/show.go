package main

import (
	"context"
	"strings"
	"time"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/trace"
)

// show prints what happens to one side's connection, and over which way its messages go, as it changes.
func (w *world) show(ctx context.Context, s *side, began time.Time) {
	client, err := api.Dial(ctx, s.Socket)
	if err != nil {
		return
	}
	defer func() { _ = client.Close() }()
	way := ""
	_ = client.Trace(ctx, false, func() {}, func(e trace.Event, _ uint64) {
		ms := float64(e.At.Sub(began).Microseconds()) / 1000
		switch {
		case e.Kind == trace.Connection:
			w.say("%9.1f ms  %-5s connection %s", ms, s.Name, e.Value)
		case e.Kind == trace.Forward && e.From == s.app.URL():
			now := "direct"
			if strings.Contains(string(e.Via), "/protostub/") {
				now = "relay"
			}
			if now != way {
				way = now
				w.say("%9.1f ms  %-5s messages go by %s: %s", ms, s.Name, way, e.Via)
			}
		}
	})
}
