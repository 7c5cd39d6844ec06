package limits

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Times are the node's periods. Zero means the default; [DefaultTimes] has them all.
type Times struct {
	Handshake time.Duration // for the whole handshake of a connection
	Write     time.Duration // until a packet is written; then the connection is closed
	Ping      time.Duration // between pings, and how long an answer may take
	Grace     time.Duration // how long subscriptions outlive their connection
	Sweep     time.Duration // between searches for what has expired
	State     time.Duration // for one read or write of the state
	Retention time.Duration // how long addresses of runtimes that stay away, and disconnected registrations of kept addresses, are kept
}

// DefaultTimes are the times that zero values mean.
func DefaultTimes() Times {
	return Times{Handshake: 10 * time.Second, Write: 20 * time.Second, Ping: 20 * time.Second, Grace: 30 * time.Second,
		Sweep: 5 * time.Second, State: 5 * time.Second, Retention: 30 * 24 * time.Hour}
}

// WithDefaults returns t with the default in place of each zero.
func (t Times) WithDefaults() Times {
	d := DefaultTimes()
	return Times{Handshake: cmp.Or(t.Handshake, d.Handshake), Write: cmp.Or(t.Write, d.Write), Ping: cmp.Or(t.Ping, d.Ping),
		Grace: cmp.Or(t.Grace, d.Grace), Sweep: cmp.Or(t.Sweep, d.Sweep), State: cmp.Or(t.State, d.State), Retention: cmp.Or(t.Retention, d.Retention)}
}

// Check tells whether the times, in which WithDefaults has replaced the zeros, are possible. The error names each that is not.
func (t Times) Check() error {
	var errs []error
	for _, d := range []struct {
		name string
		time time.Duration
	}{{"handshake", t.Handshake}, {"write", t.Write}, {"ping", t.Ping}, {"grace", t.Grace}, {"sweep", t.Sweep}, {"state", t.State}, {"retention", t.Retention}} {
		if d.time < time.Millisecond { // a number without a unit counts nanoseconds
			errs = append(errs, fmt.Errorf("times: %s: %v; want a time of 1ms or more, such as 30s", d.name, d.time))
		}
	}
	return errors.Join(errs...)
}
