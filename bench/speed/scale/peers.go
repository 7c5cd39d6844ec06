package scale

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/bench/speed/figures"
	"github.com/protofly/protofly/bench/speed/load"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

const kib = 1 << 10

// meetingPlace is a runtime with an application that answers.
type meetingPlace struct {
	*rig.Runtime
	client *hyperty.Client
	app    *hyperty.Hyperty
}

func (s *scene) meetingPlace(ctx context.Context, name, plugin string) (p *meetingPlace, err error) {
	p = &meetingPlace{}
	if p.Runtime, err = s.runtime(ctx, name, plugin); err != nil {
		return nil, err
	}
	if p.client, err = hyperty.Dial(ctx, hyperty.Options{Socket: p.Socket}); err == nil {
		p.app, err = p.client.Register(ctx, hyperty.Registration{Name: name})
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.app.Handle(func(ctx context.Context, m hyperty.Received) { _ = m.Answer(ctx, nil) }) // the peer that asked reports that nothing came
	return p, nil
}

func (p *meetingPlace) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var err error
	if p.client != nil {
		err = p.client.Close(ctx)
	}
	p.Stop()
	return err
}

// warmUp is how many peers, or connections, are connected before memory is measured for the first time, so that memory that all
// have in common does not count.
const warmUp = 100

// peers connects many runtimes to one, and measures what they cost it.
func peers(ctx context.Context, s *scene) (rows []figures.Row, err error) {
	const plugin = "quic"
	one, err := s.meetingPlace(ctx, "one", plugin)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, one.close()) }()
	crowd, err := s.crowd(ctx)
	if err != nil {
		return nil, err
	}
	defer crowd.Stop()
	n := s.Sizes.Peers
	s.Say("%d peers join their Message Node", n+warmUp)
	if _, err := crowd.Do(ctx, load.Command{Do: doPeers, Size: n + warmUp, Text: plugin}); err != nil {
		return nil, err
	}
	meet := load.Command{Do: doMeet, Size: warmUp, Text: string(one.app.URL())}
	if _, err := crowd.Do(ctx, meet); err != nil {
		return nil, err
	}
	list, err := processes(ctx, one.Runtime)
	if err != nil {
		return nil, err
	}
	pids := pidsOf(list)
	before, err := settle(ctx, pids, s.patience())
	if err != nil {
		return nil, err
	}
	s.Say("%d peers connect to one runtime over %s", n, plugin)
	meet.Size = n
	met, err := crowd.Do(ctx, meet)
	if err != nil {
		return nil, err
	}
	if err := one.allLive(ctx, n+warmUp); err != nil {
		return nil, err
	}
	s.Say("they were live after %.1f s; now nobody says anything", met.Seconds)
	used, after, err := s.atRest(ctx, pids)
	if err != nil {
		return nil, err
	}
	if err := one.allLive(ctx, n+warmUp); err != nil {
		return nil, fmt.Errorf("after %v without a word: %w", s.idleTime(), err)
	}
	name := fmt.Sprintf("%d peers", n)
	rows = append(rows,
		figures.Row{Row: name, Transport: plugin, Metric: "set-ups/s", Ours: float64(n) / met.Seconds}.Evaluate(),
		figures.Row{Row: name, Transport: plugin, Metric: "KiB/peer", Ours: (float64(after) - float64(before)) / kib / float64(n)}.Evaluate(s.atLeisure(figures.AtMost(150))...))
	for i, p := range list {
		rows = append(rows, figures.Row{Row: name + ", idle", Transport: p.name, Metric: "% of a core", Ours: used[i]}.Evaluate())
	}
	return rows, nil
}

// allLive checks that the runtime has so many connections that are live.
func (p *meetingPlace) allLive(ctx context.Context, n int) error {
	for {
		status, err := p.Status(ctx)
		if err != nil {
			return err
		}
		count := 0
		for _, c := range status.Connections {
			if c.State == message.Live {
				count++
			}
		}
		if count == n {
			return nil
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d connections are live: %w", count, n, err)
		}
	}
}

// patience is how long memory may take to settle.
func (s *scene) patience() time.Duration {
	if s.Rest > 0 {
		return s.Rest
	} else if s.Quick {
		return 2 * time.Second
	}
	return 20 * time.Second
}

// idleTime is for how long the usage of an idle process is measured.
func (s *scene) idleTime() time.Duration {
	if s.Rest > 0 {
		return s.Rest
	} else if s.Quick {
		return 2 * time.Second
	}
	return 15 * time.Second
}

// atLeisure are the demands of rows that need a long run. Over two seconds, the kernel reports the usage of a process in steps
// of half a percent; and with a hundred peers, the processes' own share of a figure is too large. So a quick run has no such
// demands.
func (s *scene) atLeisure(demands ...figures.Bound) []figures.Bound {
	if s.Quick {
		return nil
	}
	return demands
}
