package main

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

const (
	setPause  = 500 * time.Millisecond // from one change of the object to the next
	againTime = time.Second            // until what failed is tried again
)

func object(name string) message.URL { return message.URL("comm://" + domain + "/" + name) }

// pause waits, and tells whether the application goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// report reports an object that the runtime keeps, so that the application's next process has it again, and changes it.
func (s *soaker) report(ctx context.Context) {
	var r *syncher.Reporter
	for {
		create, cancel := context.WithTimeout(ctx, 3*askTime)
		var err error
		r, err = s.app.Objects().Create(create, syncher.Object{Scheme: "comm", ID: s.name, Data: json.RawMessage(`{"n":0}`), Keep: true})
		cancel()
		if err == nil {
			break
		}
		s.enter("wrong object is not created: %v", err)
		if !pause(ctx, againTime) {
			return
		}
	}
	n := number(r.Value())
	s.every(ctx, setPause, func() {
		set, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		_ = r.Set(set, "n", n+1) // the value says whether it was made
		n = number(r.Value())
	}, func() { s.enter("set %s %d", r.URL(), n) })
}

func number(value json.RawMessage) int {
	var v struct{ N int }
	_ = json.Unmarshal(value, &v) // a value without the member has the number 0
	return v.N
}

// observe observes the objects of all peers.
func (s *soaker) observe(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, p := range s.peers {
		all.Go(func() {
			for pause(ctx, againTime) {
				s.follow(ctx, object(p))
			}
		})
	}
}

// follow observes an object until it is gone. It enters each value, and fails where one is smaller than the one before: a change of
// before the last that was seen.
func (s *soaker) follow(ctx context.Context, url message.URL) {
	try, cancel := context.WithTimeout(ctx, askTime)
	o, err := s.app.Objects().Observe(try, url)
	cancel()
	if err != nil {
		return // its reporter is not there yet
	}
	last := number(o.Value())
	s.enter("seen %s %d", url, last)
	for {
		c, err := o.Next(ctx)
		if err != nil {
			return
		}
		if c.Deleted {
			s.enter("ended %s %s %s", url, c.End, c.Reason)
			return
		}
		n := number(o.Value())
		if n < last {
			s.enter("wrong value of %s: %d after %d", url, n, last)
		}
		if n != last {
			s.enter("seen %s %d", url, n)
		}
		last = n
	}
}
