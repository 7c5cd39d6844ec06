package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/protofly/protofly/bench/rig"
)

// soak has the processes of the case soak: a Message Node, three runtimes, and two applications at each.
type soak struct {
	*bed
	random   *rand.Rand
	runtimes []*rig.Runtime
	apps     []*soaker
	program  string
	quietBy  string // the file that asks the applications for quiet
	events   map[string]int
}

// soaker is an application of the soak. Its process is killed and started again.
type soaker struct {
	name, socket string
	life         int
	*rig.Process
}

const (
	soakRate  = 60               // tracked messages a second of all applications together, besides broadcasts
	soakWarm  = 10 * time.Second // from the start of the applications to the first quiet
	eventTime = 4 * time.Second  // the mean time from one event to the next
	longSoak  = 10 * time.Minute // from here on the bounds of long runs count
)

// soaking plays the case: the figures in quiet are measured before and after the time of kills.
func soaking(ctx context.Context, b *bed) error {
	s := &soak{bed: b, events: map[string]int{}, program: b.peerProgram("soaker"), quietBy: filepath.Join(b.house.Dir, "quiet"),
		random: rand.New(rand.NewPCG(b.seed, 0))}
	b.say("  seed %d, %v of kills, then %v of quiet", b.seed, b.duration, s.quietTime())
	defer s.stop()
	if err := s.begin(ctx); err != nil {
		return err
	}
	if err := wait(ctx, soakWarm); err != nil {
		return err
	}
	if err := s.rest(ctx); err != nil {
		return err
	}
	base, err := s.gauges().measure(ctx)
	if err != nil {
		return err
	}
	if err := os.Remove(s.quietBy); err != nil {
		return err
	}
	for end := time.Now().Add(b.duration); time.Now().Before(end); b.result.Rounds++ {
		if err := wait(ctx, time.Duration(s.random.Int64N(int64(2*eventTime)))); err != nil {
			return err
		}
		if err := s.event(ctx); err != nil {
			return err
		}
	}
	if err := s.rest(ctx); err != nil {
		return err
	}
	after, err := s.gauges().measure(ctx)
	if err != nil {
		return err
	}
	s.compareFigures(base, after)
	s.judgeBooks()
	for name, n := range s.events {
		b.result.figure(strings.ReplaceAll(name, " ", "_"), float64(n))
	}
	return nil
}

// quietTime is how long nothing is done before figures are measured.
func (s *soak) quietTime() time.Duration {
	if s.duration >= longSoak {
		return 5 * time.Minute
	}
	return 20 * time.Second
}

// gauges are those of the processes as they are now.
func (s *soak) gauges() *gauges {
	g := &gauges{dir: s.house.Dir, node: s.node, runtimes: s.runtimes, programs: map[string]*rig.Process{}, brief: s.duration < longSoak}
	for _, a := range s.apps {
		g.programs[a.name] = a.Process
	}
	return g
}

