package scale

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/protofly/protofly/bench/speed/figures"
	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// timeToLive makes one runtime after the other send its first message to a runtime, and measures the time until their
// connection is live. All processes of the sender run before.
func timeToLive(ctx context.Context, s *scene) (rows []figures.Row, err error) {
	for _, way := range []struct {
		plugin string
		most   float64 // milliseconds
	}{{"quic", 150}, {"webrtc", 400}} {
		times, err := s.liveTimes(ctx, way.plugin)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", way.plugin, err)
		}
		row := figures.Row{Row: fmt.Sprintf("first message to live, %d pairs", len(times)), Transport: way.plugin}
		row.Metric, row.Ours = "ms median", figures.Median(times)
		rows = append(rows, row.Evaluate(figures.AtMost(way.most)))
		row.Metric, row.Ours = "ms most", slices.Max(times)
		rows = append(rows, row.Evaluate())
	}
	return rows, nil
}

func (s *scene) liveTimes(ctx context.Context, plugin string) (times []float64, err error) {
	one, err := s.meetingPlace(ctx, "one-"+plugin, plugin)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, one.close()) }()
	s.Say("%d runtimes connect to one over %s, one after the other", s.Sizes.Pairs, plugin)
	for i := range s.Sizes.Pairs {
		took, err := s.liveTime(ctx, fmt.Sprintf("%s-%d", plugin, i), plugin, one.app.URL())
		if err != nil {
			return nil, fmt.Errorf("pair %d: %w", i+1, err)
		}
		times = append(times, float64(took.Microseconds())/1000)
	}
	return times, nil
}

const (
	liveTime = 20 * time.Second // for a connection to be live
	endTime  = 10 * time.Second // for a runtime to end
)

// liveTime starts a runtime in this process, with its plug-ins in their own, and measures the time from its first message to a
// live connection.
func (s *scene) liveTime(ctx context.Context, name, plugin string, to message.URL) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, liveTime)
	defer cancel()
	live := make(chan time.Time, 1)
	rt, err := core.Start(ctx, core.Config{
		Domain: domain, Nodes: map[string]string{domain: s.node.URL}, DataDir: filepath.Join(s.house.Dir, name), PluginDir: s.Bin.Plugins,
		P2P: core.P2P{Use: []string{plugin}},
		Trace: func(e trace.Event) {
			if e.Kind == trace.Connection && e.Value == message.Live.String() {
				select {
				case live <- e.At:
				default:
				}
			}
		},
	})
	if err != nil {
		return 0, err
	}
	defer func() {
		ending, done := context.WithTimeout(context.WithoutCancel(ctx), endTime)
		defer done()
		err = errors.Join(err, rt.Close(ending))
	}()
	app, err := rt.Register(ctx, hyperty.Registration{})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := app.Send(ctx, to, "hello"); err != nil {
		return 0, err
	}
	select {
	case at := <-live:
		return at.Sub(began), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("no connection is live: %w", ctx.Err())
	}
}
