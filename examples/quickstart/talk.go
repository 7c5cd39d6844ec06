package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// settleTime is how long the last messages may take to arrive after they were sent.
const settleTime = 10 * time.Second

// talk makes both applications send to each other, and returns the result.
func (w *world) talk(ctx context.Context) (*result, error) {
	r := &result{Transport: w.transport, Domains: w.domains, LiveMS: -1, Errors: []string{}, PluginPIDs: []int{}}
	for _, s := range w.sides {
		s.got = newLedger(w.messages)
		s.app.Handle(s.got.take)
		s.app.HandleResponses(s.got.refuse)
	}
	watching, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	began := time.Now()
	for _, s := range w.sides {
		wg.Go(func() { w.show(watching, s, began) })
	}
	var senders sync.WaitGroup
	errs := make([]error, len(w.sides))
	for i, s := range w.sides {
		to := w.sides[1-i]
		senders.Go(func() { errs[i] = send(ctx, s.app, to.app.URL(), w.messages, w.duration) })
	}
	senders.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	late, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for _, s := range w.sides {
		select {
		case <-s.got.complete:
		case <-late.Done():
		}
		r.count(s.got)
		r.Sent += w.messages
	}
	for _, s := range w.sides {
		status, err := s.Status(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range status.Plugins {
			r.PluginPIDs = append(r.PluginPIDs, p.PID)
		}
	}
	if err := w.read(ctx, r, began); err != nil {
		return nil, err
	}
	r.check(w.options)
	return r, nil
}

// count adds what one side received.
func (r *result) count(l *ledger) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Received += l.received
	r.Lost += l.expected - l.received
	r.Duplicated += l.duplicated
	r.OutOfOrder += l.outOfOrder
	r.Errors = append(r.Errors, l.refused...)
}

// read reads the ways and the steps from the events that the runtimes and nodes have written. They write with a short
// delay, so it reads again until every message that was sent is there.
func (w *world) read(ctx context.Context, r *result, began time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		seen := *r
		if err := w.readOnce(&seen, began); err != nil {
			return err
		}
		if seen.ViaRelay+seen.ViaP2P >= r.Sent || ctx.Err() != nil {
			*r = seen
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (w *world) readOnce(r *result, began time.Time) error {
	o := &observed{aliceURL: w.sides[0].URL, bobURL: w.sides[1].URL, start: began}
	var live [2]time.Time
	for i, s := range w.sides {
		events, err := readLines[trace.Event](s.TraceFile)
		if err != nil {
			return err
		}
		live[i] = r.ways(events, s.app.URL(), w.sides[1-i].app.URL(), i == 0)
		if i == 0 {
			o.alice = events
		} else {
			o.bob = events
		}
	}
	if !live[0].IsZero() && !live[1].IsZero() {
		r.LiveMS = float64(slices.MaxFunc(live[:], time.Time.Compare).Sub(began).Microseconds()) / 1000
	}
	if !w.trace {
		return nil
	}
	for _, n := range w.nodes {
		lines, err := readLines[nodeEvent](n.TraceFile)
		if err != nil {
			return err
		}
		o.node = append(o.node, lines...)
	}
	r.Trace = o.steps()
	return nil
}

// ways counts over which way one side's messages to the address went, and says when its connection was live.
func (r *result) ways(events []trace.Event, from, to message.URL, first bool) (live time.Time) {
	for _, e := range events {
		switch {
		case e.Kind == trace.Forward && e.From == from && e.To == to:
			path := "p2p"
			if strings.Contains(string(e.Via), "/protostub/") {
				path = relay
				r.ViaRelay++
			} else {
				r.ViaP2P++
			}
			if first && r.FirstPath == "" {
				r.FirstPath = path
			}
		case e.Kind == trace.Connection && e.Value == message.Live.String() && live.IsZero():
			live = e.At
		}
	}
	return live
}

// readLines reads a file of JSON lines. The last line may still be being written.
func readLines[T any](path string) ([]T, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var all []T
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var one T
		if err := json.Unmarshal(s.Bytes(), &one); err != nil {
			if !s.Scan() {
				break
			}
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, one)
	}
	return all, s.Err()
}
