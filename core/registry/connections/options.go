package connections

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/protofly/protofly/internal/backoff"
	"github.com/protofly/protofly/sdk/message"
)

// Options are how connections are made. A zero value is a default.
type Options struct {
	Self      message.URL                   // this runtime
	Prefer    []string                      // names of the plug-ins that this side can request with, best first
	Connects  func(remote message.URL) bool // whether there may be a connection with a runtime; without it: with every one
	Commanded bool                          // set-ups only by [Peers.Use]
	Passive   bool                          // this side can deploy no Requester

	SetupTimeout   time.Duration // for a whole set-up; 15 s
	Backoff        time.Duration // after the first failure, doubled by each further one; 1 s
	MaxBackoff     time.Duration // 60 s
	ReconnectDelay time.Duration // before a Requester is asked to connect again where no message causes it; 200 ms
	HandlerGrace   time.Duration // how long a Handler's ended connection waits for the other side's Requester; 3 s

	Name   func() string                       // returns a name that nobody else makes up; without it: random text
	Jitter func(d time.Duration) time.Duration // applied to every pause; without it: [backoff.Around]
}

// WithDefaults returns o with its defaults.
func (o Options) WithDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.SetupTimeout, 15 * time.Second}, {&o.Backoff, time.Second}, {&o.MaxBackoff, time.Minute},
		{&o.ReconnectDelay, 200 * time.Millisecond}, {&o.HandlerGrace, 3 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.Connects == nil {
		o.Connects = func(message.URL) bool { return true }
	}
	if o.Name == nil {
		o.Name = func() string { return strings.ToLower(rand.Text()) }
	}
	if o.Jitter == nil {
		o.Jitter = backoff.Around
	}
	return o
}

// Pause returns the pause after n failures in a row (n from 1).
func (o *Options) Pause(n int) time.Duration {
	b := backoff.Backoff{Min: o.Backoff, Max: o.MaxBackoff}
	return o.Jitter(b.Bound(n))
}