// begin starts everything.
func (s *soak) begin(ctx context.Context) error {
	if err := rig.Compile(ctx, s.program, "bench/faults/soaker", ""); err != nil {
		return err
	}
	if err := s.startNode(ctx); err != nil {
		return err
	}
	for _, name := range []string{"alice", "bob", "carol"} {
		r, err := s.house.Runtime(ctx, rig.RuntimeOptions{Name: name, Domain: domain, Nodes: map[string]string{domain: s.node.URL}, Use: []string{"quic", "webrtc"}})
		if err != nil {
			return err
		}
		s.runtimes = append(s.runtimes, r)
		for n := range 2 {
			s.apps = append(s.apps, &soaker{name: fmt.Sprintf("%s-%d", name, n+1), socket: r.Socket})
		}
	}
	for _, a := range s.apps {
		if err := s.start(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// start starts the next life of an application.
func (s *soak) start(ctx context.Context, a *soaker) (err error) {
	var peers []string
	for _, other := range s.apps {
		if other != a {
			peers = append(peers, other.name)
		}
	}
	a.life++
	a.Process, err = s.house.Program(ctx, a.name, s.program, "-socket", a.socket, "-name", a.name, "-life", strconv.Itoa(a.life), "-book", s.book(a),
		"-peers", strings.Join(peers, ","), "-rate", strconv.Itoa(max(1, s.rate/len(s.apps))), "-quiet", s.quietBy)
	return err
}

// book is the file of an application's present life.
func (s *soak) book(a *soaker) string {
	return filepath.Join(s.house.Dir, fmt.Sprintf("%s.%d.book", a.name, a.life))
}

func (s *soak) stop() {
	for _, a := range s.apps {
		if a.Process != nil {
			a.Stop()
		}
	}
	for _, r := range s.runtimes {
		if r.Process != nil {
			r.Stop()
		}
	}
}

// event kills something, or has it end, and has it come back after a while.
func (s *soak) event(ctx context.Context) error {
	a, r := s.apps[s.random.IntN(len(s.apps))], s.runtimes[s.random.IntN(len(s.runtimes))]
	away := time.Duration(s.random.Int64N(int64(2 * time.Second)))
	began := time.Now()
	what, err := "", error(nil)
	switch dice := s.random.IntN(100); {
	case dice < 20:
		what = "application killed"
		a.Kill()
		err = s.back(ctx, away, func() error { return s.start(ctx, a) })
	case dice < 40:
		what = "application ended"
		a.Stop()
		err = s.back(ctx, away, func() error { return s.start(ctx, a) })
	case dice < 60:
		what = "plug-in killed"
		err = s.killPluginOf(ctx, r)
	case dice < 75:
		what = "runtime killed"
		r.Kill()
		err = s.back(ctx, away, func() error { return r.Start(ctx) })
	case dice < 90:
		what = "runtime ended"
		r.Stop()
		err = s.back(ctx, away, func() error { return r.Start(ctx) })
	default:
		what = "node killed"
		s.node.Kill()
		err = s.back(ctx, away, func() error { return s.node.Start(ctx) })
	}
	s.events[what]++
	s.say("  %4d  %-18s (%s, %s) %v", s.result.Rounds+1, what, a.name, r.Name, time.Since(began).Round(time.Millisecond))
	return err
}

func (s *soak) back(ctx context.Context, away time.Duration, start func() error) error {
	if err := wait(ctx, away); err != nil {
		return err
	}
	return start()
}

// killPluginOf kills one of a runtime's plug-ins, if one runs.
func (s *soak) killPluginOf(ctx context.Context, r *rig.Runtime) error {
	st, err := r.Status(ctx)
	if err != nil {
		return fmt.Errorf("status of %s: %w", r.Name, err)
	}
	var pids []int
	for _, p := range st.Plugins {
		if p.PID != 0 {
			pids = append(pids, p.PID)
		}
	}
	if len(pids) == 0 {
		return nil
	}
	slices.Sort(pids)
	_ = kill(pids[s.random.IntN(len(pids))]) // it may have ended meanwhile
	return nil
}

// settle is the longest time that outcomes and objects may take once nothing is sent any more.
const settle = 3 * time.Minute

// rest asks for quiet, waits until everything is settled, and then for the quiet time.
func (s *soak) rest(ctx context.Context) error {
	if err := os.WriteFile(s.quietBy, nil, 0o600); err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	for _, a := range s.apps {
		for !s.isQuiet(a) {
			if a.Ended() {
				return fmt.Errorf("%s has ended by itself: %s", a.name, a.Tail())
			}
			if err := wait(limit, 10*lookPause); err != nil {
				return fmt.Errorf("%s has not got all outcomes within %v: %w", a.name, settle, err)
			}
		}
	}
	return wait(ctx, s.quietTime())
}

// isQuiet tells whether the application has entered that everything is settled since its last message.
func (s *soak) isQuiet(a *soaker) bool {
	text, err := os.ReadFile(s.book(a))
	lines := "\n" + string(text) // one that was started last begins with being quiet
	return err == nil && strings.LastIndex(lines, "\nquiet\n") > strings.LastIndex(lines, "\nsent ")
}
